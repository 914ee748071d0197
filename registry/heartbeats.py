"""Heartbeats of scheduler and worker: rows, because a broker that is down must not look like a dead worker."""

import logging

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from registry.models import Heart

logger = logging.getLogger(__name__)


def beat(heart: Heart) -> None:
    """Note that a program lives, now by the clock of the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO registry_heartbeat (kind, at) VALUES (%s, clock_timestamp())"
            " ON CONFLICT (kind) DO UPDATE SET at = excluded.at",
            [heart.value],
        )


def beat_of_the_scheduler() -> None:
    """Note that the scheduler lives; it goes on where the database is not there."""
    close_old_connections()  # the scheduler has no requests or tasks whose end would do it
    try:
        beat(Heart.SCHEDULER)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the scheduler's heartbeat was not saved: %s", type(error).__name__)


def seconds_since_beats() -> dict[str, float]:
    """Return how long ago each kind of program last showed that it lives; those never seen are left out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT kind, extract(epoch FROM clock_timestamp() - at)::float8 FROM registry_heartbeat")
        return dict(cursor.fetchall())
