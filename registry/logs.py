"""Logs without values: what an exception says may quote a patient, as PostgreSQL does with the row it refuses."""

import logging
import traceback
from collections.abc import Iterator
from types import TracebackType


class WithoutValues(logging.Formatter):
    """Shows where an exception came from and of what kind it and its causes are, never their messages."""

    def formatException(  # noqa: N802 -- its name in the base class
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Return the tracebacks, the first cause first."""
        return "\n".join(reversed([_without_message(error) for error in _chain(ei[1])]))


class WithoutTaskErrors(logging.Filter):
    """Keeps of an exception that a task raised its kind: Celery puts its text into the message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the text out of the arguments of the message."""
        if isinstance(record.args, dict) and record.exc_info:
            kind = record.exc_info[0].__name__ if record.exc_info[0] else ""
            record.args = {**record.args, "exc": kind, "traceback": ""}
        return True


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _without_message(error: BaseException) -> str:
    where = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{where}{type(error).__module__}.{type(error).__qualname__}"
