"""The audit trail over REST, as pages of JSON or as one CSV file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry.accesses import AccessKind, note_access
from registry.acting import Door
from registry.api import ApiView, caller
from registry.audit import AuditRecord, Place, Trail, forms_of_the_trail, read_trail, told
from registry.audit_csv import beside, csv_of
from registry.cursors import MOST, page_by_place
from registry.openapi import Component, Operation, listing, parameter
from registry.problems import bad_request
from registry.rights import Caller, Right, anywhere

RECORD = Component(
    "AuditRecord",
    {
        "type": "object",
        "description": "One change with both values of each variable, one access to data of patients, or one sign-in.",
        "required": ["at", "action", "form", "record_id", "instance", "site", "user", "token", "door", "reason"],
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "action": {"type": "string"},
            "form": {"type": "string"},
            "record_id": {"type": ["string", "null"]},
            "instance": {"type": ["integer", "null"]},
            "site": {"type": ["string", "null"]},
            "user": {"type": ["string", "null"]},
            "token": {"type": ["integer", "null"]},
            "door": {"type": ["string", "null"]},
            "reason": {"type": ["string", "null"]},
            "request": {"type": ["string", "null"]},
            "import": {
                "type": ["integer", "null"],
                "description": "The import of a file that made or undid the change",
            },
            "changes": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["from", "to"],
                    "properties": {"from": {}, "to": {}},
                },
            },
            "details": {"type": "object"},
        },
    },
)


class Audit(ApiView):
    """Who changed what, when, from, to, why."""

    needs: ClassVar = {"get": anywhere(Right.READ, Right.MANAGE)}
    parameters: ClassVar = frozenset(
        {"record_id", "form", "variable", "user", "since", "until", "cursor", "limit", "format"}
    )

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "The audit trail, the latest first; ?format=csv gives one file",
            responses={200: listing(RECORD)},
            parameters=(
                parameter("record_id", "One patient"),
                parameter("form", "Name of a form, or of another thing that is tracked"),
                parameter("variable", "Name of a variable"),
                parameter("user", "User name of who acted"),
                parameter("since", "From this time on, with its offset"),
                parameter("until", "Before this time, with its offset"),
                parameter("cursor", "From `next`"),
                parameter("limit", f"Records a page, up to {MOST}", int),
                parameter("format", "json or csv"),
            ),
            problems=(400, 401, 403),
        )

    def get(self, request: Request) -> HttpResponseBase:
        """Return a page, or the whole trail as CSV."""
        by, asked = caller(request), request.query_params
        trail = _trail(asked, by=by)
        if _one_of(asked, "format", ("json", "csv")) == "csv":
            # Before the file begins: whoever breaks off has seen what came.
            note_access(AccessKind.READ_AUDIT_TRAIL, rows=dict.fromkeys(by.sites_with(Right.READ), 0))
            named = {"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"}
            return StreamingHttpResponse(
                csv_of(trail, by=by, door=Door.REST), content_type="text/csv; charset=utf-8", headers=named
            )
        return self._page(request, trail, by=by)

    def _page(self, request: Request, trail: Trail, *, by: Caller) -> HttpResponse:
        return page_by_place(
            lambda before, most: told(read_trail(trail, by=by, before=before, most=most)),
            request=request,
            kind=Place,
            place_of=lambda record: record.place,
            shown=record_json,
        )


def record_json(record: AuditRecord) -> dict[str, Any]:
    """Return a record of the trail as it is told over REST."""
    return {
        **beside(record),
        "changes": {name: {"from": before, "to": after} for name, (before, after) in record.changes.items()},
        "details": record.details,
    }


def _trail(asked: Mapping[str, str], *, by: Caller) -> Trail:
    texts = {name: asked[name] for name in ("record_id", "form", "variable", "user") if name in asked}
    for name, text in texts.items():
        if not text.isprintable():
            raise bad_request(name, "unprintable", _("Write the name or identifier as it is shown."))
    if "form" in texts:
        _one_of(asked, "form", forms_of_the_trail(by))
    times = {name: _moment(name, asked[name]) for name in ("since", "until") if name in asked}
    return Trail(**texts, **times)  # type: ignore[arg-type]  # texts and times by their names


def _one_of(asked: Mapping[str, str], name: str, choices: Any) -> str:
    chosen = asked.get(name, choices[0])
    if chosen not in choices:
        raise bad_request(
            name, "unknown_code", _("%(name)s: choose from %(names)s.") % {"name": name, "names": ", ".join(choices)}
        )
    return str(chosen)


def _moment(name: str, text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = _("Write a date and time with its offset, for example 2024-03-12T09:30:00Z.")
        raise bad_request(name, "not_a_time", message)
    return moment
