"""Statements of the hot path: those that every request or entry makes; those about few rows are prepared once.

They run on Django's connection, in its transaction and with its exceptions, but not through its cursor, which binds
parameters in Python and has the server plan each statement anew. Several go in one message and their answers come in
one (`registry.messenger`): the two processes wake each other once for all of them (docs/performance.md, "Where the time
goes"). A statement whose answer can wait goes with the next one (`execute_soon`), or at once, and runs while this
process does something else (`execute_ahead`, `fetch_ahead`). All run in the order in which they were given, those of
Django's cursors too; only what a cursor on the server fetches must not come between.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import local
from typing import Any, NoReturn

from django.db import DEFAULT_DB_ALIAS, DatabaseError, IntegrityError, connections

from registry.messenger import COMMIT, Asked, Failure, Messenger, Row, let_be

Statement = tuple[str, Sequence[Any]]
"""A constant text with %s in the place of each parameter, and the parameters; the server infers their types. No % is
doubled."""


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
    answers = _hear(*(Asked(sql, parameters, prepare=prepare) for sql, parameters in statements))
    return [rows for _asked, rows in answers[len(answers) - len(statements) :]]


def execute_soon(
    sql: str,
    parameters: Sequence[Any],
    *,
    then: Callable[[list[Row]], None] = let_be,
    or_else: Callable[[IntegrityError], Exception] | None = None,
) -> None:
    """Have a constant statement run before the next one, in one message with it, or with the end of the transaction.

    `then` is given its rows; it may raise to have the transaction undone. `or_else` returns what is raised, with the
    next statement or at the end, when the database refuses the row. Only within `ending_with_what_waits`.
    """
    _refuse_outside_of_a_block()
    with _messenger() as messenger:
        messenger.waiting.append(Asked(sql, parameters, then=then, or_else=or_else))


def execute_ahead(sql: str, parameters: Sequence[Any]) -> None:
    """Have the server run a constant statement that gives no rows while this process goes on.

    What it is refused for is raised with the next statement, or at the end of the transaction; with a savepoint that is
    undone, it goes unsaid. Only within `ending_with_what_waits`. Raises Django's database exceptions.
    """
    _refuse_outside_of_a_block()
    with _messenger() as messenger:
        messenger.send(Asked(sql, parameters))


def fetch_ahead(*statements: Statement, prepare: bool = True) -> Callable[[], list[list[Row]]]:
    """Have the server run constant statements while this process goes on; return what waits for the rows of each.

    Otherwise as `fetch_all`; what they are refused for is raised with the next statement, or by what is returned. Only
    within `ending_with_what_waits`.
    """
    _refuse_outside_of_a_block()
    found: dict[int, list[Row]] = {}
    asked = [
        Asked(sql, parameters, prepare=prepare, then=partial(found.__setitem__, place))
        for place, (sql, parameters) in enumerate(statements)
    ]
    with _messenger() as messenger:
        messenger.send(*asked)

    def rows() -> list[list[Row]]:
        send_what_waits()
        return [found[place] for place in range(len(asked))]

    return rows


def send_what_waits() -> None:
    """Run what waits, and wait for what is under way."""
    if _kept.messenger is not None and not _kept.messenger.is_idle:
        _hear()


@contextmanager
def ending_with_what_waits() -> Iterator[None]:
    """End the transaction that Django has begun in one message with what waits after the block, or forget all of it."""
    _kept.blocks += 1
    try:
        yield
        commit()
    except Exception:
        forget_what_waits()
        raise
    except BaseException:
        # Who was interrupted waits for nothing and wants none of it done.
        if _kept.messenger is not None and not _kept.messenger.is_idle:
            _kept.messenger.close()
        raise
    finally:
        _kept.blocks -= 1


def commit() -> None:
    """End the transaction that Django has begun, what waits and the COMMIT in one message.

    Django finds nothing left to commit then. Inside another transaction, or in one that is to be undone, only what
    waits is sent.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.savepoint_ids or database.needs_rollback:
        send_what_waits()
        return
    if _kept.messenger and any(asked.then is not let_be for asked in _kept.messenger.all_asked()):
        send_what_waits()  # whose answer may undo all
    fetch_all((COMMIT, ()))


def forget_what_waits() -> None:
    """Leave out what waits, and pass over what comes of what is under way: it is undone."""
    if _kept.messenger is None:
        return
    _kept.messenger.waiting.clear()
    with suppress(DatabaseError):
        send_what_waits()


class _Kept(local):
    """The messenger of a thread on its present connection, and in how many blocks statements may wait."""

    messenger: Messenger | None = None
    blocks = 0


_kept = _Kept()


def _hear(*asked: Asked) -> list[tuple[Asked, list[Row]]]:
    """Send what waits and these statements; return all that is answered. Raises what the first that failed is worth."""
    with _messenger() as messenger:
        if asked or messenger.waiting:
            messenger.send(*asked)
        answers, failure = messenger.receive()
    for one, rows in answers:
        one.then(rows)
    if failure is not None:
        _raise(failure)
    return answers


def _raise(failure: Failure) -> NoReturn:
    """Raise what ended a message as Django's exception, or as what its statement wants instead."""
    try:
        with connections[DEFAULT_DB_ALIAS].wrap_database_errors:
            raise failure.error
    except IntegrityError as refused:
        if failure.of is None or failure.of.or_else is None:
            raise
        raise failure.of.or_else(refused) from refused


@contextmanager
def _messenger() -> Iterator[Messenger]:
    """Give the messenger of the present connection; a new connection has a new one. Raises Django's exceptions."""
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        database.ensure_connection()
        if _kept.messenger is None or _kept.messenger.driver is not database.connection:
            _kept.messenger = Messenger(database.connection)
            if _after_what_waits not in database.execute_wrappers:
                # First of all: who adds a wrapper for a while takes the last one off.
                database.execute_wrappers.insert(0, _after_what_waits)
        try:
            yield _kept.messenger
        finally:
            if database.connection.closed:
                _kept.messenger = None
                database.close()


def _refuse_outside_of_a_block() -> None:
    """Raise RuntimeError where no block would see to what is answered later."""
    if not _kept.blocks:
        raise RuntimeError("Nobody would send or hear this: ask within ending_with_what_waits().")


def _after_what_waits(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    """Run a statement of Django's cursor after those that wait or are under way."""
    if sql.startswith("ROLLBACK TO SAVEPOINT"):
        forget_what_waits()  # it was all asked after the savepoint, which sent what waited then
    else:
        send_what_waits()
    return execute(sql, *arguments)
