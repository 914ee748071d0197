"""The machine that runs jobs: exactly one worker at a time, to an end, whatever dies on the way.

A job is a row. A message to the broker only says that there is one; when it is lost, the sweep finds the row. A worker
claims the row with a number of its own and shows by a heartbeat that it lives. When the heart stops for longer than the
lease, the next one claims the row with another number, and whatever the first still does counts for nothing: nobody
writes to the row, and no result becomes visible, without the number that stands there.

Nothing here needs more of a connection than one transaction, so that a pooler may hand it on between two.
"""

import errno
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import translation
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from exports.job_files import draft_of, file_of, remove_drafts, tidy
from exports.models import Job, Kind, State
from exports.models.job import OPEN
from registry import tracing
from registry.acting import Door, acting_as_the_system, the_system
from registry.callers import caller_of, narrowed
from registry.celery import app
from registry.rights import Caller

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
"""How long a job stays with a worker whose heart has stopped."""
BEATS_A_LEASE = 7
"""A slow moment of worker or database must not cost the job."""
RING_AGAIN_AFTER = LEASE * 2 / 3
"""A message is lost, or waits behind long jobs; a second one does no harm."""


class Abandoned(Exception):
    """The job is no longer this worker's: it was cancelled, or taken over by another worker."""


class JobFailed(Exception):
    """The job cannot be done, and trying again would not help.

    The message is for the person who asked; the code, stable, for programs.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of the file that a job hands over: its name for the person, digest and size in bytes."""

    name: str
    sha256: str
    size: int


class Work:
    """One attempt at a job, as the function that does it sees it."""

    def __init__(self, job: Job, heart: "Heart") -> None:
        self.job = job
        self.delivery: Delivery | None = None
        self._heart = heart

    @property
    def draft(self) -> Path:
        """Where this attempt writes its file; it is removed unless it is delivered."""
        return draft_of(self.job)

    def report(self, progress: int, **fields: Any) -> None:
        """Note how far the job is, in percent, and other fields of the row (`rows`); saved with the next heartbeat.

        Costs no query, so it can be called often, also in the middle of a long transaction, which it never touches.
        Raises Abandoned when the job is no longer this worker's: stop then.
        """
        if self._heart.lost.is_set():
            raise Abandoned
        self._heart.fields = {**self._heart.fields, "progress": progress, **fields}

    def caller(self) -> Caller:
        """Return the person who asked for the job with the rights in force now, narrowed by the token they used.

        Raises JobFailed when the person or the token is no longer active.
        """
        return caller_behind(self.job)

    def hold(self) -> None:
        """Keep everybody else from the job until the transaction ends: what it writes then counts, or nothing does.

        Raises Abandoned when the job is no longer this worker's.
        """
        mine = Job.objects.select_for_update().filter(pk=self.job.pk, claim=self.job.claim)
        if not mine.values_list("pk").first():
            raise Abandoned

    def deliver(self, *, name: str, sha256: str, size: int) -> None:
        """Hand over the finished `draft`; it becomes the file of the job together with the state `done`."""
        self.delivery = Delivery(name, sha256, size)

    @property
    def fields(self) -> Mapping[str, Any]:
        """What was reported so far."""
        return self._heart.fields


class Heart:
    """Shows that an attempt is alive: a thread with a connection of its own, because the work may fill the other."""

    def __init__(self, job: Job) -> None:
        self.fields: dict[str, Any] = {}
        self.lost = threading.Event()
        self._row = Job.objects.filter(pk=job.pk, claim=job.claim)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name=f"heart of {job.pk}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _traceback: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _beat_until_stopped(self) -> None:
        try:
            while not self._stop.wait(LEASE.total_seconds() / BEATS_A_LEASE):
                self.beat()
        finally:
            connection.close()

    def beat(self) -> None:
        """Save that the attempt is alive and what it reported; note it when the job is no longer ours."""
        try:
            with as_the_machine():
                alive = self._row.update(heartbeat_at=Now(), **self.fields)
            if not alive:
                self.lost.set()
        except (DatabaseError, InterfaceError) as error:
            # A restarting server: the next beat tries again, and the lease decides.
            logger.warning("a heartbeat was not saved: %s", type(error).__name__)
            connection.close()


