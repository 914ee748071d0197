"""Who is calling: a token or a signed-in person, with the rights in force at this moment.

One query for each request, so that a membership that ended or a token that was revoked counts at the next one.
"""

import hashlib
import json
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.db import InternalError, OperationalError, connection, transaction
from django.utils import timezone

from registry.database import fetch_row
from registry.messenger import Row
from registry.models import Person, Site, Token
from registry.rights import Caller, rights_of

TOKEN_BYTES = 16
"""32 hexadecimal digits, the form in which REDCap clients accept a token; 128 bits from the system's generator."""
TOKEN_LIFETIME = timedelta(days=365)
LAST_USE_IS_KEPT_TO = timedelta(minutes=5)
"""A token's last use is written at most this often: it must not cost every request a write."""

WITH_TOKEN = """
    SELECT person_id, username, token_id, only_site, memberships, sites, only_rights, use_is_noted
      FROM ecrf_token(%s, %s, %s, %s)
"""  # noqa: S105 -- a statement
OF_PERSON = """
    SELECT p.id, p.username, NULL, NULL,
        (SELECT jsonb_agg(jsonb_build_array(m.role, m.site_id)) FROM registry_membership m
          WHERE m.person_id = p.id AND m.starts_on <= %s AND (m.ends_on IS NULL OR m.ends_on >= %s)),
        (SELECT jsonb_agg(s.code) FROM registry_site s), NULL::text[], true
      FROM registry_person p WHERE p.is_active AND p.id = %s
"""


def digest_of(token: str) -> bytes:
    """Return what is kept of a token: it is random enough that a plain SHA-256 cannot be reversed."""
    return hashlib.sha256(token.upper().encode()).digest()


def create_token(
    person: Person,
    *,
    site: Site | None = None,
    expires_at: datetime | None = None,
    rights: Collection[str] | None = None,
    name: str = "",
) -> tuple[str, Token]:
    """Save a token of `person`; return its text, which is not kept, and its row.

    `site` narrows it to one site, `rights` to some of the person's rights; `name` says what it is for.
    """
    text = secrets.token_hex(TOKEN_BYTES).upper()
    expires = expires_at or timezone.now() + TOKEN_LIFETIME
    kept = None if rights is None else sorted(rights)
    token = Token.objects.create(
        person=person, digest=digest_of(text), hint=text[:4], site=site, expires_at=expires, rights=kept, name=name
    )
    return text, token


def caller_with_token(token: str, *, now: datetime) -> Caller | None:
    """Return the caller whose unexpired, unrevoked token this is, None when there is none."""
    found = _find(WITH_TOKEN, digest_of(token), now, timezone.localdate(now), now - LAST_USE_IS_KEPT_TO)
    if found is None:
        return None
    caller, use_is_noted = found
    if not use_is_noted:
        _note_use(token, now=now)
    return caller


def _note_use(token: str, *, now: datetime) -> None:
    # Who may read from a database that is read-only for a while may do so with a token too.
    with suppress(InternalError), transaction.atomic():
        Token.objects.filter(digest=digest_of(token)).update(last_used_at=now)


def caller_of(person_id: int, *, now: datetime) -> Caller | None:
    """Return the caller that the active person with this key is, None when there is none."""
    today = timezone.localdate(now)
    found = _find(OF_PERSON, today, today, person_id)
    return found[0] if found else None


def narrowed(caller: Caller, *, by: Token) -> Caller:
    """Return the caller with what one of their tokens leaves of their rights."""
    only_rights = None if by.rights is None else frozenset(by.rights)
    rights = rights_of(caller.roles, sites=caller.sites, only_site=by.site_id, only_rights=only_rights)
    return replace(caller, rights=rights, token_id=by.pk, only_site=by.site_id, only_rights=only_rights)


def _find(sql: str, *parameters: Any) -> tuple[Caller, bool] | None:
    """Return the caller that a statement finds, and whether the use of the token was noted lately."""
    row = _first_row_of_the_request(sql, parameters)
    if row is None:
        return None
    *found, only_rights, use_is_noted = row
    return _caller(*found, None if only_rights is None else frozenset(only_rights)), use_is_noted


@lru_cache(1_000)
def _caller(
    person_id: int,
    username: str,
    token_id: int | None,
    only_site: str | None,
    memberships: str | None,
    codes: str | None,
    only_rights: frozenset[str] | None,
) -> Caller:
    """Return the caller that the database described; the same description, the same caller."""
    roles = tuple((role, site) for role, site in json.loads(memberships or "[]"))
    sites = frozenset(json.loads(codes or "[]"))
    return Caller(
        person_id=person_id,
        username=username,
        rights=MappingProxyType(rights_of(roles, sites=sites, only_site=only_site, only_rights=only_rights)),
        roles=roles,
        token_id=token_id,
        sites=sites,
        only_site=only_site,
        only_rights=only_rights,
    )


def _first_row_of_the_request(sql: str, parameters: Sequence[Any]) -> Row | None:
    """Run the first statement of a request, on a new connection if the kept one has died meanwhile.

    It does what Django's health check does with a statement of its own, in one round trip less.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]  # Django has it, its types do not
    try:
        return fetch_row(sql, parameters)
    except OperationalError:
        if connection.in_atomic_block:
            raise
        connection.close()
        return fetch_row(sql, parameters)
