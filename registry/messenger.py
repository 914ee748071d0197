"""Statements in messages: several go to the database at once and their answers come at once, by libpq's pipeline mode.

One messenger serves one connection. All that is to be known of a statement between its being asked and its being
answered stands here, so that a new connection begins with nothing.
"""

import re
import select
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, ClassVar

import psycopg
from django.conf import settings
from django.db import IntegrityError
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]

OUTDATED = ("0A000", "26000")
"""A table was changed under a prepared statement, or somebody forgot it: all are prepared anew."""
COMMIT = "COMMIT"
CANCELLING = 5
"""Seconds after which a server that does not take the cancellation is left alone."""
FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)


def let_be(_rows: list[Row]) -> None:
    """Want nothing of the rows."""


@dataclass(slots=True)
class Asked:
    """A constant statement with %s in the place of each parameter, and what is wanted of its answer."""

    sql: str
    parameters: Sequence[Any]
    prepare: bool = True
    then: Callable[[list[Row]], None] = let_be
    or_else: Callable[[IntegrityError], Exception] | None = None


@dataclass(slots=True)
class Failure:
    """What ended a transaction, and the statement it came of: None when they were all passed over."""

    error: psycopg.Error
    of: Asked | None


@dataclass(slots=True)
class _Message:
    """Statements that were sent together, and the names of those that are prepared with them."""

    asked: Sequence[Asked]
    new: Mapping[str, bytes]


class Messenger:
    """Sends statements over one connection, and knows which of them are prepared there."""

    numbers: ClassVar = count()

    def __init__(self, driver: psycopg.Connection[Row]) -> None:
        self.driver = driver
        self.waiting: list[Asked] = []
        """Statements that go with the next message."""
        self.under_way: list[_Message] = []
        """Messages whose answers are still to be received."""
        self._names: dict[str, bytes] = {}
        # They know how values of each type are written and read: to find it out anew takes longer than doing it.
        self._writer, self._reader = Transformer(driver), Transformer(driver)
        self._poll = select.poll()
        self._poll.register(driver.fileno(), select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(driver.fileno(), select.POLLIN | select.POLLOUT)

    @property
    def is_idle(self) -> bool:
        """Return whether nothing waits and nothing is under way."""
        return not self.waiting and not self.under_way

    def all_asked(self) -> list[Asked]:
        """Return the statements that are under way and those that wait."""
        return [asked for message in self.under_way for asked in message.asked] + self.waiting

    def send(self, *asked: Asked) -> None:
        """Send what waits and then these statements in one message, whose answers `receive` waits for.

        Raises psycopg's exceptions; a value that cannot be sent leaves all as it was.
        """
        together = [*self.waiting, *asked]
        written = [
            self._writer.dump_sequence(one.parameters, [PyFormat.TEXT] * len(one.parameters)) for one in together
        ]
        with self._all_or_closed():
            if not self.under_way:
                self.driver.pgconn.enter_pipeline_mode()
            self.waiting = []
            self.under_way.append(_Message(together, self._new_names(together)))
            self._put(together, written)

    def receive(self) -> tuple[list[tuple[Asked, list[Row]]], Failure | None]:
        """Wait for all answers; return the rows of the statements that came before one failed, and what failed.

        Raises psycopg's exceptions when the answers do not come.
        """
        with self._all_or_closed():
            results = [self._results() for _message in self.under_way]
            self.driver.pgconn.exit_pipeline_mode()
        messages, self.under_way = self.under_way, []
        for message, of_message in zip(messages, results, strict=True):
            self._note_names(message, of_message)
        answers: list[tuple[Asked, list[Row]]] = []
        for message, of_message in zip(messages, results, strict=True):
            of_asked = of_message[-len(message.asked) :]
            failed = [result for result in of_message if result.status in FAILED]
            for one, result in zip(message.asked, of_asked, strict=True):
                if result.status in FAILED:
                    return answers, Failure(self._error(failed[0]), of=one)
                answers.append((one, self._rows(result)))
                if one.sql == COMMIT and result.command_status != b"COMMIT":
                    text = "A statement failed before: nothing of this was saved."
                    return answers, Failure(psycopg.errors.InFailedSqlTransaction(text), of=None)
        return answers, None

    def close(self) -> None:
        """Have the server give up the statement it is at, if it has begun it, and close the connection."""
        with suppress(psycopg.Error):
            self.driver.cancel_safe(timeout=CANCELLING)
        self.driver.close()

    @contextmanager
    def _all_or_closed(self) -> Iterator[None]:
        """Close the connection if the block fails, for it is unknown then what is under way.

        Who was interrupted wants none of it done.
        """
        try:
            yield
        except psycopg.Error:
            self.driver.close()
            raise
        except BaseException:
            self.close()
            raise

    def _put(self, asked: Iterable[Asked], parameters: Iterable[Sequence[Any]]) -> None:
        """Write a message, in the transaction that Django wants; statements that have a name are or become prepared."""
        connection = self.driver.pgconn
        if not self.driver.autocommit and connection.transaction_status == TransactionStatus.IDLE:
            connection.send_query_params(b"BEGIN", None)
        for text, name in self.under_way[-1].new.items():
            connection.send_prepare(name, _numbered(text))
        for one, given in zip(asked, parameters, strict=True):
            known = self._name_of(one)
            if known is not None:
                connection.send_query_prepared(known, given)
            else:
                connection.send_query_params(_numbered(one.sql), given)
        connection.pipeline_sync()
        while connection.flush():
            self._poll_both.poll()
            connection.consume_input()

    def _results(self) -> list[PGresult]:
        """Wait for the answers to one message and return them, those to BEGIN and to preparing first."""
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

    def _new_names(self, asked: Iterable[Asked]) -> dict[str, bytes]:
        """Return names for the statements that are to be prepared and are not yet."""
        if not settings.PREPARE_STATEMENTS:
            return {}
        texts = [one.sql for one in asked if one.prepare and self._name_of(one) is None]
        return {text: b"ecrf_%d" % next(self.numbers) for text in texts}

    def _note_names(self, message: _Message, results: Sequence[PGresult]) -> None:
        """Note which statements were prepared with a message: they stay so when their transaction is undone."""
        at = len(results) - len(message.asked) - len(message.new)
        for (text, name), result in zip(message.new.items(), results[at:], strict=False):
            if result.status == ExecStatus.COMMAND_OK:
                self._names[text] = name

    def _name_of(self, one: Asked) -> bytes | None:
        """Return the name under which a statement is prepared, or will be when its turn comes."""
        if not one.prepare:
            return None
        under_way = (message.new[one.sql] for message in self.under_way if one.sql in message.new)
        return self._names.get(one.sql) or next(under_way, None)

    def _error(self, result: PGresult) -> psycopg.Error:
        error = psycopg.errors.error_from_result(result, encoding=self.driver.info.encoding)
        if error.sqlstate in OUTDATED:
            self._names.clear()
        return error

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
