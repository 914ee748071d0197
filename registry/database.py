"""Statements of the hot path: those that every request or entry makes, prepared once on each connection.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew (docs/performance.md, "Where the time goes").
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

Row = tuple[Any, ...]


def fetch_row(sql: str, parameters: Sequence[Any]) -> Row | None:
    """Return the first row that a constant statement gives, None when there is none."""
    with connection.wrap_database_errors:
        row: Row | None = _execute(sql, parameters).fetchone()
        return row


def execute(sql: str, parameters: Sequence[Any]) -> None:
    """Run a constant statement that gives no rows. Raises Django's database exceptions."""
    with connection.wrap_database_errors:
        _execute(sql, parameters)


@contextmanager
def several(sql: str, parameters: Sequence[Any]) -> Iterator[psycopg.Cursor[Row]]:
    """Run statements joined by semicolons in one round trip; the cursor is at the rows of the first of them."""
    with connection.wrap_database_errors:
        connection.ensure_connection()
        cursor = psycopg.ClientCursor(connection.connection)
        cursor.execute(sql.encode(), parameters)
        yield cursor


def _execute(sql: str, parameters: Sequence[Any]) -> psycopg.Cursor[Row]:
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    cursor.execute(sql.encode(), parameters, prepare=settings.PREPARE_STATEMENTS)
    return cursor
