"""The jobs of everybody, for who manages the sites that they cover: to see them, end them, have them tried again.

A job is seen as a whole or not at all: of a job of several sites, all must be managed.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from exports.jobs import ring
from exports.models import State
from exports.models.job import ENDED, OPEN
from registry.problems import not_found
from registry.rights import Caller, Right


@dataclass(frozen=True, slots=True)
class ManagedJob:
    """A job as its managers see it; `username` is None for the system's own."""

    id: UUID
    kind: str
    state: str
    progress: int
    error: str
    attempts: int
    sites: list[str]
    username: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in OPEN

    @property
    def has_failed(self) -> bool:
        """Whether it can be tried again."""
        return self.state == State.FAILED

    @property
    def seconds(self) -> int | None:
        """How long it took, from the first attempt to its end; None while it has no end."""
        if self.state not in ENDED or self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds())


def managed_jobs(by: Caller, *, at_most: int, after: int = 0) -> list[ManagedJob]:
    """Return the latest jobs of the sites that a person manages, without the first `after`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ecrf_jobs_of_sites(%s, %s, %s)", [_managed(by), at_most, after])
        return [ManagedJob(*row) for row in cursor.fetchall()]


def cancel_managed(job_id: UUID, *, by: Caller) -> bool:
    """End a job of the sites that a person manages; return whether it had not ended. Raises a 404 problem."""
    return _do("SELECT ecrf_cancel_job(%s, %s)", job_id, by=by)


def restart_managed(job_id: UUID, *, by: Caller) -> bool:
    """Have a job that failed tried again for who asked for it, with the rights they have then; return whether it had.

    The workers are told when the transaction is committed. Raises a 404 problem.
    """
    found = _do("SELECT ecrf_restart_job(%s, %s)", job_id, by=by)
    if found:
        transaction.on_commit(partial(ring, job_id), robust=True)
    return found


def _do(sql: str, job_id: UUID, *, by: Caller) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, [job_id, _managed(by)])
        row = cursor.fetchone()
    if row is None or row[0] is None:
        raise not_found()
    return bool(row[0])


def _managed(by: Caller) -> list[str]:
    return sorted(by.sites_with(Right.MANAGE))
