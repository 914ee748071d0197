"""One transaction in which the database knows who acts, through which door and why.

The triggers that write the history read the actor from the transaction. It is set here and nowhere else, in one
statement at its start, so that every way of writing (ORM or raw SQL) leaves the same trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from uuid import uuid4

import msgspec
from django.db import transaction

from registry import tracing
from registry.database import ending_with_what_waits, execute_soon, fetch_row, send_what_waits
from registry.messenger import Row
from registry.models import Site
from registry.rights import Caller, Right, everything

SYSTEM = "system"
"""Who commands and jobs of nobody are, for policies that compare people."""
BEGIN = "SELECT request_digest, status, headers, body FROM ecrf_begin(%s, %s, %s, %s)"
"""Tells the database who acts; gives the answer that is kept under the idempotency key."""


class Door(StrEnum):
    """The way a change came in."""

    REST = "rest"
    PAGE = "page"
    REDCAP = "redcap"
    COMMAND = "command"
    JOB = "job"
    IMPORT = "import"


class AnsweredBefore(Exception):
    """The idempotency key came before. `kept` is what was answered then: request digest, status, headers, body."""

    def __init__(self, kept: Row) -> None:
        super().__init__("This request was answered before.")
        self.kept = kept


@contextmanager
def acting(
    by: Caller,
    *,
    door: Door,
    reason: str | None = None,
    idempotency_key: str | None = None,
    begin_with_first: bool = False,
) -> Iterator[None]:
    """Run the block as one transaction of `by`, who sees the patients of their sites; an exception undoes all of it.

    Whoever repeats a request with an idempotency key while the first is running waits until that one has ended. Raises
    AnsweredBefore when an answer is kept under the key. `begin_with_first` saves a round trip to blocks that first ask:
    the transaction begins in one message with their first question.
    """
    before, start = tracing.door.set(door.value), _Start()
    told = _told(by, door=door, reason=reason, idempotency_key=idempotency_key)
    try:
        with transaction.atomic(), ending_with_what_waits():
            execute_soon(BEGIN, told, then=start)
            if not begin_with_first:
                send_what_waits()
            try:
                yield
            except Exception:
                if idempotency_key is not None and not start.made:
                    send_what_waits()  # whoever was answered before gets that answer
                raise
    finally:
        tracing.door.reset(before)


class _Start:
    """The start of a transaction, which ends it when its request was answered before."""

    made = False

    def __call__(self, rows: list[Row]) -> None:
        """Take the rows of `BEGIN`."""
        self.made = True
        if rows:
            raise AnsweredBefore(rows[0])


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


def begin_acting(by: Caller, *, door: Door, reason: str | None = None, import_id: int | None = None) -> None:
    """Tell the database, for the rest of the transaction that has begun, who acts and which sites they see."""
    fetch_row(BEGIN, _told(by, door=door, reason=reason, import_id=import_id))


def _told(
    by: Caller,
    *,
    door: Door,
    reason: str | None = None,
    idempotency_key: str | None = None,
    import_id: int | None = None,
) -> list[str | None]:
    """Return what the database is told at the start: the parameters of `BEGIN`."""
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
    return [msgspec.json.encode(actor).decode(), str(by.person_id or SYSTEM), sites, idempotency_key]


def the_system() -> Caller:
    """Return the caller behind commands and jobs that nobody asked for: every right at every site."""
    sites = frozenset(Site.objects.values_list("code", flat=True))
    return Caller(person_id=None, username=SYSTEM, rights=everything(sites=sites), sites=sites)
