"""One transaction in which the database knows who acts, through which door and why.

The triggers that write the history read the actor from the transaction. It is set here and nowhere else, in one
statement at its start, so that every way of writing (ORM, raw SQL, COPY) leaves the same trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from uuid import uuid4

import msgspec
from django.db import transaction

from registry.database import fetch_row
from registry.models import Site
from registry.rights import Caller, everything


class Door(StrEnum):
    """The way a change came in."""

    REST = "rest"
    REDCAP = "redcap"
    COMMAND = "command"


@contextmanager
def acting(
    by: Caller, *, door: Door, reason: str | None = None, idempotency_key: str | None = None
) -> Iterator[tuple[Any, ...] | None]:
    """Run the block as one transaction of `by`; an exception undoes all of it.

    With an idempotency key the block gets the answer kept under it (request digest, status, headers, body), or None;
    whoever repeats a request while the first is running waits here until that one has ended.
    """
    actor = {
        "person": by.person_id,
        "username": by.username,
        "token": by.token_id,
        "door": door.value,
        "reason": reason,
        "request": str(uuid4()),
    }
    told = [msgspec.json.encode(actor).decode(), by.person_id, idempotency_key]
    with transaction.atomic():
        yield fetch_row("SELECT request_digest, status, headers, body FROM ecrf_begin(%s, %s, %s)", told)


def the_system() -> Caller:
    """Return the caller behind commands and jobs that nobody asked for: every right at every site."""
    sites = frozenset(Site.objects.values_list("code", flat=True))
    return Caller(person_id=None, username="system", rights=everything(sites=sites), sites=sites)
