"""Errors as RFC 9457 problem details: the one shape in which the REST API says what went wrong."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rest_framework import exceptions

from registry.encoding import encode_json

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5

# PostgreSQL, "Error Codes": 25006 read_only_sql_transaction; 40P01 deadlock_detected, 55P03 lock_not_available; 08
# connection lost, 533 too many of them, 57P shutdown.
READ_ONLY: Final = "25006"
WAITED_IN_VAIN: Final = ("40P01", "55P03")
NOT_THERE: Final = ("080", "08P", "533", "57P")

TITLES: Mapping[int, str] = {
    400: gettext_noop("The request is not valid"),
    401: gettext_noop("Sign in, or send a valid token"),
    403: gettext_noop("You may not do this"),
    404: gettext_noop("There is nothing here that you may see"),
    405: gettext_noop("This address does not do that"),
    406: gettext_noop("Only JSON is served here"),
    409: gettext_noop("The present state does not allow it"),
    412: gettext_noop("Somebody else changed it first"),
    413: gettext_noop("The request is too large"),
    415: gettext_noop("Send JSON"),
    422: gettext_noop("The idempotency key was used for another request"),
    428: gettext_noop("Say which version you change"),
    429: gettext_noop("Too many requests"),
    500: gettext_noop("Something failed on our side"),
    503: gettext_noop("This cannot be done at the moment"),
}
REFUSED = gettext_noop("The request was refused")


class Problem(Exception):
    """An answer that is not a success: HTTP status, a stable code, words, and what is wrong with each field."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers, self.members = list(errors), dict(headers or {}), members

    @property
    def title(self) -> str:
        """What the status means, in words."""
        return _(TITLES.get(self.status, REFUSED))

    def response(self) -> HttpResponse:
        """Return the problem as an HTTP response."""
        body = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "errors": self.errors,
            **self.members,
        }
        return HttpResponse(encode_json(body), status=self.status, content_type=CONTENT_TYPE, headers=self.headers)


def request_error(field: str | None, code: str, message: str) -> dict[str, Any]:
    """Return one of the `errors` of a problem that concerns no entry: a parameter or a member of the body."""
    return {"form": None, "record_id": None, "instance": None, "field": field, "code": code, "message": message}


def bad_request(field: str | None, code: str, message: str) -> Problem:
    """Return the problem of one wrong parameter or member of the body."""
    return Problem(400, "invalid", message, errors=[request_error(field, code, message)])


def not_found() -> Problem:
    """Return the problem of what is not there, or not for this caller: the two are not told apart."""
    return Problem(404, "not_found", _("There is no such thing among what you may see."))


def problem_of(error: Exception) -> Problem | None:
    """Return the problem that an exception of Django or REST framework stands for, None for one of another kind."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Http404):
        return not_found()
    if isinstance(error, exceptions.APIException):
        return _of_rest_framework(error)
    if isinstance(error, DatabaseError | InterfaceError):
        return _of_the_database(error)
    return None


def _of_the_database(error: Exception) -> Problem | None:
    """Return the problem of a database that does not take what is right; what it refuses for other reasons is ours."""
    state = getattr(error.__cause__, "sqlstate", None)
    wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if state == READ_ONLY:
        logger.error("the database is read-only")
        detail = _("The database only lets itself be read at the moment. Nothing was saved; try again later.")
        return Problem(503, "database_read_only", detail, headers=wait)
    if state in WAITED_IN_VAIN:
        detail = _("Somebody else wrote to the same places at the same time. Nothing was saved; send it again.")
        return Problem(503, "database_busy", detail, headers=wait)
    if isinstance(error, OperationalError | InterfaceError) and (state is None or state[:3] in NOT_THERE):
        logger.error("the database is not there")
        detail = _("The database does not answer. Nothing is lost that was acknowledged; try again in a moment.")
        return Problem(503, "database_down", detail, headers=wait)
    return None


def _of_rest_framework(error: exceptions.APIException) -> Problem:
    headers: dict[str, str] = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    code = error.default_code if isinstance(error.default_code, str) else "refused"
    return Problem(error.status_code, code, str(error.detail), headers=headers)
