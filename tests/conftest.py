"""What every test may use: people with roles, callers for the services, clients for the API.

Tests run as the application's database role; the test database belongs to the owner. A test arranges and looks at
patients of every site on its own connection; requests, jobs, threads and programs see what they set for themselves.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.test import Client, TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import settings

from registry.accounts.second_factor import PROVEN_BY
from registry.callers import caller_of, create_token
from registry.messenger import Messenger
from registry.models import Membership, Person, Site
from registry.rights import Caller, Role
from registry.settings import OWNER

# How long an example takes says what else the machine does.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

SINCE = date(2020, 1, 1)
SITES = {"MTP": "Montpellier", "NIM": "Nîmes", "STR": "Strasbourg"}


@pytest.fixture(scope="session")
def django_db_setup(request, django_test_environment, django_db_blocker, django_db_modify_db_settings):
    """Make the test database as the owner, once for each process of tests, and point the application's role at it."""
    creation = connections[OWNER].creation
    with django_db_blocker.unblock():
        name = creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        before = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = name
    yield
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = before
        creation.destroy_test_db(before, verbosity=0)


def see(sites: str) -> None:
    """Let the connection of this test see the patients of these sites (codes with commas), from now on."""
    person = "system" if sites else ""
    # Past Django, so that it is not counted among the queries of what is tested.
    connection.connection.execute(
        "SELECT set_config('ecrf.sites', %s, false), set_config('ecrf.person', %s, false)", [sites, person]
    )


def see_everything() -> None:
    """Let the connection of this test see every site again, where `acting` of another left it otherwise."""
    connection.ensure_connection()
    see(",".join(SITES))


@contextmanager
def seeing(sites: str) -> Iterator[None]:
    """Run the block with the connection of this test seeing these sites, then all of them again."""
    connection.ensure_connection()
    see(sites)
    try:
        yield
    finally:
        if not connection.needs_rollback:
            see(",".join(SITES))


def _see_everything_in_a_test(connection: Any, **_kwargs: Any) -> None:
    """Threads and programs get nothing, as in real use."""
    if connection.alias == "default" and threading.current_thread() is threading.main_thread():
        see(",".join(SITES))


connection_created.connect(_see_everything_in_a_test)


@contextmanager
def as_owner() -> Iterator[psycopg.Connection[Any]]:
    """Give a connection of the owner of the tables, who passes policies by; what it does is committed at the end."""
    with psycopg.connect(
        **connections[OWNER].get_connection_params() | {"dbname": connection.settings_dict["NAME"]}
    ) as owner:
        yield owner


def _empty_as_owner(_self: TransactionTestCase) -> None:
    """Empty the tables after a test that committed: the application's role may not."""
    stay = {"django_migrations", "django_content_type", "auth_permission"}
    tables = [table for table in connection.introspection.django_table_names(only_existing=True) if table not in stay]
    with as_owner() as owner:
        owner.execute(f"TRUNCATE {', '.join(map(connection.ops.quote_name, tables))} CASCADE")


TransactionTestCase._fixture_teardown = _empty_as_owner


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

    def request(self, **request: Any) -> Any:
        """Send a request that sees nothing but what it sets for itself, as on a connection fresh from the pool."""
        with seeing(""):
            return super().request(**request)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send `body` as JSON; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.generic(method.upper(), path, content, content_type="application/json", headers=named)


class Browser(Client):
    """A browser without JavaScript: a client with a session, which sees nothing but what its requests set."""

    def sign_in(self, person: Person) -> None:
        """Sign a person in; where a second factor is required, it counts as proven."""
        self.force_login(person)
        session = self.session
        session[PROVEN_BY] = person.pk
        session.save()

    def request(self, **request: Any) -> Any:
        """Send a request that sees nothing but what it sets for itself, as on a connection fresh from the pool."""
        with seeing(""):
            return super().request(**request)


@pytest.fixture
def browser(sites: dict[str, Site]) -> Callable[..., Browser]:
    """Return a function that makes a browser in which a new person of a role is signed in, at a site or at all."""

    def make(role: Role | None = Role.COORDINATOR, *, site: str | None = "MTP", username: str | None = None) -> Browser:
        client = Browser()
        client.sign_in(make_person(role, site=site, username=username))
        return client

    return make


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


@pytest.fixture
def assert_round_trips(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """Return a context manager that wants just so many questions to the database, whichever way they go."""
    messages = []
    send = Messenger.send

    def noted(messenger: Any, *asked: Any) -> Any:
        messages.append(asked)
        return send(messenger, *asked)

    monkeypatch.setattr(Messenger, "send", noted)

    @contextmanager
    def just(number: int) -> Iterator[None]:
        messages.clear()
        with CaptureQueriesContext(connection) as others:
            yield
        assert len(messages) + len(others) == number

    return just
