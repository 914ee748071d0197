"""Data queries over REST: list, open, answer, close, reopen, and how many wait at each site."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import data_queries as service
from crf.api import members
from crf.api.pages import EntryPages
from crf.api.views import refusal
from crf.models.data_query import DataQuery, DataQueryStep, QueryOrigin, QueryState, StepKind
from crf.refusals import NotAllowed
from registry.api import ApiView, answer, caller, read_body, require
from registry.openapi import IDEMPOTENCY_KEY, Operation
from registry.problems import Problem, bad_request, not_found
from registry.rights import Right

TEXT = {"type": "string"}
NULLABLE_TEXT = {"type": ["string", "null"]}
TIME = {"type": "string", "format": "date-time"}
NULLABLE_TIME = {"type": ["string", "null"], "format": "date-time"}
STATES = {"type": "string", "enum": QueryState.values}
QUERY = {
    "id": {"type": "integer"},
    "site": TEXT,
    "record_id": TEXT,
    "form": TEXT,
    "instance": {"type": "integer"},
    "variable": TEXT,
    "text": TEXT,
    "origin": {"type": "string", "enum": QueryOrigin.values},
    "check": NULLABLE_TEXT,
    "state": STATES,
    "opened_at": TIME,
    "opened_by": NULLABLE_TEXT,
    "closed_at": NULLABLE_TIME,
    "closed_by": NULLABLE_TEXT,
    "age_days": {"type": "integer"},
}
STEP = members.object_schema(
    {"kind": {"type": "string", "enum": StepKind.values}, "text": TEXT, "by": NULLABLE_TEXT, "door": TEXT, "at": TIME}
)
QUERY_WITH_STEPS = members.object_schema({**QUERY, "steps": {"type": "array", "items": STEP}})
COUNTS = {
    "type": "array",
    "items": members.object_schema(
        {"site": TEXT, **{state: {"type": "integer"} for state in QueryState.values}}
        | {"oldest_age_days": {"type": ["integer", "null"]}}
    ),
}
NEW_QUERY = {"form": members.form, "record_id": members.text, "instance": members.or_none(members.INSTANCE)}


class QueryView(ApiView):
    """A view of data queries: translates what the service raises into problems."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        match exc:
            case NotAllowed():
                return Problem(403, "not_allowed", _("Your role at this site does not allow this step of a query."))
            case service.WrongState():
                message = _("The query is %(state)s, so this step does not follow.") % {"state": exc.state.label}
                return Problem(409, "wrong_query_state", message, state=exc.state.value)
        return refusal(exc) or super().problem_of(exc)


def _mine(rows: QuerySet[Any], name: str, value: str, *, person_id: int | None) -> QuerySet[Any]:
    """Keep the queries in which the person took a step, or which their change of the data raised."""
    if value not in ("true", "false"):
        raise bad_request(name, "wrong_type", _("Write true or false."))
    steps = Exists(DataQueryStep.objects.filter(query=OuterRef("pk"), person=person_id))
    return rows.filter(steps if value == "true" else ~steps)


FILTERS: Mapping[str, members.Narrowed] = {
    "site": members.equals("site_id"),
    "record_id": members.equals("patient_id"),
    "form": members.equals("form"),
    "instance": members.equals_number("instance"),
    "variable": members.equals("variable"),
    "state": members.equals("state", codes=QueryState.values),
    "origin": members.equals("origin", codes=QueryOrigin.values),
}


