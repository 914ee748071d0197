"""Saved reports over REST: list, save, read, delete."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf.api.pages import EntryPages
from crf.expressions import MAX_LENGTH
from crf.models.report import Report
from crf.reports import MAX_TITLE, NAME, NotYourReport, ReportExists, ReportRefused, Wanted, delete_report, save_report
from registry.api import ApiView, answer, caller, read_body
from registry.openapi import IDEMPOTENCY_KEY, Component, Operation, listing, parameter
from registry.problems import Problem, not_found, request_error
from registry.rights import Right, anywhere

TEXTS = ("name", "title", "filter")
LISTS = ("forms", "variables")
REQUIRED = ("name", "title")

_LIST = {"type": "array", "items": {"type": "string"}, "description": "Empty or left out: all"}
_SENT: dict[str, Any] = {
    "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    "title": {"type": "string", "maxLength": MAX_TITLE},
    "forms": _LIST,
    "variables": _LIST,
    "filter": {"type": ["string", "null"], "maxLength": MAX_LENGTH, "description": "docs/redcap-filters.md"},
}
REPORT = Component(
    "Report",
    {
        "type": "object",
        "required": ["id", *_SENT, "made_by", "made_at"],
        "properties": {
            "id": {"type": "integer"},
            **_SENT,
            "made_by": {"type": "string"},
            "made_at": {"type": "string", "format": "date-time"},
        },
    },
)
REPORT_REQUEST = Component(
    "ReportRequest",
    {"type": "object", "required": list(REQUIRED), "additionalProperties": False, "properties": _SENT},
)


class ReportView(ApiView):
    """A view of reports: translates what refuses one into a problem."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that an exception stands for."""
        match exc:
            case ReportRefused():
                return _refused([request_error(found.field, found.code, found.message) for found in exc.findings])
            case ReportExists():
                error = request_error("name", "report_exists", str(exc))
                return Problem(409, "refused", str(exc), errors=[error])
            case NotYourReport():
                return Problem(403, "not_allowed", str(exc))
        return super().problem_of(exc)


class Reports(ReportView):
    """The saved reports, and new ones."""

    needs: ClassVar = {"get": anywhere(Right.READ), "post": anywhere(Right.READ)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            pages = (parameter("cursor", "From `next` or `previous`"), parameter("limit", "Reports a page", int))
            return Operation(
                "Saved reports", responses={200: listing(REPORT)}, parameters=pages, problems=(400, 401, 403)
            )
        return Operation(
            "Save a report",
            request=REPORT_REQUEST,
            responses={201: REPORT},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 409, 413, 415, 422),
        )

    def takes_parameter(self, name: str) -> bool:
        """Return whether the query string may have `name`."""
        return self.request.method in ("GET", "HEAD") and name in EntryPages.parameters

    def get(self, request: Request) -> HttpResponse:
        """Return a page of reports."""
        visible = Report.objects.visible_to(caller(request)).select_related("made_by")
        pages = EntryPages()
        found: list[Report] = pages.paginate_queryset(visible, request, self) or []
        results = [report_json(report) for report in found]
        return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})

    def post(self, request: Request) -> HttpResponse:
        """Save a report."""
        report = save_report(_wanted(read_body(request)), by=caller(request))
        return answer(report_json(report), status=201, headers={"Location": reverse("report", args=[report.pk])})


class ReportDetail(ReportView):
    """One saved report."""

    needs: ClassVar = {"get": anywhere(Right.READ), "delete": anywhere(Right.READ)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One saved report", responses={200: REPORT}, problems=(400, 401, 404))
        return Operation("Delete a report", responses={204: None}, problems=(400, 401, 403, 404))

    def get(self, request: Request, report_id: int) -> HttpResponse:
        """Return the report."""
        return answer(report_json(_report(request, report_id)))

    def delete(self, request: Request, report_id: int) -> HttpResponse:
        """Delete the report, for who made it and for data managers."""
        delete_report(_report(request, report_id), by=caller(request))
        return HttpResponse(status=204)


def report_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON."""
    return {
        "id": report.pk,
        "name": report.name,
        "title": report.title,
        "forms": report.forms,
        "variables": report.variables,
        "filter": report.filter or None,
        "made_by": report.made_by.username,
        "made_at": report.made_at,
    }


def _report(request: Request, report_id: int) -> Report:
    report = Report.objects.visible_to(caller(request)).select_related("made_by").filter(pk=report_id).first()
    if report is None:
        raise not_found()
    return report


def _wanted(body: Mapping[str, Any]) -> Wanted:
    """Return the report that a body asks for; raise a 400 problem for what is of the wrong type."""
    errors = [
        request_error(name[:60], "unknown_field", _("There is no such field here. Choose from: %s.") % ", ".join(_SENT))
        for name in body
        if name not in _SENT
    ]
    given = {name: value for name, value in body.items() if value is not None}
    missing = (name for name in REQUIRED if name not in given)
    errors += [request_error(name, "required", _("%s is missing.") % name) for name in missing]
    wrong_texts = (name for name in TEXTS if not isinstance(given.get(name, ""), str))
    errors += [request_error(name, "wrong_type", _("%s: write a text in quotes.") % name) for name in wrong_texts]
    wrong_lists = (name for name in LISTS if not _is_list_of_texts(given.get(name, [])))
    errors += [
        request_error(name, "wrong_type", _("%s: write a list of names in quotes.") % name) for name in wrong_lists
    ]
    if errors:
        raise _refused(errors)
    filter_text = given.get("filter", "")
    return Wanted(
        name=given["name"],
        title=given["title"],
        forms=tuple(given.get("forms", ())),
        variables=tuple(given.get("variables", ())),
        filter=filter_text if filter_text.strip() else "",
    )


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _refused(errors: list[dict[str, Any]]) -> Problem:
    return Problem(400, "invalid", _("Nothing was saved. Mend what is said of each field."), errors=errors)