Runner = Callable[[Work], None]
RUNNERS: dict[str, Runner] = {}


def runs(kind: Kind) -> Callable[[Runner], Runner]:
    """Decorate the function that does the jobs of one kind.

    It can be broken off at any point and started anew, so it must leave nothing behind but what it writes after
    `Work.hold` in the same transaction, or hands over with `Work.deliver`.
    """

    def register(runner: Runner) -> Runner:
        RUNNERS[kind] = runner
        return runner

    return register


as_the_machine = partial(acting_as_the_system, door=Door.JOB)
"""One transaction of whoever runs jobs, who sees everybody's."""


def database_time() -> datetime:
    """Return the time of the database: the one clock that web servers, workers and scheduler share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def enqueue(
    kind: Kind, *, parameters: Mapping[str, Any], by: Caller, sites: Iterable[str], doorbell: bool = True
) -> Job:
    """Save a job that `by` asked for and, when that is committed, tell the workers; `sites` are those it covers.

    Without `doorbell` whoever calls runs it, as a command does.
    """
    job = Job.objects.create(
        kind=kind,
        parameters=dict(parameters),
        requested_by_id=by.person_id,
        token_id=by.token_id,
        sites=sorted(sites),
    )
    if doorbell:
        transaction.on_commit(partial(ring, job.pk), robust=True)
    job.refresh_from_db()
    return job


def read_anew(job: Job) -> None:
    """Bring `job` up to date with its row, from outside of any transaction."""
    with as_the_machine():
        job.refresh_from_db()


def ring(job_id: UUID) -> bool:
    """Tell the workers that there is a job; return whether the broker took the message, without waiting for one."""
    try:
        app.send_task(
            "exports.run_job", kwargs={"job_id": str(job_id)}, expires=RING_AGAIN_AFTER.total_seconds(), retry=False
        )
    except (OperationalError, OSError) as error:
        logger.warning("job %s waits for the sweep, the broker is not there: %s", job_id, type(error).__name__)
        return False
    return True


def cancel(job_id: UUID) -> bool:
    """End a job that has not ended; return whether there was one. Its worker notices and leaves nothing behind."""
    ended = {"state": State.CANCELLED, "claim": None, "heartbeat_at": None, "finished_at": Now()}
    return bool(Job.objects.filter(pk=job_id, state__in=OPEN).update(**ended))


def run(job_id: UUID, *, now: datetime | None = None) -> None:
    """Do a job, unless it has ended or another worker is at it. What happened is on the row, never raised."""
    job = _claim(job_id, now=now or database_time())
    if job is None:
        return
    before = tracing.job_id.set(str(job.pk))
    try:
        # Files and errors are kept in one language, whoever asked.
        with translation.override(settings.LANGUAGE_CODE):
            _attempt(job)
    finally:
        tracing.job_id.reset(before)


def _attempt(job: Job) -> None:
    with Heart(job) as heart:
        work = Work(job, heart)
        try:
            RUNNERS[job.kind](work)
            _finish(work)
        except Abandoned:
            logger.info("job %s is no longer ours, attempt %d stops", job.pk, job.attempts)
        except JobFailed as failure:
            _fail(job, error=str(failure), code=failure.code)
        except Exception as error:  # whatever it was, the job must not stay as it is
            _log_without_values(job, error)
            _after_break(job, error)
        finally:
            work.draft.unlink(missing_ok=True)


def sweep(*, now: datetime) -> None:
    """Find the jobs that nobody is at: ring for them again, or give up those tried often enough; tidy the folder."""
    lapsed = Q(state=State.RUNNING, heartbeat_at__lt=now - LEASE)
    left = Job.objects.filter(Q(state=State.WAITING) | lapsed)
    with as_the_machine():
        for job in left.filter(attempts__gte=MAX_ATTEMPTS):
            _fail(job, error=_gave_up(), code="gave_up")
        due = left.filter(attempts__lt=MAX_ATTEMPTS, rung_at__lt=now - RING_AGAIN_AFTER)
        unheard = list(due.order_by("created_at").values_list("pk", flat=True))
    for job_id in unheard:
        if not ring(job_id):
            break
        with as_the_machine():
            Job.objects.filter(pk=job_id).update(rung_at=now)
    with as_the_machine():
        tidy(now=now)


def caller_behind(job: Job) -> Caller:
    """Return who asked for `job` with the rights in force now; a token that was used narrows them as it does now.

    Raises JobFailed when the person or the token is no longer active.
    """
    if job.requested_by_id is None:
        return the_system()
    now = database_time()
    caller = caller_of(job.requested_by_id, now=now)
    if caller is None:
        raise JobFailed(_("The person who asked for this is no longer active."), code="not_allowed")
    if job.token is None:
        return caller
    if job.token.revoked_at is not None or job.token.expires_at <= now:
        message = _("The token that asked for this is no longer valid. Ask again with another one.")
        raise JobFailed(message, code="not_allowed")
    return narrowed(caller, by=job.token)


def _claim(job_id: UUID, *, now: datetime) -> Job | None:
    """Make the job ours and return it, None when it has ended, is another's or was tried often enough."""
    free = Q(state=State.WAITING) | Q(state=State.RUNNING, heartbeat_at__lt=now - LEASE)
    claim = uuid4()
    with as_the_machine():
        Job.objects.filter(free, pk=job_id, attempts__lt=MAX_ATTEMPTS).update(
            state=State.RUNNING,
            claim=claim,
            attempts=F("attempts") + 1,
            heartbeat_at=Now(),
            started_at=Coalesce("started_at", Now()),
            progress=0,
            rows={},
        )
        job = Job.objects.select_related("token").filter(pk=job_id, claim=claim).first()
    if job is not None:
        remove_drafts(job)
    return job


