"""The endpoints over REST: the summary of the cohort, the outcomes of each patient, a new computation.

The summary, overall and by site, holds counts and no identifiers: it is for everybody who may see pooled endpoints.
Outcomes of patients are for those who may read the patient.
"""

from typing import Any, ClassVar
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf.api.pages import EntryPages
from exports.api.representation import JOB, TIME, job_json
from exports.endpoints.cohort import Summary
from exports.endpoints.outcome import OUTCOME_NAMES, evidence_of_json
from exports.endpoints.store import are_being_computed, is_stale
from exports.models import CohortOutcome, Job, Kind, PatientOutcome
from exports.recompute import ask_for_computation
from registry.api import ApiView, answer, caller, read_body
from registry.openapi import IDEMPOTENCY_KEY, Component, Operation, listing, parameter
from registry.problems import bad_request, not_found
from registry.rights import Caller, Right, anywhere, there

COHORT = Component(
    "CohortSummary",
    {
        "type": ["object", "null"],
        "description": 'docs/endpoints.md, "Cohort". Counts, spreads {n, median, min, max}, intervals, Kaplan-Meier.',
        "required": list(Summary.__annotations__),
        "properties": {name: {} for name in Summary.__annotations__},
    },
)
SUMMARY = Component(
    "Endpoints",
    {
        "type": "object",
        "required": ["overall", "by_site", "computed"],
        "properties": {
            "overall": COHORT.schema,
            "by_site": {"type": "object", "additionalProperties": COHORT.schema},
            "computed": {
                "type": "object",
                "required": ["at", "data_as_of", "stale", "running"],
                "properties": {
                    "at": TIME,
                    "data_as_of": TIME,
                    "stale": {"type": "boolean"},
                    "running": {"type": "boolean"},
                },
            },
        },
    },
)
OUTCOME = Component(
    "PatientOutcome",
    {
        "type": "object",
        "description": 'docs/endpoints.md, "Per patient"; `evidence` names the rows that decided each.',
        "required": ["record_id", "site", *OUTCOME_NAMES, "evidence"],
        "properties": {
            "record_id": {"type": "string"},
            "site": {"type": "string"},
            **{name: {} for name in OUTCOME_NAMES},
            "evidence": {"type": "object"},
        },
    },
)


class Endpoints(ApiView):
    """The summary of the cohort as it was last computed."""

    needs: ClassVar = {"get": anywhere(Right.SEE_POOLED_ENDPOINTS)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "The cohort endpoints, overall and by site", responses={200: SUMMARY}, problems=(400, 401, 403)
        )

    def get(self, request: Request) -> HttpResponse:
        """Return the summary; before the first computation `overall` is null and `stale` true."""
        return answer(summary_json())


class PatientOutcomePages(EntryPages):
    """Pages in the order of the first computation."""


class PatientOutcomes(ApiView):
    """The outcomes of the patients that the caller may see, with the rows that decided them."""

    parameters: ClassVar = EntryPages.parameters | {"site", "record_id"}
    needs: ClassVar = {"get": anywhere(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        filters = (parameter("site", "Code of a site"), parameter("record_id", "One patient"))
        pages = (parameter("cursor", "From `next` or `previous`"), parameter("limit", "Patients a page", int))
        return Operation(
            "The outcomes of each patient I may see",
            responses={200: listing(OUTCOME)},
            parameters=filters + pages,
            problems=(400, 401, 403),
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of outcomes."""
        visible = _visible_to(caller(request))
        for name, column in (("site", "site_id"), ("record_id", "record_id")):
            text = request.query_params.get(name)
            if text is not None:
                if not text.isprintable():
                    raise bad_request(name, "unprintable", _("Write the code or identifier as it is shown."))
                visible = visible.filter(**{column: text})
        pages = PatientOutcomePages()
        found: list[PatientOutcome] = pages.paginate_queryset(visible, request, self) or []
        results = [outcome_json(outcome) for outcome in found]
        return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})


class Recompute(ApiView):
    """A new computation of all endpoints."""

    needs: ClassVar = {"post": anywhere(Right.SEE_POOLED_ENDPOINTS)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "Compute the endpoints anew; watch the address in `Location`",
            request={"type": "object", "additionalProperties": False},
            responses={202: JOB},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 413, 415, 422),
        )

    def post(self, request: Request) -> HttpResponse:
        """Save a job; the answer comes before it has begun."""
        by = caller(request)
        for name in read_body(request):
            message = _("There is nothing to send here but an empty object.")
            raise bad_request(name[:60], "unknown_field", message)
        job = ask_for_computation(by=by)
        return answer(job_json(job), status=202, headers={"Location": reverse("recomputation", args=[job.pk])})


class Recomputation(ApiView):
    """One computation that the caller asked for."""

    needs: ClassVar = {"get": there(Right.READ)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation("A computation: how far it is", responses={200: JOB}, problems=(400, 401, 404))

    def get(self, request: Request, job_id: UUID) -> HttpResponse:
        """Return the computation as it is now."""
        job = Job.objects.visible_to(caller(request)).filter(kind=Kind.ENDPOINTS, pk=job_id).first()
        if job is None:
            raise not_found()
        return answer(job_json(job))


def summary_json() -> dict[str, Any]:
    """Return the stored summary and what is known of its age."""
    stored = CohortOutcome.objects.first()
    summary = stored.summary if stored is not None else None
    computed = {
        "at": stored.computed_at if stored else None,
        "data_as_of": stored.data_as_of if stored else None,
        "stale": is_stale(),
        "running": are_being_computed(),
    }
    if summary is None:
        return {"overall": None, "by_site": {}, "computed": computed}
    return {"overall": summary["overall"], "by_site": summary["by_site"], "computed": computed}


def outcome_json(outcome: PatientOutcome) -> dict[str, Any]:
    """Return the outcomes of a patient with the rows that decided each."""
    told: dict[str, Any] = msgspec.json.decode(outcome.outcome)
    behind = evidence_of_json(outcome.evidence)
    return {**told, "evidence": {name: [msgspec.structs.asdict(row) for row in rows] for name, rows in behind.items()}}


def _visible_to(by: Caller) -> QuerySet[PatientOutcome]:
    return PatientOutcome.objects.filter(site_id__in=by.sites_with(Right.READ))
