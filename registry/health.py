"""Whether we are alive and ready, for whoever watches: a probe, a load balancer, Prometheus.

Ready means that data can be entered. A broker, worker or scheduler that is missing degrades; it stops no entry.
"""

import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import msgspec
from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.module_loading import module_has_submodule
from django.views import View
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily

from registry import measures
from registry.vital_signs import Sign, Status

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 1.0
"""Whoever asks more often gets the last answer: nobody can load the database by asking."""
DATABASE_MILLISECONDS: Final = 2_000


class Health(msgspec.Struct, frozen=True):
    """How everything stands: the worst of its signs."""

    status: Status
    checks: Mapping[str, Sign]


class _Kept:
    """The last answer; while one thread looks, the others get the one before."""

    def __init__(self, look: Callable[[], Health]) -> None:
        self.look, self.health, self.at = look, None, 0.0  # type: Callable[[], Health], Health | None, float
        self.looking = threading.Lock()

    def get(self) -> Health:
        if self.health is not None and time.monotonic() - self.at < KEPT_SECONDS:
            return self.health
        if not self.looking.acquire(blocking=self.health is None):
            return self.health  # type: ignore[return-value]  # only taken without waiting when there is one
        try:
            self.health = self.look()
            self.at = time.monotonic()
            return self.health
        finally:
            self.looking.release()

    def forget(self) -> None:
        self.health = None


@method_decorator(login_not_required, name="dispatch")
class Alive(View):
    """This process answers; nothing else is asked, so that no other trouble restarts it."""

    def get(self, _request: HttpRequest) -> HttpResponse:
        """Answer."""
        return HttpResponse("alive\n", content_type="text/plain")


@method_decorator(login_not_required, name="dispatch")
class Ready(View):
    """How everything stands: 200 where data can be entered or at least read, else 503."""

    def get(self, _request: HttpRequest) -> HttpResponse:
        """Answer with each sign."""
        health = kept.get()
        status = 503 if health.status == Status.DOWN else 200
        return HttpResponse(msgspec.json.encode(health), status=status, content_type="application/json")


@method_decorator(login_not_required, name="dispatch")
class Metrics(View):
    """What Prometheus reads, if it sends METRICS_TOKEN; where none is set there is nothing here.

    An address is no proof: behind a proxy on the same machine everybody comes from loopback.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer with all measurements."""
        expected = f"Bearer {settings.METRICS_TOKEN}" if settings.METRICS_TOKEN else None
        given = request.headers.get("Authorization", "")
        if expected is None or not hmac.compare_digest(given.encode(), expected.encode()):
            raise Http404
        return HttpResponse(measures.as_text(_gauges()), content_type=CONTENT_TYPE_LATEST)


def look() -> Health:
    """Look at every sign, now."""
    modules = list(vital_signs())
    checks = _of_the_database({name: sign for module in modules for name, sign in module.OF_THE_DATABASE.items()})
    checks |= {name: sign() for module in modules for name, sign in module.SIGNS.items()}
    found = {sign.status for sign in checks.values()}
    worst = next((status for status in (Status.DOWN, Status.DEGRADED) if status in found), Status.OK)
    return Health(worst, checks)


kept: Final = _Kept(look)


def _of_the_database(signs: Mapping[str, Callable[[], Sign]]) -> dict[str, Sign]:
    """Return what the database says, as far as it answers in time."""
    checks = {"database": Sign(Status.DOWN, "does not answer")}
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {DATABASE_MILLISECONDS}")
            found = {name: sign() for name, sign in signs.items()}
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the database does not answer the health page: %s", type(error).__name__)
        return checks | _without_tables()
    return {"database": Sign(Status.OK), **found}


def _without_tables() -> dict[str, Sign]:
    """Return what is known of a database that lacks our tables: an empty one answers, and is no less down."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('registry_heartbeat') IS NULL")
            if cursor.fetchone()[0]:
                return {"migrations": Sign(Status.DOWN, "migrations are missing: run manage.py migrate")}
    except (DatabaseError, InterfaceError):
        connection.close()
    return {}


def _gauges() -> Iterator[GaugeMetricFamily]:
    """Yield what the apps tell from the database; a database that is down must not hide the counters."""
    try:
        for module in vital_signs():
            yield from module.gauges()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the database does not answer Prometheus: %s", type(error).__name__)


def vital_signs() -> Iterator[Any]:
    """Yield the module `vital_signs` of each app that has one."""
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "vital_signs"):
            yield import_module(f"{app.name}.vital_signs")