def _finish(work: Work) -> None:
    """Make the result visible and the job done, both or neither."""
    ended: dict[str, Any] = {"state": State.DONE, "claim": None, "heartbeat_at": None, "finished_at": Now()}
    if work.delivery is not None:
        ended |= {
            "file_name": work.delivery.name,
            "sha256": work.delivery.sha256,
            "size": work.delivery.size,
        }
    with as_the_machine():
        work.hold()
        if work.delivery is not None:
            work.draft.replace(file_of(work.job))
        Job.objects.filter(pk=work.job.pk).update(**{**work.fields, **ended, "progress": 100})


def _fail(job: Job, *, error: str, code: str) -> None:
    """End the job, if it is still as it was when it was read."""
    why = {"error": error, "error_code": code}
    ended = {"state": State.FAILED, **why, "claim": None, "heartbeat_at": None, "finished_at": Now()}
    with as_the_machine():
        Job.objects.filter(pk=job.pk, claim=job.claim, state__in=OPEN).update(**ended)


def _after_break(job: Job, error: Exception) -> None:
    """End the job after an unexpected error, or leave it to the next sweep for another attempt."""
    # A connection that the server closed is replaced, so that the job need not wait for the lease.
    if connection.connection is not None and not connection.is_usable():
        connection.close()
    try:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = _("The server's disk is full. Tell whoever runs it, and ask again when there is room.")
            _fail(job, error=message, code="disk_full")
        elif job.attempts >= MAX_ATTEMPTS:
            _fail(job, error=_gave_up(), code="gave_up")
        else:
            again = {"state": State.WAITING, "claim": None, "heartbeat_at": None, "rung_at": Now()}
            with as_the_machine():
                Job.objects.filter(pk=job.pk, claim=job.claim).update(**again)
    except (DatabaseError, InterfaceError):
        # Without a database nothing can be noted; the lease runs out and the sweep takes the job up.
        logger.warning("job %s is left to the sweep: the database is not there", job.pk)
        connection.close()


def _gave_up() -> str:
    """Return why a job was given up, without a number in it: it is translated when it is shown."""
    return _(
        "It broke off at each attempt. Ask again; if it fails again, "
        "tell whoever runs the server the number of this job."
    )


def _log_without_values(job: Job, error: Exception) -> None:
    """Log where an attempt broke off. The message of the error is left out: it may quote data of a patient."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("job %s broke off in attempt %d: %s\n%s", job.pk, job.attempts, type(error).__name__, where)
