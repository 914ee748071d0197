"""Statements of the hot path: those that every request or entry makes; those about few rows are prepared once.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew. Several go in one message and their answers come in
one, by the pipeline mode of libpq: the two processes wake each other once for all of them (docs/performance.md, "Where
the time goes"). A statement whose answer can wait goes with the next one (`execute_soon`), in the order in which they
were given, Django's own statements included.
"""

import re
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from threading import local
from typing import Any, ClassVar, NoReturn

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections
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
    waiting = _take_what_waits()
    sent = [*waiting, *(_Sent(sql, parameters, prepare=prepare) for sql, parameters in statements)]
    found, failure = _run(sent)
    for one, rows in zip(waiting, found, strict=False):  # those that came before a failure
        one.then(rows)
    if failure is not None:
        _raise(failure, of=sent[len(found)] if len(found) < len(sent) else None)
    return found[len(waiting) :]


def execute_soon(
    sql: str,
    parameters: Sequence[Any],
    *,
    then: Callable[[list[Row]], None] | None = None,
    or_else: Callable[[IntegrityError], Exception] | None = None,
) -> None:
    """Have a constant statement run before the next one of this transaction, in one message with it, or with its end.

    `then` is given its rows; it may raise to have the transaction undone. `or_else` returns what is raised, with the
    next statement or at the end, when the database refuses the row.
    """
    if not _kept.waiting:
        connections[DEFAULT_DB_ALIAS].execute_wrappers.append(_after_what_waits)
    _kept.waiting.append(_Sent(sql, parameters, prepare=True, then=then or _let_be, or_else=or_else))


def send_what_waits() -> None:
    """Run what `execute_soon` was given, now."""
    if _kept.waiting:
        fetch_all()


def commit() -> None:
    """End the transaction that Django has begun, what waits and the COMMIT in one message.

    Django finds nothing left to commit then. Inside another transaction, or in one that is to be undone, only what
    waits is sent.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.savepoint_ids or database.needs_rollback:
        send_what_waits()
        return
    if any(one.then is not _let_be for one in _kept.waiting):
        send_what_waits()  # whose answer may undo all
    fetch_all(COMMIT)


def forget_what_waits() -> None:
    """Leave out what waits in a transaction that is undone."""
    _take_what_waits()


def _let_be(_rows: list[Row]) -> None:
    """Want nothing of the rows."""


@dataclass(slots=True)
class _Sent:
    """A statement on its way to the database."""

    sql: str
    parameters: Sequence[Any]
    prepare: bool
    then: Callable[[list[Row]], None] = _let_be
    or_else: Callable[[IntegrityError], Exception] | None = None


class _Kept(local):
    """The messenger of a thread on its present connection, and the statements that wait for the next."""

    messenger: "_Messenger | None" = None

    def __init__(self) -> None:
        self.waiting: list[_Sent] = []


_kept = _Kept()


def _take_what_waits() -> list[_Sent]:
    waiting, _kept.waiting = _kept.waiting, []
    if waiting:
        connections[DEFAULT_DB_ALIAS].execute_wrappers.remove(_after_what_waits)
    return waiting


def _after_what_waits(execute: Callable[..., Any], *arguments: Any) -> Any:
    """Run a statement of Django's own after those that wait."""
    send_what_waits()
    return execute(*arguments)


def _run(sent: Sequence[_Sent]) -> tuple[list[list[Row]], psycopg.Error | None]:
    """Send statements; return the rows of those that succeeded, and what ended them before the last."""
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        database.ensure_connection()
        try:
            return _messenger_on(database.connection).run(sent)
        finally:
            if database.connection.closed:
                database.close()


def _raise(failure: psycopg.Error, *, of: _Sent | None) -> NoReturn:
    """Raise what ended a message as Django's exception, or as what its statement wants instead."""
    try:
        with connections[DEFAULT_DB_ALIAS].wrap_database_errors:
            raise failure
    except IntegrityError as refused:
        if of is None or of.or_else is None:
            raise
        raise of.or_else(refused) from refused


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
        # They know how values of each type are written and read: to find it out anew takes longer than doing it.
        self._writer, self._reader = Transformer(driver), Transformer(driver)
        self._poll = select.poll()
        self._poll.register(driver.fileno(), select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(driver.fileno(), select.POLLIN | select.POLLOUT)

    def run(self, sent: Sequence[_Sent]) -> tuple[list[list[Row]], psycopg.Error | None]:
        """Send statements in one message; return the rows of those that succeeded, and what failed.

        Raises psycopg's exceptions when they could not be sent or answered.
        """
        connection = self.driver.pgconn
        written = [self._writer.dump_sequence(one.parameters, [PyFormat.TEXT] * len(one.parameters)) for one in sent]
        new = self._new_names(sent) if settings.PREPARE_STATEMENTS else {}
        try:
            connection.enter_pipeline_mode()
            self._send(sent, written, new=new)
            results = self._received()
            connection.exit_pipeline_mode()
        except BaseException as error:
            self._give_up(error)
            raise
        answers = results[-len(sent) :]
        if new:
            self._note_names(new, results[-len(sent) - len(new) : -len(sent)])
        failure = self._first_failure(results)
        if failure is None and sent[-1].sql == COMMIT[0] and answers[-1].command_status != b"COMMIT":
            failure = psycopg.errors.InFailedSqlTransaction("A statement failed before: nothing of this was saved.")
        return [self._rows(result) for result in answers if result.status not in FAILED], failure

    def _new_names(self, sent: Iterable[_Sent]) -> dict[str, bytes]:
        """Return names for the statements that are to be prepared and are not yet."""
        texts = [one.sql for one in sent if one.prepare and one.sql not in self._names]
        return {text: b"ecrf_%d" % next(self.numbers) for text in texts}

    def _note_names(self, new: Mapping[str, bytes], results: Iterable[PGresult]) -> None:
        """Note which statements were prepared: they stay so when their transaction is undone."""
        for (text, name), result in zip(new.items(), results, strict=True):
            if result.status == ExecStatus.COMMAND_OK:
                self._names[text] = name

    def _send(self, sent: Sequence[_Sent], parameters: Sequence[Sequence[Any]], *, new: Mapping[str, bytes]) -> None:
        """Send statements, in the transaction that Django wants; those that have a name are or become prepared."""
        connection = self.driver.pgconn
        if not self.driver.autocommit and connection.transaction_status == TransactionStatus.IDLE:
            connection.send_query_params(b"BEGIN", None)
        for text, name in new.items():
            connection.send_prepare(name, _numbered(text))
        for one, given in zip(sent, parameters, strict=True):
            known = self._names.get(one.sql) or new.get(one.sql) if one.prepare else None
            if known is not None:
                connection.send_query_prepared(known, given)
            else:
                connection.send_query_params(_numbered(one.sql), given)
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

    def _first_failure(self, results: Iterable[PGresult]) -> psycopg.Error | None:
        for result in results:
            if result.status in FAILED:
                error = psycopg.errors.error_from_result(result, encoding=self.driver.info.encoding)
                if error.sqlstate in OUTDATED:
                    self._names.clear()
                return error
        return None

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
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, tuple)


@lru_cache(1_000)
def _numbered(sql: str) -> bytes:
    """Return a statement with $1, $2, ... in the place of each %s."""
    numbers = count(1)
    return re.sub("%s", lambda _found: f"${next(numbers)}", sql).encode()
