"""What `/readyz` looks at, sign by sign. Each app may have a module of this name.

It has the signs (`OF_THE_DATABASE`, `SIGNS`), what the health page says of them (`IN_WORDS`), and `gauges`.

A sign says how it stands and what that means in numbers of the machine: nothing of versions, names or patients.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec
import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from prometheus_client.core import GaugeMetricFamily

from registry import measures
from registry.application_role import IS_UNFIT
from registry.heartbeats import seconds_since_beats
from registry.models import Heart

BROKER_SECONDS: Final = 1
SILENT_SECONDS: Final = 30
"""Six heartbeats: a slow moment is no alarm."""
SKEW_SECONDS: Final = 5
"""Far more than clocks kept by NTP differ; moments are the database's, so that nothing breaks, but logs mislead."""
LEAST_FREE: Final = 0.05
LEAST_FREE_BYTES: Final = 1_000_000_000


class Status(StrEnum):
    """How one thing, or all together, stands."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class Sign(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one thing stands, why if not well, and its measure."""

    status: Status
    detail: str | None = None
    seconds: float | None = None
    free_percent: int | None = None


class Words(msgspec.Struct, frozen=True):
    """What a sign is called, what its measure means (`%(seconds)s`, `%(percent)s`), and what to do if not well."""

    name: Any
    remedy: Any
    measure: Any = ""


OK: Final = Sign(Status.OK)


def writing() -> Sign:
    """Tell whether the database takes what is entered."""
    if _value("SELECT current_setting('transaction_read_only')::bool"):
        return Sign(Status.DEGRADED, "the database only lets itself be read")
    return OK


def migrations() -> Sign:
    """Tell whether every migration of this software was run."""
    return Sign(Status.DOWN, "migrations are missing: run manage.py migrate") if missing_migrations() else OK


def role() -> Sign:
    """Tell whether row-level security holds for the role that this process has."""
    free = _value(IS_UNFIT)
    return Sign(Status.DEGRADED, "row-level security does not hold for the application's role") if free else OK


def clock() -> Sign:
    """Compare this machine's clock with the database's."""
    skew = abs(float(_value("SELECT extract(epoch FROM clock_timestamp())::float8")) - timezone.now().timestamp())
    status, detail = (Status.DEGRADED, "the clocks differ") if skew > SKEW_SECONDS else (Status.OK, None)
    return Sign(status, detail, seconds=round(skew, 1))


def scheduler() -> Sign:
    """Tell when the scheduler last showed that it lives."""
    return sign_of_life(seconds_since_beats().get(Heart.SCHEDULER))


def sign_of_life(seconds: float | None) -> Sign:
    """Return the sign of a program that showed `seconds` ago that it lives, None if it never did."""
    if seconds is None:
        return Sign(Status.DEGRADED, "was never seen")
    if seconds > SILENT_SECONDS:
        return Sign(Status.DEGRADED, "is silent", seconds=round(seconds, 1))
    return Sign(Status.OK, seconds=round(max(seconds, 0), 1))


def broker() -> Sign:
    """Tell whether the broker answers, within a second."""
    patience = {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS}
    try:
        with redis.Redis.from_url(settings.BROKER_URL, **patience) as server:
            server.ping()
    except (redis.RedisError, OSError):
        return Sign(Status.DEGRADED, "does not answer: jobs wait, data entry goes on")
    return OK


def disk() -> Sign:
    """Tell how much of the disk under VAR_DIR is free."""
    room = shutil.disk_usage(settings.VAR_DIR)
    percent = room.free * 100 // room.total
    if room.free < min(LEAST_FREE_BYTES, LEAST_FREE * room.total):
        return Sign(Status.DEGRADED, "is nearly full", free_percent=percent)
    return Sign(Status.OK, free_percent=percent)


def missing_migrations() -> list[str]:
    """Return the names (`app.name`) of the migrations of this software that the database does not have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app || '.' || name FROM django_migrations")
        applied = {name for (name,) in cursor.fetchall()}
    return sorted(known_migrations() - applied)


@cache
def known_migrations() -> frozenset[str]:
    """Return the names of all migrations of this software."""
    return frozenset(f"{app}.{name}" for app, name in MigrationLoader(None).graph.nodes)


def gauges() -> Iterator[GaugeMetricFamily]:
    """Yield what Prometheus may know beside the counters."""
    yield from measures.connections()


def _value(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


# In their order; those of the database are looked at in one transaction.
OF_THE_DATABASE: Final[Mapping[str, Callable[[], Sign]]] = {
    "writing": writing,
    "migrations": migrations,
    "role": role,
    "clock": clock,
    "scheduler": scheduler,
}
SIGNS: Final[Mapping[str, Callable[[], Sign]]] = {"broker": broker, "disk": disk}
IN_WORDS: Final[Mapping[str, Words]] = {
    "database": Words(_("Database"), _("Nothing can be read or entered. Start PostgreSQL, then look at its log.")),
    "writing": Words(
        _("Writing"), _("The database only lets itself be read. Look whether it is a stand-by, or its disk is full.")
    ),
    "migrations": Words(_("Version of the database"), _("The database is of another version. Run manage.py migrate.")),
    "role": Words(
        _("Sites kept apart"),
        _("The database lets the application see every site. Run manage.py migrate."),
    ),
    "clock": Words(
        _("Clock"),
        _("The clocks of this machine and of the database differ. Set both by NTP."),
        _("%(seconds)s s apart"),
    ),
    "scheduler": Words(
        _("Scheduler"),
        _("Endpoints are not brought up to date by themselves, and jobs that got stuck stay so. Start the scheduler."),
        _("last seen %(seconds)s s ago"),
    ),
    "broker": Words(_("Broker"), _("Jobs wait; data entry goes on. Start Valkey or Redis, or look at BROKER_URL.")),
    "disk": Words(
        _("Disk"),
        _("It is nearly full: backups and exports will fail, then entries. Make room."),
        _("%(percent)s %% free"),
    ),
}
