"""What every test may use: people with roles, callers for the services, clients for the API."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from registry.callers import caller_of, create_token
from registry.models import Membership, Person, Site
from registry.rights import Caller, Role

SINCE = date(2020, 1, 1)
SITES = {"MTP": "Montpellier", "NIM": "Nîmes", "STR": "Strasbourg"}


def make_person(role: Role | None = None, *, site: str | None = None, username: str | None = None) -> Person:
    """Save a person, with one membership if a role is given."""
    person = Person.objects.create_user(username or f"{role or 'nobody'}.{site or 'all'}".lower())
    if role is not None:
        Membership.objects.create(person=person, role=role, site_id=site, starts_on=SINCE)
    return person


@pytest.fixture(scope="session", autouse=True)
def _no_limit_on_calls() -> Iterator[None]:
    """Let the tests, which all come from one address, call as often as they like; those of the limits set their own."""
    with override_settings(RATE_PER_TOKEN=10**9, RATE_PER_ADDRESS=10**9, RATE_FAILURES_PER_ADDRESS=10**9):
        yield


class Api(Client):
    """A client of the REST API that carries a token and sends JSON."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__(headers={"Authorization": f"Bearer {token}"} if token else None)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send `body` as JSON; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.generic(method.upper(), path, content, content_type="application/json", headers=named)


@pytest.fixture
def sites(db: None) -> dict[str, Site]:
    """Return the three sites of the study by code (they come with the first migration, unless a test emptied it)."""
    return {code: Site.objects.get_or_create(code=code, defaults={"name": name})[0] for code, name in SITES.items()}


@pytest.fixture
def api(sites: dict[str, Site]) -> Callable[..., Api]:
    """Return a function that makes a client for a new person of a role, at a site or at all."""

    def make(role: Role | None = Role.COORDINATOR, *, site: str | None = "MTP", username: str | None = None) -> Api:
        return Api(create_token(make_person(role, site=site, username=username))[0])

    return make


@pytest.fixture
def coordinator(sites: dict[str, Site]) -> Caller:
    """Return a coordinator of MTP as the services see them."""
    return caller_now(make_person(Role.COORDINATOR, site="MTP"))


def caller_now(person: Person) -> Caller:
    """Return `person` with the rights in force."""
    found = caller_of(person.pk, now=timezone.now())
    assert found is not None
    return found