class Queries(QueryView):
    """The queries the caller may see, and new ones."""

    def takes_parameter(self, name: str) -> bool:
        """Return whether the list can be filtered by `name`."""
        listed = self.request.method in ("GET", "HEAD")
        return listed and (name in EntryPages.parameters or name in FILTERS or name == "mine")

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            page = members.page_schema(members.object_schema(QUERY))
            parameters = members.list_parameters({**FILTERS, "mine": None})
            return Operation("Data queries I may see", responses={200: page}, parameters=parameters)
        body = {name: QUERY[name] for name in ("form", "record_id", "instance", "variable", "text")}
        return Operation(
            "Open a query on a variable",
            request=members.object_schema(body, optional=("instance",)),
            responses={201: QUERY_WITH_STEPS},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 404, 409, 413, 415, 422),
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of queries."""
        by, now = caller(request), timezone.now()
        rows = service.visible_queries(by).select_related("opened_by", "closed_by")
        filters = {**FILTERS, "mine": lambda rows, name, text: _mine(rows, name, text, person_id=by.person_id)}
        return members.page(rows, filters, as_json=lambda row: query_json(row, now=now), request=request, view=self)

    def post(self, request: Request) -> HttpResponse:
        """Open a query."""
        by, now = require(request, Right.READ), timezone.now()
        asked = members.read_members(read_body(request), {**NEW_QUERY, "variable": members.text, "text": members.text})
        try:
            query = service.open_query(
                asked["form"],
                asked["record_id"],
                asked["instance"] or 1,
                variable=asked["variable"],
                text=asked["text"],
                by=by,
                now=now,
            )
        except service.UnknownVariable:
            message = _("The form has no such variable. Check the spelling against the data dictionary.")
            raise bad_request("variable", "unknown_field", message) from None
        return _read(query.pk, request, status=201, location=f"{request.path}{query.pk}/")


class QueryDetail(QueryView):
    """One query with its steps."""

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("One query with its steps", responses={200: QUERY_WITH_STEPS})

    def get(self, request: Request, query_id: int) -> HttpResponse:
        """Return the query."""
        return _read(query_id, request)


class QueryStep(QueryView):
    """A step of a query: each address gives its kind, and whether it needs a text."""

    kind: StepKind = StepKind.ANSWERED
    text: Callable[[str, Any], str] = staticmethod(members.text)
    summary: ClassVar[Mapping[StepKind, str]] = {
        StepKind.ANSWERED: "Answer a query",
        StepKind.CLOSED: "Close a query",
        StepKind.REOPENED: "Reopen a query",
    }

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        optional = () if self.text is members.text else ("text",)
        return Operation(
            self.summary[self.kind],
            request=members.object_schema({"text": TEXT}, optional=optional),
            responses={200: QUERY_WITH_STEPS},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 404, 409, 413, 415, 422),
        )

    def post(self, request: Request, query_id: int) -> HttpResponse:
        """Take the step."""
        given = members.read_members(read_body(request), {"text": self.text})
        service.take_step(query_id, self.kind, text=given["text"], by=caller(request), now=timezone.now())
        return _read(query_id, request)


class QueryCounts(QueryView):
    """How many queries there are at each site, by state, and how long the oldest has waited."""

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("Data queries by site and state", responses={200: COUNTS}, problems=(400, 401))

    def get(self, request: Request) -> HttpResponse:
        """Return a row for each site that the caller may see."""
        by, now = caller(request), timezone.now()
        numbers = {state: Count("pk", filter=Q(state=state)) for state in QueryState.values}
        oldest = Min("opened_at", filter=~Q(state=QueryState.CLOSED))
        rows = service.visible_queries(by).order_by().values("site_id").annotate(oldest=oldest, **numbers)
        found = {row["site_id"]: row for row in rows}
        nothing = {**dict.fromkeys(QueryState.values, 0), "oldest": None}
        return answer(
            [_count_json(site, found.get(site, nothing), now=now) for site in sorted(by.sites_with(Right.READ))]
        )


def _count_json(site: str, row: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    oldest = row["oldest"]
    numbers = {state: row[state] for state in QueryState.values}
    return {"site": site, **numbers, "oldest_age_days": None if oldest is None else (now - oldest).days}


def _read(query_id: int, request: Request, *, status: int = 200, location: str | None = None) -> HttpResponse:
    rows = service.visible_queries(caller(request)).select_related("opened_by", "closed_by")
    query = rows.filter(pk=query_id).first()
    if query is None:
        raise not_found()
    found = query_json(query, now=timezone.now())
    found["steps"] = [step_json(step) for step in service.steps_of(query)]
    return answer(found, status=status, headers={"Location": location} if location else None)


def query_json(query: DataQuery, *, now: datetime) -> dict[str, Any]:
    """Return a query, with its age in whole days: until now, or until it was closed."""
    return {
        "id": query.pk,
        "site": query.site_id,
        "record_id": query.patient_id,
        "form": query.form,
        "instance": query.instance,
        "variable": query.variable,
        "text": query.text,
        "origin": query.origin,
        "check": query.check_code,
        "state": query.state,
        "opened_at": query.opened_at,
        "opened_by": query.opened_by.username if query.opened_by else None,
        "closed_at": query.closed_at,
        "closed_by": query.closed_by.username if query.closed_by else None,
        "age_days": ((query.closed_at or now) - query.opened_at).days,
    }


def step_json(step: DataQueryStep) -> dict[str, Any]:
    """Return a step of a query."""
    by = step.person.username if step.person else None
    return {"kind": step.kind, "text": step.text, "by": by, "door": step.door, "at": step.at}
