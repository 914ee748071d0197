"""Tokens over REST: edges only, what may be done is decided in registry/tokens.py."""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry import tokens
from registry.api import answer, caller, read_body
from registry.bodies import line, moment, or_null, read_members, some_of
from registry.cursors import PAGE_PARAMETERS, CursorPages, page_of
from registry.models import Token
from registry.openapi import IDEMPOTENCY_KEY, Component, Operation, listing, parameter
from registry.people_views import CREATING, ONCE, REASON, SITE_OR_NULL, ManagedView, no_content
from registry.problems import bad_request
from registry.repeats import ShownOnce
from registry.rights import SIGNED_IN, Right

RIGHTS = [right.value for right in Right]
NAME = line(most=100)
TIME = {"type": "string", "format": "date-time"}
TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
RIGHTS_OR_NULL = {
    "type": ["array", "null"],
    "items": {"type": "string", "enum": RIGHTS},
    "minItems": 1,
    "uniqueItems": True,
    "description": "The rights it keeps of its person's; null for all.",
}
TOKEN: dict[str, Any] = {
    "id": {"type": "integer"},
    "username": {"type": "string"},
    "name": {"type": "string", "maxLength": 100},
    "hint": {"type": "string", "description": "Its first four digits"},
    "site": SITE_OR_NULL,
    "rights": RIGHTS_OR_NULL,
    "created_at": TIME,
    "expires_at": TIME,
    "last_used_at": TIME_OR_NULL,
    "revoked_at": TIME_OR_NULL,
}
TOKENS = Component("Token", {"type": "object", "required": list(TOKEN), "properties": TOKEN})


class Tokens(ManagedView):
    """One's own tokens, with `?person=` those of somebody whom one manages, and new ones of one's own."""

    needs: ClassVar = {"get": SIGNED_IN, "post": SIGNED_IN}
    parameters: ClassVar = CursorPages.parameters | {"person"}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            filters = (parameter("person", "User name of somebody whom I manage; left out, my own"), *PAGE_PARAMETERS)
            return Operation("Tokens", responses={200: listing(TOKENS)}, parameters=filters, problems=(400, 401, 403))
        members = {"name": TOKEN["name"], "site": SITE_OR_NULL, "rights": RIGHTS_OR_NULL, "expires_at": TIME_OR_NULL}
        return Operation(
            "Make a token of my own; the answer shows it, once",
            request={"type": "object", "additionalProperties": False, "properties": members},
            responses={201: {**TOKENS.schema, "properties": {**TOKEN, "token": ONCE}}},
            parameters=(IDEMPOTENCY_KEY, REASON),
            problems=CREATING,
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of tokens, also those that are over."""
        by = caller(request)
        person = request.query_params.get("person", by.username)
        if not person.isprintable():
            raise bad_request("person", "unprintable", _("Write the user name as it is shown."))
        found = tokens.visible_tokens(by).filter(person__username=person).select_related("person")
        return page_of(found, request=request, view=self, read=token_json)

    def post(self, request: Request) -> HttpResponse:
        """Save a token of the caller."""
        readers = {
            "name": NAME,
            "site": or_null(line(most=8, least=1)),
            "rights": or_null(some_of(RIGHTS)),
            "expires_at": or_null(moment),
        }
        given = read_members(read_body(request), readers)
        text, token = tokens.make_token(**given, by=caller(request), now=timezone.now())
        headers = {"Location": reverse("token", args=[token.pk]), "Cache-Control": "no-store"}
        return ShownOnce({**token_json(token), "token": text}, secret="token", status=201, headers=headers)  # noqa: S106 -- a name


class TokenDetail(ManagedView):
    """One token."""

    needs: ClassVar = {"get": SIGNED_IN, "delete": SIGNED_IN}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One token", responses={200: TOKENS})
        return Operation("Revoke a token, at once and for ever", responses={204: None}, parameters=(REASON,))

    def get(self, request: Request, token_id: int) -> HttpResponse:
        """Return what is known of the token."""
        return answer(token_json(tokens.token_numbered(token_id, by=caller(request))))

    def delete(self, request: Request, token_id: int) -> HttpResponse:
        """Revoke the token; it stays in the list."""
        tokens.revoke_token(tokens.token_numbered(token_id, by=caller(request)), now=timezone.now())
        return no_content()


def token_json(token: Token) -> dict[str, Any]:
    """Return how a token reads: never its text."""
    names = ("name", "hint", "rights", "created_at", "expires_at", "last_used_at", "revoked_at")
    beside = {name: getattr(token, name) for name in names}
    return {"id": token.pk, "username": token.person.username, "site": token.site_id, **beside}
