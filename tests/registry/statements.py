"""Statements that the tests of the hot path run, and what they look at afterwards."""

import time

import psycopg
from django.db import connection

BACKEND = "SELECT pg_backend_pid(), %s::int"
INSERT = "INSERT INTO registry_site (code, name) VALUES (%s, %s)"


def there(*codes):
    """Return those of the sites that are there, asked through Django's cursor."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT code FROM registry_site WHERE code = ANY(%s)", [list(codes)])
        return {code for (code,) in cursor.fetchall()}


def prepared_here():
    """Return how many statements are prepared on the connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        return cursor.fetchone()[0]


def wait_until_it_sleeps(backend):
    """Return when the server process `backend` is in pg_sleep: a cancellation before that would be passed over."""
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    deadline = time.monotonic() + 60
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}, autocommit=True) as watch:
        while watch.execute(asleep, [backend]).fetchone() != (1,):
            assert time.monotonic() < deadline
