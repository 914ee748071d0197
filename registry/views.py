"""Who am I, what may I do, and which sites may I see: the REST views of the registry itself."""

from django.http import HttpResponse
from rest_framework.request import Request

from registry.api import ApiView, answer, caller
from registry.models import Person, Site
from registry.openapi import Operation
from registry.rights import Right

TEXTS = {"type": "array", "items": {"type": "string"}}
ME = {
    "type": "object",
    "required": ["username", "full_name", "roles", "rights", "sites", "token"],
    "properties": {
        "username": {"type": "string"},
        "full_name": {"type": "string"},
        "roles": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"role": {"type": "string"}, "site": {"type": ["string", "null"]}},
            },
        },
        "rights": {"type": "object", "additionalProperties": TEXTS},
        "sites": TEXTS,
        "token": {"type": "boolean"},
    },
}
SITES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["code", "name"],
        "properties": {"code": {"type": "string"}, "name": {"type": "string"}},
    },
}


class Me(ApiView):
    """The person behind the request and what they may do, right by right and site by site."""

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("Who am I, what may I do", responses={200: ME}, problems=(400, 401, 403))

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
            }
        )


class Sites(ApiView):
    """The sites that the caller may see."""

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("The sites I may see", responses={200: SITES}, problems=(400, 401, 403))

    def get(self, request: Request) -> HttpResponse:
        """Return code and name of each site."""
        visible = Site.objects.filter(code__in=caller(request).sites_with(Right.READ))
        return answer(list(visible.values("code", "name")))
