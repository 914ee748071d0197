"""People, memberships and sites over REST: edges only, what may be done is decided in registry/people.py."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry import people
from registry.api import ApiView, answer, caller, read_body
from registry.bodies import WrongMember, day, email, line, matching, one_of, or_null, read_members, truth
from registry.cursors import PAGE_PARAMETERS, CursorPages, page_of
from registry.managed_problems import managed_problem
from registry.models import SITE_CODE, Membership, Person, Site
from registry.openapi import IDEMPOTENCY_KEY, Component, Operation, header, listing
from registry.preconditions import etag_of, refuse_unless_unchanged
from registry.problems import Problem, not_found
from registry.repeats import ShownOnce
from registry.rights import SIGNED_IN, Right, Role, anywhere, there

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,149}", re.ASCII)
FULL_NAME = line(most=200)
SITE_NAME = line(most=200, least=1)
IF_MATCH = header("If-Match", "The ETag of what is changed, as it was read.", required=True)
REASON = header("X-Change-Reason", "Why; kept in the history.")
CHANGING = (400, 401, 403, 404, 409, 412, 413, 415, 428)
CREATING = (400, 401, 403, 404, 409, 413, 415, 422)

TEXT, DATE = {"type": "string"}, {"type": "string", "format": "date"}
DATE_OR_NULL = {"type": ["string", "null"], "format": "date"}
SITE_OR_NULL = {"type": ["string", "null"], "description": "Code of a site; null for all sites"}
PERSON_MEMBERS: dict[str, Any] = {"full_name": {**TEXT, "maxLength": 200}, "email": TEXT}
PERSON = Component(
    "Person",
    {
        "type": "object",
        "required": ["username", "full_name", "email", "is_active"],
        "properties": {"username": TEXT, **PERSON_MEMBERS, "is_active": {"type": "boolean"}},
    },
)
MEMBERSHIP_MEMBERS: dict[str, Any] = {
    "role": {"type": "string", "enum": Role.values},
    "site": SITE_OR_NULL,
    "starts_on": DATE,
    "ends_on": DATE_OR_NULL,
}
MEMBERSHIP = Component(
    "Membership",
    {
        "type": "object",
        "description": "A role at one site or at all, from its first day to its last; both count.",
        "required": ["id", "username", *MEMBERSHIP_MEMBERS],
        "properties": {"id": {"type": "integer"}, "username": TEXT, **MEMBERSHIP_MEMBERS},
    },
)
NEW_MEMBERSHIP = {
    "type": "object",
    "required": ["role", "site"],
    "additionalProperties": False,
    "properties": MEMBERSHIP_MEMBERS,
}
SITE = Component("Site", {"type": "object", "required": ["code", "name"], "properties": {"code": TEXT, "name": TEXT}})
ONCE = {"type": ["string", "null"], "description": "Shown once; null when the answer is repeated."}


def _body(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return {**found, "required": list(required)} if required else found


class ManagedView(ApiView):
    """A view of what the data manager manages: translates what registry/people.py raises."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return managed_problem(exc) or super().problem_of(exc)

    def takes_parameter(self, name: str) -> bool:
        """Return whether the query string may have `name`: lists are in pages."""
        return self.request.method in ("GET", "HEAD") and super().takes_parameter(name)


