"""Statements of the hot path: those that every request or entry makes; those about few rows are prepared once.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew. Several go in one message and their answers come in
one, by the pipeline mode of libpq: the two processes wake each other once for all of them (docs/performance.md, "Where
the time goes"). A statement whose answer can wait goes with the next one (`execute_soon`), or at once, and runs while
this process does something else (`execute_ahead`). All run in the order in which they were given, those of Django too.
"""

import re
import select
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from threading import local
from typing import Any, ClassVar, NoReturn

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, IntegrityError, connections
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
    return _hear([_Sent(sql, parameters, prepare=prepare) for sql, parameters in statements])


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
    _after_them_others()
    _kept.waiting.append(_Sent(sql, parameters, prepare=True, then=then or _let_be, or_else=or_else))


def execute_ahead(sql: str, parameters: Sequence[Any]) -> None:
    """Have the server run a constant statement that gives no rows while this process goes on.

    What it is refused for is raised with the next statement, or at the end of the transaction.
    """
    sent = [*_kept.waiting, _Sent(sql, parameters, prepare=True)]
    with _messenger() as messenger:
        messenger.send(sent)
    _after_them_others()
    _kept.waiting.clear()
    _kept.ahead += sent


def send_what_waits() -> None:
    """Run what waits and wait for what runs."""
    if _kept.waiting or _kept.ahead:
        _hear([])


@contextmanager
def ending_with_what_waits() -> Iterator[None]:
    """End the transaction that Django has begun in one message with what waits after the block, or forget all of it."""
    try:
        yield
        commit()
    except BaseException:
        forget_what_waits()
        raise


def commit() -> None:
    """End the transaction that Django has begun, what waits and the COMMIT in one message.

    Django finds nothing left to commit then. Inside another transaction, or in one that is to be undone, only what
    waits is sent.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.savepoint_ids or database.needs_rollback:
        send_what_waits()
        return
    if any(one.then is not _let_be for one in (*_kept.ahead, *_kept.waiting)):
        send_what_waits()  # whose answer may undo all
    fetch_all(COMMIT)


def forget_what_waits() -> None:
    """Leave out what waits, and what comes of what runs, in a transaction that is undone."""
    ahead, _waiting = _take()
    if ahead:
        with suppress(DatabaseError), _messenger() as messenger:
            messenger.run([])


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
    """The messenger of a thread on its present connection, the statements that run and those that wait for the next."""

    messenger: "_Messenger | None" = None

    def __init__(self) -> None:
        self.ahead: list[_Sent] = []
        self.waiting: list[_Sent] = []


_kept = _Kept()


def _hear(sent: Sequence[_Sent]) -> list[list[Row]]:
    """Send statements after those that wait; return the rows of each. Raises what the first that failed is worth."""
    ahead, waiting = _take()
    asked = [*ahead, *waiting, *sent]
    with _messenger() as messenger:
        found, failure = messenger.run([*waiting, *sent])
    for one, rows in zip(asked, found, strict=False):  # those that came before a failure
        one.then(rows)
    if failure is not None:
        _raise(failure, of=asked[len(found)] if len(found) < len(asked) else None)
    return found[len(ahead) + len(waiting) :]


def _take() -> tuple[list[_Sent], list[_Sent]]:
    """Return what runs and what waits, of which the caller takes care now."""
    ahead, _kept.ahead = _kept.ahead, []
    waiting, _kept.waiting = _kept.waiting, []
    if ahead or waiting:
        connections[DEFAULT_DB_ALIAS].execute_wrappers.remove(_after_what_waits)
    return ahead, waiting


def _after_them_others() -> None:
    """Have Django run statements of its own after those that run or wait."""
    if not _kept.ahead and not _kept.waiting:
        # First of all: who adds a wrapper for a while takes the last one off.
        connections[DEFAULT_DB_ALIAS].execute_wrappers.insert(0, _after_what_waits)


def _after_what_waits(execute: Callable[..., Any], *arguments: Any) -> Any:
    send_what_waits()
    return execute(*arguments)


@contextmanager
def _messenger() -> Iterator["_Messenger"]:
    """Give the messenger of the present connection; a new connection has a new one. Raises Django's exceptions."""
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        database.ensure_connection()
        if _kept.messenger is None or _kept.messenger.driver is not database.connection:
            _kept.messenger = _Messenger(database.connection)
        try:
            yield _kept.messenger
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


