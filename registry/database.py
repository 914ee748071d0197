"""Statements of the hot path: those that every request or entry makes, prepared once on each connection.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew (docs/performance.md, "Where the time goes").
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import local
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Row = tuple[Any, ...]


class _Kept(local):
    """The cursors of a thread on its present connection, by statement.

    A cursor that runs its statement again has the ways to write the parameters and to read the rows at hand, which
    are half the work of running it.
    """

    def __init__(self) -> None:
        self.driver: psycopg.Connection[Row] | None = None
        self.cursors: dict[str, psycopg.Cursor[Row]] = {}

    def cursor(self, sql: str, *, on: psycopg.Connection[Row]) -> psycopg.Cursor[Row]:
        """Return the cursor of a statement; on a new connection all are new."""
        if on is not self.driver:
            self.driver, self.cursors = on, {}
        cursor = self.cursors.get(sql)
        if cursor is None:
            cursor = self.cursors[sql] = psycopg.Cursor(on)
        return cursor


_kept = _Kept()


def fetch_row(sql: str, parameters: Sequence[Any]) -> Row | None:
    """Return the first row that a constant statement gives, None when there is none."""
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        row: Row | None = _execute(database, sql, parameters).fetchone()
        return row


def execute(sql: str, parameters: Sequence[Any]) -> None:
    """Run a constant statement that gives no rows. Raises Django's database exceptions."""
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        _execute(database, sql, parameters)


@contextmanager
def several(sql: str, parameters: Sequence[Any]) -> Iterator[psycopg.Cursor[Row]]:
    """Run statements joined by semicolons in one round trip; the cursor is at the rows of the first of them."""
    with connection.wrap_database_errors:
        connection.ensure_connection()
        cursor = psycopg.ClientCursor(connection.connection)
        cursor.execute(sql.encode(), parameters)
        yield cursor


def _execute(database: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> psycopg.Cursor[Row]:
    database.ensure_connection()
    cursor = _kept.cursor(sql, on=database.connection)
    return cursor.execute(_encoded(sql), parameters, prepare=settings.PREPARE_STATEMENTS)


@cache
def _encoded(sql: str) -> bytes:
    """Return the statement as bytes, always the same: by that a cursor knows it again."""
    return sql.encode()
