"""Data queries over REST: list, open, answer, close, reopen, and how many wait at each site."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import data_queries as service
from crf import problems
from crf.api import members
from crf.api.views import refusal
from crf.models.data_query import DataQuery, DataQueryStep, QueryOrigin, QueryState, StepKind
from registry.api import ApiView, answer, caller, read_body
from registry.bodies import Reader, one_of, or_null, read_members
from registry.openapi import IDEMPOTENCY_KEY, Operation, listing
from registry.problems import Problem, bad_request, not_found
from registry.rights import Right, anywhere, there

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
NEW_QUERY: Mapping[str, Reader] = {
    "form": members.form,
    "record_id": members.text,
    "instance": or_null(members.INSTANCE),
    "variable": members.text,
    "text": members.text,
}


class QueryView(ApiView):
    """A view of data queries: translates what the service raises into problems."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problems.of_a_query(exc) or refusal(exc) or super().problem_of(exc)


FILTERS: Mapping[str, members.Narrowed] = {
    "site": members.equals("site_id"),
    "record_id": members.equals("patient_id"),
    "form": members.equals("form"),
    "instance": members.equals("instance", members.digits),
    "variable": members.equals("variable"),
    "state": members.equals("state", one_of(QueryState.values)),
    "origin": members.equals("origin", one_of(QueryOrigin.values)),
}


def _filters(person_id: int | None) -> Mapping[str, members.Narrowed]:
    """Return the filters for a person; `mine`: they took a step, or their change of the data did."""
    steps = Exists(DataQueryStep.objects.filter(query=OuterRef("pk"), person=person_id))
    truth = one_of(("true", "false"))
    return {**FILTERS, "mine": lambda rows, text: rows.filter(steps if truth(text) == "true" else ~steps)}


class Queries(QueryView):
    """The queries the caller may see, and new ones."""

    needs: ClassVar = {"get": there(Right.READ), "post": anywhere(Right.OPEN_QUERY)}

    def takes_parameter(self, name: str) -> bool:
        """Return whether the list can be filtered by `name`."""
        return members.takes({**FILTERS, "mine": None}, self.request, name)

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            page = listing(members.object_schema(QUERY))
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
        filters = _filters(by.person_id)
        return members.page(rows, filters, read=lambda row: query_json(row, now=now), request=request, view=self)

    def post(self, request: Request) -> HttpResponse:
        """Open a query."""
        by, now = caller(request), timezone.now()
        required = [name for name in NEW_QUERY if name != "instance"]
        asked = read_members(read_body(request), NEW_QUERY, required=required)
        try:
            query = service.open_query(
                asked["form"],
                asked["record_id"],
                asked.get("instance") or 1,
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

    needs: ClassVar = {"get": there(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("One query with its steps", responses={200: QUERY_WITH_STEPS})

    def get(self, request: Request, query_id: int) -> HttpResponse:
        """Return the query."""
        return _read(query_id, request)


class QueryStep(QueryView):
    """A step of a query: each class below names its kind."""

    kind: ClassVar[StepKind]
    summary: ClassVar[Mapping[StepKind, str]] = {
        StepKind.ANSWERED: "Answer a query",
        StepKind.CLOSED: "Close a query",
        StepKind.REOPENED: "Reopen a query",
    }

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        optional = ("text",) if self.kind == StepKind.CLOSED else ()
        return Operation(
            self.summary[self.kind],
            request=members.object_schema({"text": TEXT}, optional=optional),
            responses={200: QUERY_WITH_STEPS},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 404, 409, 413, 415, 422),
        )

    def take(self, request: Request, query_id: int) -> HttpResponse:
        """Take the step; only closing needs no words."""
        service.refuse_step_unless_allowed(query_id, self.kind, by=caller(request))
        required = () if self.kind == StepKind.CLOSED else ("text",)
        given = read_members(read_body(request), {"text": members.text}, required=required)
        service.take_step(query_id, self.kind, text=given.get("text", ""), by=caller(request), now=timezone.now())
        return _read(query_id, request)


class AnswerQuery(QueryStep):
    """An answer to a query."""

    kind = StepKind.ANSWERED
    needs: ClassVar = {"post": there(service.STEPS[kind].right)}

    def post(self, request: Request, query_id: int) -> HttpResponse:
        """Answer the query."""
        return self.take(request, query_id)


class CloseQuery(QueryStep):
    """The end of a query."""

    kind = StepKind.CLOSED
    needs: ClassVar = {"post": there(service.STEPS[kind].right)}

    def post(self, request: Request, query_id: int) -> HttpResponse:
        """Close the query."""
        return self.take(request, query_id)


class ReopenQuery(QueryStep):
    """A query that is asked again."""

    kind = StepKind.REOPENED
    needs: ClassVar = {"post": there(service.STEPS[kind].right)}

    def post(self, request: Request, query_id: int) -> HttpResponse:
        """Open the query again."""
        return self.take(request, query_id)


class QueryCounts(QueryView):
    """How many queries there are at each site, by state, and how long the oldest has waited."""

    needs: ClassVar = {"get": anywhere(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("Data queries by site and state", responses={200: COUNTS}, problems=(400, 401))

    def get(self, request: Request) -> HttpResponse:
        """Return a row for each site that the caller may see."""
        now = timezone.now()
        return answer([_count_json(counts, now=now) for counts in service.counts_by_site(caller(request))])


def _count_json(counts: service.SiteCounts, *, now: datetime) -> dict[str, Any]:
    oldest = None if counts.oldest is None else (now - counts.oldest).days
    numbers = {state: getattr(counts, state) for state in QueryState.values}
    return {"site": counts.site, **numbers, "oldest_age_days": oldest}


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
