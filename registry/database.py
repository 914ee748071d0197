"""Statements of the hot path: those that every request or entry makes, prepared once on each connection.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew. Several go in one message and their answers come in
one, by the pipeline mode of libpq: the two processes wake each other once for all of them (docs/performance.md, "Where
the time goes").
"""

import re
import select
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from threading import local
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]
"""A constant text with %s in the place of each parameter, and the parameters; the server infers their types."""

COMMIT: Statement = ("COMMIT", ())
FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)


def fetch_row(sql: str, parameters: Sequence[Any]) -> Row | None:
    """Return the first row that a constant statement gives, None when there is none."""
    rows = fetch_all((sql, parameters))[0]
    return rows[0] if rows else None


def execute(sql: str, parameters: Sequence[Any]) -> None:
    """Run a constant statement that gives no rows. Raises Django's database exceptions."""
    fetch_all((sql, parameters))


def fetch_all(*statements: Statement) -> list[list[Row]]:
    """Run constant statements, one after the other, in one round trip; return the rows of each.

    Each sees what was committed before it began. The first that fails ends it. Raises Django's database exceptions.
    """
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        database.ensure_connection()
        try:
            return _messenger_on(database.connection).fetch_all(statements)
        finally:
            if database.connection.closed:
                database.close()


def execute_at_commit(sql: str, parameters: Sequence[Any]) -> None:
    """Have a constant statement that gives no rows go with the next `commit`."""
    _kept.at_commit.append((sql, parameters))


def commit() -> None:
    """End the transaction that Django has begun, what was left for its end and the COMMIT in one message.

    Django finds nothing left to commit then. Inside another transaction, or in one that is to be undone, only what was
    left for the end is sent.
    """
    database = connections[DEFAULT_DB_ALIAS]
    statements, _kept.at_commit = _kept.at_commit, []
    if not database.savepoint_ids and not database.needs_rollback:
        statements.append(COMMIT)
    if statements:
        fetch_all(*statements)


def forget_what_was_left() -> None:
    """Leave out what was left for the end of a transaction that is undone."""
    _kept.at_commit = []


class _Kept(local):
    """The messenger of a thread on its present connection, and what it sends at the end of the transaction."""

    messenger: "_Messenger | None" = None

    def __init__(self) -> None:
        self.at_commit: list[Statement] = []


_kept = _Kept()


def _messenger_on(driver: psycopg.Connection[Row]) -> "_Messenger":
    """Return the messenger of a connection; a new connection has a new one."""
    if _kept.messenger is None or _kept.messenger.driver is not driver:
        _kept.messenger = _Messenger(driver)
    return _kept.messenger


class _Messenger:
    """Sends statements over one connection, and knows which of them are prepared there."""

    def __init__(self, driver: psycopg.Connection[Row]) -> None:
        self.driver = driver
        self._numbers = count()
        self._names: dict[str, bytes] = {}
        self._poll = select.poll()
        self._poll.register(driver.fileno(), select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(driver.fileno(), select.POLLIN | select.POLLOUT)

    def fetch_all(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Send statements in one message and return the rows of each. Raises psycopg's exceptions."""
        writer = Transformer(self.driver)
        written = [writer.dump_sequence(given, [PyFormat.TEXT] * len(given)) for _sql, given in statements]
        try:
            self.driver.pgconn.enter_pipeline_mode()
            prepared = self._send([sql for sql, _given in statements], written)
            results = self._received()
            self.driver.pgconn.exit_pipeline_mode()
        except BaseException:
            self.driver.close()  # what was under way on it is unknown
            raise
        for result in results:
            if result.status in FAILED:
                raise psycopg.errors.error_from_result(result, encoding=self.driver.info.encoding)
        if statements[-1] is COMMIT and results[-1].command_status != b"COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("A statement failed before: nothing of this was saved.")
        self._names |= prepared
        return [self._rows(result) for result in results[-len(statements) :]]

    def _send(self, texts: Sequence[str], parameters: Sequence[Sequence[Any]]) -> dict[str, bytes]:
        """Send statements, in the transaction that Django wants; return the names of those that this prepares."""
        connection, prepared = self.driver.pgconn, self._prepared_for(texts)
        if not self.driver.autocommit and connection.transaction_status == TransactionStatus.IDLE:
            connection.send_query_params(b"BEGIN", None)
        for text, name in prepared.items():
            connection.send_prepare(name, _numbered(text))
        for text, given in zip(texts, parameters, strict=True):
            known = self._names.get(text) or prepared.get(text)
            if known is None:
                connection.send_query_params(_numbered(text), given)
            else:
                connection.send_query_prepared(known, given)
        connection.pipeline_sync()
        while connection.flush():
            self._poll_both.poll()
            connection.consume_input()
        return prepared

    def _prepared_for(self, texts: Iterable[str]) -> dict[str, bytes]:
        """Return a name for each statement that is to be prepared first."""
        if not settings.PREPARE_STATEMENTS:
            return {}
        return {text: b"ecrf_%d" % next(self._numbers) for text in texts if text not in self._names}

    def _received(self) -> list[PGresult]:
        """Wait for the answers and return them, those to BEGIN and to preparing first."""
        connection = self.driver.pgconn
        results: list[PGresult] = []
        while True:
            while connection.is_busy():
                self._poll.poll()
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                if connection.status == ConnStatus.BAD:
                    raise psycopg.OperationalError(connection.get_error_message())
            elif result.status == ExecStatus.PIPELINE_SYNC:
                return results
            else:
                results.append(result)

    def _rows(self, result: PGresult) -> list[Row]:
        if not result.ntuples:
            return []
        reader = Transformer(self.driver)
        reader.set_pgresult(result)
        return reader.load_rows(0, result.ntuples, tuple)


@cache
def _numbered(sql: str) -> bytes:
    """Return a statement with $1, $2, ... in the place of each %s."""
    numbers = count(1)
    return re.sub("%s", lambda _found: f"${next(numbers)}", sql).encode()
