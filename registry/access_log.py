"""One log line and one measurement a request, and an id that leads from the answer to the log and to the history."""

import logging
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from registry.logs import route_of
from registry.measures import request_was_answered
from registry.tracing import id_of_a_request, request_id

HEADER: Final = "X-Request-ID"

logger = logging.getLogger("registry.access")


class AccessLog:
    """The outermost middleware: nothing of a request is logged but what `_log` names."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer under the request's id: the one in `X-Request-ID` if it is safe, else a new one."""
        began = time.perf_counter()
        identity = id_of_a_request(request.headers.get(HEADER))
        token = request_id.set(identity)
        try:
            response = self.get_response(request)
            response.headers[HEADER] = identity
            seconds = time.perf_counter() - began
            request_was_answered(request, response, seconds=seconds)
            self._log(request, response, seconds=seconds)
        finally:
            request_id.reset(token)
        return response

    def _log(self, request: HttpRequest, response: HttpResponseBase, *, seconds: float) -> None:
        fields = {
            "method": request.method,
            "route": route_of(request),
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
            "person": person_of(request),
        }
        logger.info("request", extra={"fields": fields})


def person_of(request: HttpRequest) -> int | None:
    """Return the key of the person behind an answered request, as far as answering it has found out."""
    caller = getattr(request, "auth", None)  # left by REST framework
    person = getattr(request, "_cached_user", None)  # left by Django's sessions
    found: int | None = getattr(caller, "person_id", None) or getattr(person, "pk", None)
    return found
