"""How a log line looks: JSON or plain, with the request and the job it belongs to, and no data of patients.

Messages of libraries can quote an address with a record id in it, or a value that the database refused. Those of the
loggers below are said anew without it, and an exception is told by its type and place, never by its message.
"""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TypeAlias

import msgspec
from django.http import HttpRequest

from registry.tracing import job_id, request_id

NO_ROUTE: Final = "no-route"
"""What stands for the route of a request that came to no view: an unknown address, a static file."""

_TELL_THE_ADDRESS: Final = ("django.request", "django.security")

# As logging has it: what `sys.exc_info` returns.
_ExceptionInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def route_of(request: HttpRequest | None) -> str:
    """Return the name of the route that a request came to; its address can hold a record id."""
    match = getattr(request, "resolver_match", None)
    return match.view_name if match else NO_ROUTE


class Lines(logging.Formatter):
    """One line a record: time, level, logger, message, and what belongs to it as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record; the places of an exception follow on lines of their own."""
        said = " ".join(
            f"{name}={value}" for name, value in _beside(record).items() if value is not None and name != "exception"
        )
        head = f"{_time_of(record)} {record.levelname} {record.name}: {_message_of(record)}"
        return "\n".join(part for part in (f"{head} {said}".rstrip(), self._exception_of(record)) if part)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 -- logging's name
        """Return type and place of an exception and of what caused it, without the messages."""
        return "\n".join(_places_of(ei[1]))

    def _exception_of(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class JsonLines(Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `time`, `level`, `logger`, `message`, `request`, `job`, and what belongs to the record."""
        said = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message_of(record),
            **_beside(record),
        }
        if exception := self._exception_of(record):
            said["exception"] = exception
        return msgspec.json.encode(said, enc_hook=str).decode()


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _beside(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if (request := request_id.get()) is not None:
        fields["request"] = request
    if (job := job_id.get()) is not None:
        fields["job"] = job
    return fields | getattr(record, "fields", {})


def _message_of(record: logging.LogRecord) -> str:
    if record.name.startswith(_TELL_THE_ADDRESS):
        status = getattr(record, "status_code", "an error")
        return f"answered with {status} at {route_of(getattr(record, 'request', None))}"
    if record.name == "celery.app.trace" and isinstance(record.args, dict) and "exc" in record.args:
        return "Task {name}[{id}] {description}".format(**record.args)
    if record.name == "gunicorn.error" and record.exc_info:
        return "a request was broken off"
    return record.getMessage()


def _places_of(error: BaseException | None) -> Iterator[str]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        yield from (line.rstrip() for line in traceback.format_tb(error.__traceback__))
        error = error.__cause__ or error.__context__
