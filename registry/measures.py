"""What Prometheus may read at `/metrics`. No label ever comes from a request's text or from data of a patient.

Counters belong to a web process; gunicorn's processes keep theirs in files of one folder, from which whichever
process is asked adds them up (`registry.web_server`). What a database row tells is read when it is asked for.
"""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from django.db import connection, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from registry import tracing
from registry.logs import route_of

METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))
STATES_OF_CONNECTIONS: Final = ("active", "idle", "idle in transaction", "idle in transaction (aborted)")
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_COUNTED: Final = CollectorRegistry()
REQUESTS: Final = Counter("ecrf_requests", "Answered requests", ["method", "route", "status"], registry=_COUNTED)
LATENCY: Final = Histogram("ecrf_request_seconds", "Time to the answer", ["route"], registry=_COUNTED, buckets=SECONDS)
SAVED: Final = Counter("ecrf_entries_saved", "Entries created or changed", ["form", "door"], registry=_COUNTED)


def request_was_answered(request: HttpRequest, response: HttpResponseBase, *, seconds: float) -> None:
    """Count a request by method, route and status, and its time by route."""
    route = route_of(request)
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(method, route, str(response.status_code)).inc()
    LATENCY.labels(route).observe(seconds)


def entries_were_saved(form: str, *, number: int) -> None:
    """Count entries of a form, by the door of the transaction, once that is committed."""
    transaction.on_commit(partial(SAVED.labels(form, tracing.door.get() or "other").inc, number))


def as_text(gauges: Iterable[GaugeMetricFamily]) -> bytes:
    """Return all measurements, and `gauges`, in Prometheus' text format."""
    asked = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(asked)  # type: ignore[no-untyped-call]  # it registers itself
        counted = generate_latest(asked)
    else:
        counted = generate_latest(_COUNTED)
    now = CollectorRegistry()
    now.register(_Read(list(gauges)))
    return counted + generate_latest(now)


class _Read(Collector):
    """What was read just now."""

    def __init__(self, gauges: Iterable[GaugeMetricFamily]) -> None:
        self.gauges = gauges

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self.gauges


def connections() -> Iterator[GaugeMetricFamily]:
    """Yield how many connections the application's role has to its database, by state, and how many there can be."""
    opened = GaugeMetricFamily("ecrf_database_connections", "Connections of the application", labels=["state"])
    for state, number in _rows(
        "SELECT state, count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = current_user GROUP BY state"
    ):
        opened.add_metric([state if state in STATES_OF_CONNECTIONS else "other"], number)
    yield opened
    ((most,),) = _rows("SELECT current_setting('max_connections')::int")
    yield GaugeMetricFamily("ecrf_database_connections_max", "Connections that the server takes", value=most)


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
