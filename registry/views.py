"""Who am I, what may I do, and why."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from registry.api import ApiView, answer, caller
from registry.models import Membership, Person, Token
from registry.openapi import Operation
from registry.rights import MATRIX, SIGNED_IN, Caller, Right, Role

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
OR_NULL = {"type": ["string", "null"]}
MEMBERSHIP = {
    "type": "object",
    "required": ["role", "site", "starts_on", "ends_on"],
    "properties": {
        "role": TEXT,
        "site": OR_NULL,
        "starts_on": {**TEXT, "format": "date"},
        "ends_on": {**OR_NULL, "format": "date"},
    },
}
NARROWING = {
    "type": ["object", "null"],
    "description": "What the token takes away: all but one site, all but some rights, all after a moment.",
    "required": ["name", "site", "rights", "expires_at"],
    "properties": {
        "name": TEXT,
        "site": OR_NULL,
        "rights": {"type": ["array", "null"], "items": TEXT},
        "expires_at": {**TEXT, "format": "date-time"},
    },
}
ME = {
    "type": "object",
    "required": ["username", "full_name", "roles", "rights", "sites", "token", "why", "narrowed_by"],
    "properties": {
        "username": TEXT,
        "full_name": TEXT,
        "roles": {
            "type": "array",
            "items": {"type": "object", "properties": {"role": TEXT, "site": OR_NULL}},
        },
        "rights": {"type": "object", "additionalProperties": TEXTS},
        "sites": TEXTS,
        "token": {"type": "boolean"},
        "why": {
            "type": "object",
            "description": "For each right and site, the memberships that give it.",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": MEMBERSHIP},
            },
        },
        "narrowed_by": NARROWING,
    },
}


class Me(ApiView):
    """The person behind the request and what they may do, right by right and site by site."""

    needs: ClassVar = {"get": SIGNED_IN}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("Who am I, what may I do, and why", responses={200: ME}, problems=(400, 401, 403))

    def get(self, request: Request) -> HttpResponse:
        """Return the caller."""
        by = caller(request)
        person = Person.objects.get(username=by.username)
        return answer(
            {
                "username": person.username,
                "full_name": person.full_name,
                "roles": [{"role": role, "site": site} for role, site in by.roles],
                "rights": {right.value: sorted(by.sites_with(right)) for right in Right if by.may_anywhere(right)},
                "sites": sorted(by.sites_with(Right.READ)),
                "token": by.token_id is not None,
                "why": reasons(by, memberships_in_force(by, today=timezone.localdate())),
                "narrowed_by": _narrowing(by),
            }
        )


def memberships_in_force(by: Caller, *, today: date) -> Sequence[Membership]:
    """Return the memberships of the caller that count today."""
    not_over = Q(ends_on=None) | Q(ends_on__gte=today)
    return list(Membership.objects.filter(not_over, person=by.person_id, starts_on__lte=today))


def reasons(by: Caller, memberships: Sequence[Membership]) -> dict[str, dict[str, list[Mapping[str, Any]]]]:
    """Return, for each right of the caller and each site it holds at, the memberships that give it there."""
    names = ("role", "site_id", "starts_on", "ends_on")
    told = [{name.removesuffix("_id"): getattr(membership, name) for name in names} for membership in memberships]
    return {
        right.value: {
            site: [one for one in told if right in MATRIX[Role(one["role"])] and one["site"] in (None, site)]
            for site in sorted(by.sites_with(right))
        }
        for right in Right
        if by.may_anywhere(right)
    }


def _narrowing(by: Caller) -> dict[str, Any] | None:
    if by.token_id is None:
        return None
    return {**Token.objects.values("name", "site", "rights", "expires_at").get(pk=by.token_id)}