class _Messenger:
    """Sends statements over one connection, and knows which of them are prepared there."""

    numbers: ClassVar = count()

    def __init__(self, driver: psycopg.Connection[Row]) -> None:
        self.driver = driver
        self._names: dict[str, bytes] = {}
        self._preparing: dict[str, bytes] = {}
        # Messages whose answers are still to be received, each with the names of what it prepares.
        self._sent: list[tuple[Sequence[_Sent], Mapping[str, bytes]]] = []
        # They know how values of each type are written and read: to find it out anew takes longer than doing it.
        self._writer, self._reader = Transformer(driver), Transformer(driver)
        self._poll = select.poll()
        self._poll.register(driver.fileno(), select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(driver.fileno(), select.POLLIN | select.POLLOUT)

    def send(self, sent: Sequence[_Sent]) -> None:
        """Send statements in one message, whose answers `run` receives. Raises psycopg's exceptions."""
        written = [self._writer.dump_sequence(one.parameters, [PyFormat.TEXT] * len(one.parameters)) for one in sent]
        new = self._new_names(sent)
        with self._all_or_closed():
            if not self._sent:
                self.driver.pgconn.enter_pipeline_mode()
            self._preparing |= new
            self._sent.append((sent, new))
            self._send(sent, written, new=new)

    def run(self, sent: Sequence[_Sent]) -> tuple[list[list[Row]], psycopg.Error | None]:
        """Send statements; return the rows of all that were sent and succeeded before one failed, and what failed.

        Raises psycopg's exceptions when they could not be sent or answered.
        """
        if sent:
            self.send(sent)
        messages, self._sent = self._sent, []
        with self._all_or_closed():
            answers = [self._received() for _message in messages]
            self.driver.pgconn.exit_pipeline_mode()
        found: list[list[Row]] = []
        for (asked, new), results in zip(messages, answers, strict=True):
            self._note_names(new, results[-len(asked) - len(new) : -len(asked)])
            found += [self._rows(result) for result in results[-len(asked) :] if result.status not in FAILED]
            if (failure := self._first_failure(results)) is not None:
                return found, failure
        if sent and sent[-1].sql == COMMIT[0] and results[-1].command_status != b"COMMIT":
            return found, psycopg.errors.InFailedSqlTransaction("A statement failed before: nothing of this was saved.")
        return found, None

    def _new_names(self, sent: Iterable[_Sent]) -> dict[str, bytes]:
        """Return names for the statements that are to be prepared and are not yet."""
        if not settings.PREPARE_STATEMENTS:
            return {}
        texts = [one.sql for one in sent if one.prepare and self._name_of(one) is None]
        return {text: b"ecrf_%d" % next(self.numbers) for text in texts}

    def _note_names(self, new: Mapping[str, bytes], results: Iterable[PGresult]) -> None:
        """Note which statements were prepared: they stay so when their transaction is undone."""
        for (text, name), result in zip(new.items(), results, strict=True):
            del self._preparing[text]
            if result.status == ExecStatus.COMMAND_OK:
                self._names[text] = name

    def _name_of(self, one: _Sent) -> bytes | None:
        """Return the name under which a statement is prepared, or will be when its turn comes."""
        return self._names.get(one.sql) or self._preparing.get(one.sql) if one.prepare else None

    def _send(self, sent: Sequence[_Sent], parameters: Sequence[Sequence[Any]], *, new: Mapping[str, bytes]) -> None:
        """Send statements, in the transaction that Django wants; those that have a name are or become prepared."""
        connection = self.driver.pgconn
        if not self.driver.autocommit and connection.transaction_status == TransactionStatus.IDLE:
            connection.send_query_params(b"BEGIN", None)
        for text, name in new.items():
            connection.send_prepare(name, _numbered(text))
        for one, given in zip(sent, parameters, strict=True):
            known = self._name_of(one)
            if known is not None:
                connection.send_query_prepared(known, given)
            else:
                connection.send_query_params(_numbered(one.sql), given)
        connection.pipeline_sync()
        while connection.flush():
            self._poll_both.poll()
            connection.consume_input()

    @contextmanager
    def _all_or_closed(self) -> Iterator[None]:
        """Close the connection if the block fails, for it is unknown then what is under way.

        Who was interrupted wants none of it done.
        """
        try:
            yield
        except BaseException as error:
            if not isinstance(error, psycopg.Error):
                with suppress(psycopg.Error):
                    self.driver.cancel_safe(timeout=1)
            self.driver.close()
            raise

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
