"""What every REST view stands on: who calls, one transaction, strict JSON in, quick JSON out, repeats answered once.

Deny by default: a view declares what each of its methods needs of the caller, or it cannot be defined.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from registry import repeats
from registry.accounts import second_factor
from registry.acting import AnsweredBefore, Door, acting
from registry.callers import caller_of, caller_with_token
from registry.encoding import encode_json
from registry.models import Person
from registry.needs import is_let_in, wrap_methods
from registry.problems import Problem, bad_request, problem_of
from registry.reasons import read_reason
from registry.rights import Caller, Need
from registry.throttling import refuse_too_many, refuse_too_many_failures

TOKEN = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
METHODS = ("get", "post", "patch", "delete")


def answer(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return `data` as a JSON response."""
    return HttpResponse(encode_json(data), status=status, content_type="application/json", headers=headers)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer TOKEN`."""

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        """Return the caller of the token, as both user and authority, None when the header is not there."""
        scheme, _space, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        caller = caller_with_token(token, now=timezone.now()) if TOKEN.fullmatch(token) else None
        if caller is None:
            refuse_too_many_failures(request._request, now=time.time())
            raise AuthenticationFailed(_("The token is unknown, expired or revoked."))
        return caller, caller

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge of a 401."""
        return 'Bearer realm="ecrf"'


class BrowserAuthentication(SessionAuthentication):
    """The session of a signed-in person, with CSRF checked on what writes."""

    def authenticate(self, request: Request) -> tuple[Person, Caller] | None:
        """Return the person and the caller behind the session, None when nobody is signed in."""
        found = super().authenticate(request)
        if found is None:
            return None
        person = found[0]
        if second_factor.must_change_password(person):
            raise Problem(403, "password_change_required", _("Choose a password of your own in the browser first."))
        caller = caller_of(person.pk, now=timezone.now())
        if caller and second_factor.is_missing(request.session, caller):
            message = _(
                "Your roles need a second factor. Set it up in the browser, on the page Codes, and sign in with it."
            )
            raise Problem(403, "second_factor_required", message)
        return (person, caller) if caller else None


class ApiView(APIView):
    """A REST view. Each method runs in one transaction in which the database knows who acts; an error undoes it.

    A POST that carries an `Idempotency-Key` is answered once: its repeats get the first answer.
    """

    authentication_classes = [BearerAuthentication, BrowserAuthentication]
    permission_classes = [IsAuthenticated]
    parameters: ClassVar[frozenset[str]] = frozenset()
    """Names that the query string may have."""
    reads_first: ClassVar[bool] = False
    """Whether all that its methods do in the database begins with a question (see `registry.acting`)."""
    needs: ClassVar[Mapping[str, Need]] = {}
    """What each method needs of the caller; checked before it runs, described in the OpenAPI document."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods that the class defines; raise TypeError for one that does not say what it needs."""
        super().__init_subclass__(**kwargs)
        wrap_methods(cls, METHODS, _in_transaction)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, and refuse too many calls, and parameters that are unknown here or given twice."""
        refuse_too_many(request._request, now=time.time())
        super().initial(request, *args, **kwargs)
        for name, values in request.query_params.lists():
            if not self.takes_parameter(name):
                message = _("There is no parameter %(name)s here. Check its spelling.")
                raise bad_request(name[:60], "unknown_parameter", message % {"name": ascii(name[:60])})
            if len(values) > 1:
                message = _("The parameter %(name)s is given more than once. Give it once.")
                raise bad_request(name, "repeated_parameter", message % {"name": name})

    def takes_parameter(self, name: str) -> bool:
        """Return whether the query string may have `name`."""
        return name in self.parameters

    def told_apart_by(self, request: Request) -> bytes:
        """Return what makes two requests with one `Idempotency-Key` different."""
        return raw_body(request)

    def handle_exception(self, exc: Any) -> HttpResponseBase:  # type: ignore[override]  # problems are plain responses
        """Answer with a problem; an exception of no known kind is for Django's log."""
        if isinstance(exc, AuthenticationFailed) or getattr(exc, "default_code", "") == "not_authenticated":
            exc.auth_header = self.get_authenticate_header(self.request)
            exc.status_code = 401
        problem = self.problem_of(exc)
        if problem is None:
            raise exc
        return problem.response()

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that an exception stands for; layers above add their own."""
        return problem_of(exc)


def caller(request: Request) -> Caller:
    """Return who calls, with the rights in force."""
    found = request.auth
    assert isinstance(found, Caller)  # noqa: S101 -- IsAuthenticated let nobody else in
    return found


def _authorised(view: ApiView, request: Request) -> Caller:
    """Return the caller; raise a 403 problem unless they hold what the method needs at one site at least."""
    by = caller(request)
    if not is_let_in(by, view.needs, request.method):
        raise Problem(403, "not_allowed", _("None of your roles allows this. Ask the data manager."))
    return by


def change_reason(request: Request) -> str | None:
    """Return the reason for a change that the request gives in `X-Change-Reason`, None when there is none.

    HTTP headers carry Latin-1; text beyond it comes as UTF-8 in those bytes.
    """
    text = request.headers.get("X-Change-Reason", "")
    with suppress(UnicodeEncodeError, UnicodeDecodeError):  # then it is Latin-1 as it stands
        text = text.encode("latin-1").decode("utf-8")
    return read_reason(text, given_in="X-Change-Reason")


def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object of the request.

    Numbers with a point come as Decimal. Refuses, as a 400 problem, what is not strict JSON: names given twice, NaN
    and Infinity, lone surrogates in names; a 413 beyond the limit and a 415 for another content type.
    """
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "not_json", _("Send JSON, with Content-Type: application/json."))
    try:
        body = json.loads(
            raw_body(request).decode(), parse_float=_number, parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _NotStrict) else _("It is not well-formed JSON in UTF-8.")
        raise bad_request(None, "not_json", reason) from None
    if not isinstance(body, dict):
        raise bad_request(None, "wrong_type", _("Send a JSON object."))
    return body


def raw_body(request: Request) -> bytes:
    """Return the bytes of the request; raise a 413 problem when there are too many."""
    http: HttpRequest = request._request
    length = http.META.get("CONTENT_LENGTH") or "0"
    if int(length) > settings.MAX_BODY_BYTES:
        message = _("The request has more than %(max)d bytes. Send it in parts.")
        raise Problem(413, "too_large", message % {"max": settings.MAX_BODY_BYTES})
    return http.body


class _NotStrict(ValueError):
    """JSON that a lenient reader would take, at the price of guessing."""


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _NotStrict(_("A number has an exponent beyond all measure.")) from None


def _refuse_constant(name: str) -> None:
    raise _NotStrict(_("%(name)s is not a JSON number.") % {"name": name})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotStrict(_("An object has the same name twice."))
    "".join(found).encode()  # names are told back: a lone surrogate in one raises ValueError here, not there
    return found


def _in_transaction(method: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Run a method of a view in one transaction; a POST with an idempotency key at most once."""

    def run(view: ApiView, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        by, reason = _authorised(view, request), change_reason(request)
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        if key is None:
            with acting(by, door=Door.REST, reason=reason, begin_with_first=view.reads_first):
                return method(view, request, *args, **kwargs)
        if IDEMPOTENCY_KEY.fullmatch(key) is None:
            raise bad_request("Idempotency-Key", "invalid", _("Write 1 to 255 printable characters without blanks."))
        # Of one token: what it may not see, the answers to a wider token of the same person do not tell it.
        key, digest = f"{by.token_id or 'session'}:{key}", repeats.digest_of(request, view.told_apart_by(request))
        try:
            with acting(by, door=Door.REST, idempotency_key=key, reason=reason, begin_with_first=view.reads_first):
                response = method(view, request, *args, **kwargs)
                repeats.keep(response, key=key, by=by, digest=digest)
                return response
        except AnsweredBefore as before:
            return repeats.first_answer(digest, *before.kept)

    run.__doc__ = method.__doc__
    run.__name__ = method.__name__
    return run
