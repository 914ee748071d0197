"""Statements of the hot path: those that every request or entry makes; those about few rows are prepared once.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew. Several go in one message and their answers come in
one, by the pipeline mode of libpq: the two processes wake each other once for all of them (docs/performance.md, "Where
the time goes").
"""

import re
import select
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from threading import local
from typing import Any, ClassVar

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]
"""A constant text with %s in the place of each parameter, and the parameters; the server infers their types. No % is
doubled."""

OUTDATED = ("0A000", "26000")
"""A table was changed under a prepared statement, or somebody forgot it: all are prepared anew."""
COMMIT: Statement = ("COMMIT", ())
FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)


def fetch_row(sql: str, parameters: Sequence[Any]) -> Row | None:
    """Return the first row that a constant statement gives, None when there is none."""
    rows = fetch_all((sql, parameters))[0]
    return rows[0] if rows else None


def execute(sql: str, parameters: Sequence[Any], *, prepare: bool = True) -> None:
    """Run a constant statement that gives no rows. Raises Django's database exceptions."""
    fetch_all((sql, parameters), prepare=prepare)


def fetch_all(*statements: Statement, prepare: bool = True) -> list[list[Row]]:
    """Run constant statements, one after the other, in one round trip; return the rows of each.

    Each sees what was committed before it began. The first that fails ends it. A prepared statement keeps the plan that
    was good for the tables as they were: `prepare` is for those that read a few rows by their key, again and again.
    Raises Django's database exceptions.
    """
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        database.ensure_connection()
        try:
            return _messenger_on(database.connection).fetch_all(
                statements, prepare=prepare and settings.PREPARE_STATEMENTS
            )
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

    numbers: ClassVar = count()

    def __init__(self, driver: psycopg.Connection[Row]) -> None:
        self.driver = driver
        self._names: dict[str, bytes] = {}
        self._poll = select.poll()
        self._poll.register(driver.fileno(), select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(driver.fileno(), select.POLLIN | select.POLLOUT)

    def fetch_all(self, statements: Sequence[Statement], *, prepare: bool) -> list[list[Row]]:
        """Send statements in one message and return the rows of each. Raises psycopg's exceptions."""
        writer, connection = Transformer(self.driver), self.driver.pgconn
        written = [writer.dump_sequence(given, [PyFormat.TEXT] * len(given)) for _sql, given in statements]
        texts = [sql for sql, _given in statements]
        new = {text: b"ecrf_%d" % next(self.numbers) for text in texts if text not in self._names} if prepare else {}
        try:
            connection.enter_pipeline_mode()
            self._send(texts, written, names=self._names | new if prepare else {}, new=new)
            results = self._received()
            connection.exit_pipeline_mode()
        except BaseException as error:
            self._give_up(error)
            raise
        answers = results[-len(statements) :]
        prepared = results[-len(statements) - len(new) : -len(statements)]
        # Statements stay prepared when their transaction is undone.
        self._names |= {
            text: name
            for (text, name), result in zip(new.items(), prepared, strict=True)
            if result.status == ExecStatus.COMMAND_OK
        }
        self._raise_the_first_failure(results)
        if statements[-1] is COMMIT and answers[-1].command_status != b"COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("A statement failed before: nothing of this was saved.")
        return [self._rows(result) for result in answers]

    def _send(
        self,
        texts: Sequence[str],
        parameters: Sequence[Sequence[Any]],
        *,
        names: Mapping[str, bytes],
        new: Mapping[str, bytes],
    ) -> None:
        """Send statements, in the transaction that Django wants; those that have a name are or become prepared."""
        connection = self.driver.pgconn
        if not self.driver.autocommit and connection.transaction_status == TransactionStatus.IDLE:
            connection.send_query_params(b"BEGIN", None)
        for text, name in new.items():
            connection.send_prepare(name, _numbered(text))
        for text, given in zip(texts, parameters, strict=True):
            if text in names:
                connection.send_query_prepared(names[text], given)
            else:
                connection.send_query_params(_numbered(text), given)
        connection.pipeline_sync()
        while connection.flush():
            self._poll_both.poll()
            connection.consume_input()

    def _give_up(self, error: BaseException) -> None:
        """Close the connection, on which it is unknown what is under way; who was interrupted wants none of it done."""
        if not isinstance(error, psycopg.Error):
            with suppress(psycopg.Error):
                self.driver.cancel_safe(timeout=1)
        self.driver.close()

    def _raise_the_first_failure(self, results: Iterable[PGresult]) -> None:
        for result in results:
            if result.status in FAILED:
                error = psycopg.errors.error_from_result(result, encoding=self.driver.info.encoding)
                if error.sqlstate in OUTDATED:
                    self._names.clear()
                raise error

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


@lru_cache(1_000)
def _numbered(sql: str) -> bytes:
    """Return a statement with $1, $2, ... in the place of each %s."""
    numbers = count(1)
    return re.sub("%s", lambda _found: f"${next(numbers)}", sql).encode()
