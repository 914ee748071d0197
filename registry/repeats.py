"""Requests that must count once: their answer is kept in their own transaction, and a repeat gets it again."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry.database import execute_soon
from registry.encoding import encode_json
from registry.problems import Problem
from registry.rights import Caller


class ShownOnce(HttpResponse):
    """An answer with a secret. What is kept for a repeat of the request is `without` it: null stands in its place."""

    def __init__(self, data: Mapping[str, Any], *, secret: str, **response: Any) -> None:
        super().__init__(encode_json(data), content_type="application/json", **response)
        self.without = encode_json({**data, secret: None})


class ShownOncePage(HttpResponse):
    """A page with a secret. Whoever sends its form again is sent to the address `instead`, which does not show it."""

    def __init__(self, page: str, *, instead: str, **response: Any) -> None:
        super().__init__(page, **response)
        self.instead = instead


def digest_of(request: HttpRequest | Request, told_apart_by: bytes) -> bytes:
    """Return the digest of what makes two requests with one key different."""
    return hashlib.sha256(b"POST %s\n%s" % (request.path.encode(), told_apart_by)).digest()


def keep(response: HttpResponse, *, key: str, by: Caller, digest: bytes) -> None:
    """Keep an answer at the end of the transaction of its request: a crash undoes both, and a repeat starts anew."""
    headers = {name: response.headers[name] for name in ("ETag", "Location") if name in response.headers}
    body = response.without if isinstance(response, ShownOnce) else response.content
    execute_soon(
        "INSERT INTO registry_idempotentanswer (person_id, key, request_digest, status, headers, body)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [by.person_id, key, digest, response.status_code, json.dumps(headers), body],
    )


def first_answer(digest: bytes, kept_digest: bytes, status: int, headers: Any, body: bytes) -> HttpResponse:
    """Return the kept answer; raise a 422 problem when the request is another than the one it was given to."""
    if bytes(kept_digest) != digest:
        raise Problem(422, "idempotency_key_reused", _("This key came with another request. Use a new one."))
    replayed = {**json.loads(headers), "Idempotency-Replayed": "true"}
    return HttpResponse(bytes(body), status=status, content_type="application/json", headers=replayed)