class People(ManagedView):
    """The people whom a data manager may see, and new ones."""

    needs: ClassVar = {"get": anywhere(Right.MANAGE), "post": anywhere(Right.MANAGE)}
    parameters: ClassVar = CursorPages.parameters

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("People", responses={200: listing(PERSON)}, parameters=PAGE_PARAMETERS)
        members = {**PERSON_MEMBERS, "memberships": {"type": "array", "items": NEW_MEMBERSHIP}}
        created = {**PERSON.schema, "properties": {**PERSON.schema["properties"], "password": ONCE}}
        return Operation(
            "Add a person; the answer shows a first password, once",
            request=_body({"username": {**TEXT, "pattern": f"^{USERNAME.pattern}$"}, **members}, "username"),
            responses={201: created},
            parameters=(IDEMPOTENCY_KEY, REASON),
            problems=CREATING,
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of people."""
        return page_of(people.visible_people(caller(request)), request=request, view=self, read=person_json)

    def post(self, request: Request) -> HttpResponse:
        """Save a person, their memberships and a first password."""
        readers = {"username": username, "full_name": FULL_NAME, "email": email, "memberships": _memberships}
        given = read_members(read_body(request), readers, required=["username"])
        person, password = people.create_person(**given, by=caller(request))
        read = person_json(person)
        headers = {"ETag": etag_of(read), "Location": reverse("person", args=[person.username])}
        return ShownOnce({**read, "password": password}, secret="password", status=201, headers=headers)  # noqa: S106 -- a name


class PersonDetail(ManagedView):
    """One person. Nobody is deleted: who leaves is deactivated, because the history names them."""

    needs: ClassVar = {"get": anywhere(Right.MANAGE), "patch": anywhere(Right.MANAGE)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One person", responses={200: PERSON})
        members = {**PERSON_MEMBERS, "is_active": {"type": "boolean"}}
        return Operation(
            "Change or deactivate a person; absent keeps",
            request=_body(members),
            responses={200: PERSON},
            parameters=(IF_MATCH, REASON),
            problems=CHANGING,
        )

    def get(self, request: Request, username: str) -> HttpResponse:
        """Return the person with their ETag."""
        return _read(person_json(people.person_named(username, by=caller(request))))

    def patch(self, request: Request, username: str) -> HttpResponse:
        """Change name, e-mail address, or whether the person is active."""
        by = caller(request)
        changes = read_members(read_body(request), {"full_name": FULL_NAME, "email": email, "is_active": truth})
        person = people.hold_person(username, by=by)
        refuse_unless_unchanged(request, current=person_json(person), yours=changes)
        return _read(person_json(people.change_person(person, changes, today=timezone.localdate())))


class Memberships(ManagedView):
    """The memberships of a person that a data manager may see, and new ones."""

    needs: ClassVar = {"get": anywhere(Right.MANAGE), "post": anywhere(Right.MANAGE)}
    parameters: ClassVar = CursorPages.parameters

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            summary = "The memberships of a person, past ones and those to come included"
            return Operation(summary, responses={200: listing(MEMBERSHIP)}, parameters=PAGE_PARAMETERS)
        return Operation(
            "Give a person a role at one site or at all, from today unless you say otherwise",
            request=NEW_MEMBERSHIP,
            responses={201: MEMBERSHIP},
            parameters=(IDEMPOTENCY_KEY, REASON),
            problems=CREATING,
        )

    def get(self, request: Request, username: str) -> HttpResponse:
        """Return a page of memberships."""
        by = caller(request)
        person = people.person_named(username, by=by)
        found = people.visible_memberships(by).filter(person=person).select_related("person")
        return page_of(found, request=request, view=self, read=membership_json)

    def post(self, request: Request, username: str) -> HttpResponse:
        """Save a membership."""
        by, given = caller(request), _new_membership(read_body(request))
        membership = people.give_membership(people.person_named(username, by=by), **given, by=by)
        read = membership_json(membership)
        headers = {"ETag": etag_of(read), "Location": reverse("membership", args=[membership.pk])}
        return answer(read, status=201, headers=headers)


class MembershipDetail(ManagedView):
    """One membership."""

    needs: ClassVar = {method: anywhere(Right.MANAGE) for method in ("get", "patch", "delete")}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One membership", responses={200: MEMBERSHIP})
        if method == "delete":
            summary = "Delete a membership that has not started"
            problems = tuple(status for status in CHANGING if status not in (413, 415))
            return Operation(summary, responses={204: None}, parameters=(IF_MATCH, REASON), problems=problems)
        return Operation(
            "Set the last day of a membership; null for no end",
            request=_body({"ends_on": DATE_OR_NULL}),
            responses={200: MEMBERSHIP},
            parameters=(IF_MATCH, REASON),
            problems=CHANGING,
        )

    def get(self, request: Request, membership_id: int) -> HttpResponse:
        """Return the membership with its ETag."""
        found = people.visible_memberships(caller(request)).select_related("person").filter(pk=membership_id).first()
        if found is None:
            raise not_found()
        return _read(membership_json(found))

    def patch(self, request: Request, membership_id: int) -> HttpResponse:
        """Change the last day."""
        by = caller(request)
        changes = read_members(read_body(request), {"ends_on": or_null(day)})
        membership = people.hold_membership(membership_id, by=by)
        refuse_unless_unchanged(request, current=membership_json(membership), yours=changes)
        if changes:
            people.end_membership(membership, ends_on=changes["ends_on"], by=by, today=timezone.localdate())
        return _read(membership_json(membership))

    def delete(self, request: Request, membership_id: int) -> HttpResponse:
        """Delete the membership, as if it had never been planned."""
        membership = people.hold_membership(membership_id, by=caller(request))
        refuse_unless_unchanged(request, current=membership_json(membership))
        people.take_back_membership(membership, today=timezone.localdate())
        return no_content()


class Sites(ManagedView):
    """The sites that the caller may see, and new ones."""

    needs: ClassVar = {"get": SIGNED_IN, "post": anywhere(Right.MANAGE)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            sites = {"type": "array", "items": SITE.schema}
            return Operation("The sites I may see", responses={200: sites}, problems=(400, 401, 403))
        return Operation(
            "Add a site",
            request=_body({"code": {**TEXT, "pattern": SITE_CODE}, "name": {**TEXT, "maxLength": 200}}, "code", "name"),
            responses={201: SITE},
            parameters=(IDEMPOTENCY_KEY, REASON),
            problems=CREATING,
        )

    def get(self, request: Request) -> HttpResponse:
        """Return code and name of each site."""
        visible = Site.objects.filter(code__in=caller(request).sites_with(Right.READ))
        return answer([site_json(site) for site in visible])

    def post(self, request: Request) -> HttpResponse:
        """Save a site; who has a role at all sites has it there too."""
        given = read_members(read_body(request), {"code": site_code, "name": SITE_NAME}, required=["code", "name"])
        read = site_json(people.create_site(**given, by=caller(request)))
        headers = {"ETag": etag_of(read), "Location": reverse("site", args=[read["code"]])}
        return answer(read, status=201, headers=headers)


class SiteDetail(ManagedView):
    """One site; its code is part of the record ids and stays."""

    needs: ClassVar = {"get": there(Right.READ), "patch": there(Right.MANAGE)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One site", responses={200: SITE})
        return Operation(
            "Rename a site",
            request=_body({"name": {**TEXT, "maxLength": 200}}),
            responses={200: SITE},
            parameters=(IF_MATCH, REASON),
            problems=CHANGING,
        )

    def get(self, request: Request, code: str) -> HttpResponse:
        """Return the site with its ETag."""
        if not caller(request).may(Right.READ, at=code):
            raise not_found()
        return _read(site_json(Site.objects.get(code=code)))

    def patch(self, request: Request, code: str) -> HttpResponse:
        """Change the name."""
        by = caller(request)
        changes = read_members(read_body(request), {"name": SITE_NAME})
        site = people.hold_site(code, by=by)
        refuse_unless_unchanged(request, current=site_json(site), yours=changes)
        return _read(site_json(people.rename_site(site, name=changes.get("name", site.name))))


def person_json(person: Person) -> dict[str, Any]:
    """Return how a person reads."""
    return {name: getattr(person, name) for name in ("username", "full_name", "email", "is_active")}


def membership_json(membership: Membership) -> dict[str, Any]:
    """Return how a membership reads; `site` is null for all sites."""
    return {
        "id": membership.pk,
        "username": membership.person.username,
        "role": membership.role,
        "site": membership.site_id,
        "starts_on": membership.starts_on,
        "ends_on": membership.ends_on,
    }


def site_json(site: Site) -> dict[str, Any]:
    """Return how a site reads."""
    return {"code": site.code, "name": site.name}


def no_content() -> HttpResponse:
    """Return the answer to what was deleted."""
    gone = HttpResponse(status=204)
    del gone["Content-Type"]
    return gone


def _read(representation: Mapping[str, Any]) -> HttpResponse:
    return answer(representation, headers={"ETag": etag_of(representation)})


def site_code(value: Any) -> str:
    """Return a code that a new site may have."""
    expected = _("write 2 to 8 capitals and digits, a capital first.")
    found: str = matching(re.compile(SITE_CODE), expected=expected)(value)
    return found


def username(value: Any) -> str:
    """Return a user name that a new person may have."""
    expected = _("write small letters, digits, points, hyphens and underscores, 150 at most, such as a.name.")
    found: str = matching(USERNAME, expected=expected)(value)
    return found


def _new_membership(body: Mapping[str, Any]) -> dict[str, Any]:
    readers = {
        "role": one_of(Role.values),
        "site": or_null(line(most=8, least=1)),
        "starts_on": day,
        "ends_on": or_null(day),
    }
    # `site` has to be said: left out by mistake, it must not come to mean all sites.
    return {"starts_on": timezone.localdate(), **read_members(body, readers, required=["role", "site"])}


def _memberships(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WrongMember("wrong_type", _("send a list of objects with role, site, starts_on and ends_on."))
    return [_new_membership(item) for item in value]
