"""The audit trail over REST, as pages of JSON or as one CSV file."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry.accesses import AccessKind, note_access
from registry.acting import Door, acting
from registry.api import ApiView, caller
from registry.audit import AuditRecord, Place, Trail, forms_of_the_trail, read_trail, whole_trail
from registry.cursors import MOST, page_by_place
from registry.openapi import Component, Operation, listing, parameter
from registry.problems import bad_request
from registry.rights import Caller, Right, anywhere

COLUMNS = (
    *("at", "action", "form", "record_id", "instance", "site", "user", "token", "door", "reason", "request"),
    *("variable", "from", "to"),
)
STARTS_A_FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001 -- the full-width ones that spreadsheets take as well
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
            return StreamingHttpResponse(_csv(trail, by=by), content_type="text/csv; charset=utf-8", headers=named)
        return self._page(request, trail, by=by)

    def _page(self, request: Request, trail: Trail, *, by: Caller) -> HttpResponse:
        return page_by_place(
            lambda before, most: _noted(read_trail(trail, by=by, before=before, most=most)),
            request=request,
            kind=Place,
            place_of=lambda record: record.place,
            shown=record_json,
        )


def _noted(records: list[AuditRecord]) -> list[AuditRecord]:
    """Return the records; that the acting person is shown the values of patients among them is noted."""
    of_patients = Counter(record.site for record in records if record.site and record.record_id and record.changes)
    patients = {record.record_id for record in records if record.record_id and record.changes}
    one = patients.pop() if len(patients) == 1 else None
    note_access(AccessKind.READ_AUDIT_TRAIL, rows=of_patients, record_id=one or "")
    return records


def record_json(record: AuditRecord) -> dict[str, Any]:
    """Return a record of the trail as it is told over REST."""
    return {
        **_beside(record),
        "changes": {name: {"from": before, "to": after} for name, (before, after) in record.changes.items()},
        "details": record.details,
    }


def _beside(record: AuditRecord) -> dict[str, Any]:
    return {
        "at": record.place.at,
        "action": record.action,
        "form": record.form,
        "record_id": record.record_id,
        "instance": record.instance,
        "site": record.site,
        "user": record.actor.get("username") or record.actor.get("database_role"),
        "token": record.actor.get("token"),
        "door": record.actor.get("door"),
        "reason": record.actor.get("reason"),
        "request": record.actor.get("request"),
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


class _Line:
    """A file to which a CSV writer writes, and which gives the line back."""

    def write(self, text: str) -> str:
        return text


def _csv(trail: Trail, *, by: Caller) -> Iterator[str]:
    """Yield the trail as CSV, a line a changed variable; values are JSON, so that none is taken for a formula."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    # A transaction of its own: the response is read when the view has long returned.
    with acting(by, door=Door.REST):
        for record in whole_trail(trail, by=by):
            beside = [_cell(value) for value in _beside(record).values()]
            changes = record.changes or {"": (None, record.details or None)}
            for name, (before, after) in changes.items():
                yield writer.writerow([*beside, name, _json(before), _json(after)])


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe is put before what looks like one."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(STARTS_A_FORMULA) else value


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
