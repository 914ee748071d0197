"""One transaction in which the database knows who acts, through which door and why.

The triggers that write the history read the actor from the transaction. It is set here and nowhere else, in one
statement at its start, so that every way of writing (ORM or raw SQL) leaves the same trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from uuid import uuid4

import msgspec
from django.db import transaction

from registry import tracing
from registry.database import commit, fetch_row, forget_what_was_left
from registry.models import Site
from registry.rights import Caller, Right, everything

SYSTEM = "system"
"""Who commands and jobs of nobody are, for policies that compare people."""


class Door(StrEnum):
    """The way a change came in."""

    REST = "rest"
    PAGE = "page"
    REDCAP = "redcap"
    COMMAND = "command"
    JOB = "job"
    IMPORT = "import"


@contextmanager
def acting(
    by: Caller, *, door: Door, reason: str | None = None, idempotency_key: str | None = None
) -> Iterator[tuple[Any, ...] | None]:
    """Run the block as one transaction of `by`, who sees the patients of their sites; an exception undoes all of it.

    With an idempotency key the block gets the answer kept under it (request digest, status, headers, body), or None;
    whoever repeats a request while the first is running waits here until that one has ended.
    """
    before = tracing.door.set(door.value)
    try:
        with transaction.atomic():
            yield begin_acting(by, door=door, reason=reason, idempotency_key=idempotency_key)
            commit()
    except BaseException:
        forget_what_was_left()
        raise
    finally:
        tracing.door.reset(before)


@contextmanager
def acting_as_the_system(*, door: Door, reason: str | None = None) -> Iterator[Caller]:
    """Run the block as one transaction of the system, which sees everything."""
    by = the_system()
    with acting(by, door=door, reason=reason):
        yield by


@contextmanager
def importing(by: Caller, *, reason: str | None, import_id: int) -> Iterator[None]:
    """Have the history say, from here to the end of the transaction that has begun, which import a change came with."""
    before = tracing.door.set(Door.IMPORT.value)
    try:
        begin_acting(by, door=Door.IMPORT, reason=reason, import_id=import_id)
        yield
    finally:
        tracing.door.reset(before)


def begin_acting(
    by: Caller,
    *,
    door: Door,
    reason: str | None = None,
    idempotency_key: str | None = None,
    import_id: int | None = None,
) -> tuple[Any, ...] | None:
    """Tell the database, for the rest of the transaction that has begun, who acts and which sites they see."""
    actor = {
        "person": by.person_id,
        "username": by.username,
        "token": by.token_id,
        "door": door.value,
        "reason": reason,
        "request": tracing.request_id.get() or str(uuid4()),
    }
    if import_id is not None:
        actor["import"] = import_id
    sites = ",".join(by.sites_with(Right.READ))
    told = [msgspec.json.encode(actor).decode(), str(by.person_id or SYSTEM), sites, idempotency_key]
    return fetch_row("SELECT request_digest, status, headers, body FROM ecrf_begin(%s, %s, %s, %s)", told)


def the_system() -> Caller:
    """Return the caller behind commands and jobs that nobody asked for: every right at every site."""
    sites = frozenset(Site.objects.values_list("code", flat=True))
    return Caller(person_id=None, username=SYSTEM, rights=everything(sites=sites), sites=sites)
