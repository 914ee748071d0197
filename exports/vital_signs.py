"""What health page and Prometheus see of jobs and of the workers that do them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext_lazy as _
from prometheus_client.core import GaugeMetricFamily

from exports.models import Kind, State
from registry.heartbeats import seconds_since_beats
from registry.models import Heart
from registry.vital_signs import OK, Sign, Status, Words, sign_of_life

LONGEST_WAIT_SECONDS: Final = 300


def worker() -> Sign:
    """Tell when a worker last showed that it lives: by its heartbeat, or by that of a long job that fills it."""
    beats = [seconds_since_beats().get(Heart.WORKER), _open_jobs()[1]]
    return sign_of_life(min((beat for beat in beats if beat is not None), default=None))


def oldest_waiting_job() -> Sign:
    """Tell how long the oldest waiting job has waited."""
    waits = _open_jobs()[0]
    if waits is None:
        return OK
    status, detail = (Status.DEGRADED, "jobs wait too long") if waits > LONGEST_WAIT_SECONDS else (Status.OK, None)
    return Sign(status, detail, seconds=round(waits, 1))


def gauges() -> Iterator[GaugeMetricFamily]:
    """Yield the jobs by kind and state, and how long the oldest waiting one has waited."""
    jobs = GaugeMetricFamily("ecrf_jobs", "Jobs", labels=["kind", "state"])
    found = {(kind, state): number for kind, state, number in _rows("SELECT kind, state, number FROM ecrf_jobs()")}
    for kind in Kind.values:
        for state in State.values:
            jobs.add_metric([kind, state], found.get((kind, state), 0))
    yield jobs
    waits = _open_jobs()[0] or 0
    yield GaugeMetricFamily("ecrf_oldest_waiting_job_seconds", "Wait of the oldest waiting job", value=waits)


def _open_jobs() -> tuple[float | None, float | None]:
    ((waits, silent),) = _rows("SELECT waits, silent FROM ecrf_open_jobs()")
    return waits, silent


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


OF_THE_DATABASE: Final[Mapping[str, Callable[[], Sign]]] = {
    "worker": worker,
    "oldest_waiting_job": oldest_waiting_job,
}
SIGNS: Final[Mapping[str, Callable[[], Sign]]] = {}
IN_WORDS: Final[Mapping[str, Words]] = {
    "worker": Words(
        _("Worker"),
        _("Exports and endpoints wait; data entry goes on. Start a worker."),
        _("last seen %(seconds)s s ago"),
    ),
    "oldest_waiting_job": Words(
        _("Waiting jobs"),
        _("A job waits for more than five minutes. Look whether a worker runs and the broker answers."),
        _("the oldest waits for %(seconds)s s"),
    ),
}
