"""The audit trail as a page: search, read, take along as CSV. What is searched for never stands in an address."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Final

import msgspec
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry import audit_words as words
from registry.accesses import AccessKind, note_access
from registry.acting import Door
from registry.audit import AuditRecord, Kind, Place, Trail, read_trail, told
from registry.audit_csv import csv_of
from registry.page_views import PageView
from registry.problems import bad_request
from registry.rights import Caller, Right, anywhere

PAGE: Final = 50
BLANK: Final = "–"  # noqa: RUF001 -- the dash of the pages
"""What stands for no value."""
MAX_LENGTH: Final = 200
KINDS: Final[Mapping[str, Any]] = {
    "": gettext_lazy("Everything"),
    Kind.CHANGES.value: gettext_lazy("Changes"),
    Kind.ACCESSES.value: gettext_lazy("Accesses to data"),
    Kind.SIGN_INS.value: gettext_lazy("Sign-ins"),
}
TEXTS: Final = ("record_id", "form", "variable", "user")
NAMES: Final = (*TEXTS, "kind", "since", "until")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the trail in words; `changes` are label, name, from, to; what is `created` has no from."""

    record: AuditRecord
    created: bool
    action: str
    thing: str
    who: str
    door: str
    reason: str
    changes: list[tuple[str, str, str, str]]
    details: str
    address: str | None
    number: int | None


class AuditPage(PageView):
    """Who changed what, when, from which value to which, why and through which door; who saw what; who signed in."""

    needs: ClassVar = {"get": anywhere(Right.READ, Right.MANAGE), "post": anywhere(Right.READ, Right.MANAGE)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the search, before anything was asked for."""
        return render(request, "registry/audit.html", _search({}, {}, by=self.by))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Return what was found, the latest first."""
        asked = _asked(request)
        errors: dict[str, str] = {}
        trail = _trail(asked, errors, by=self.by)
        found = _search(asked, errors, by=self.by)
        if errors:
            return render(request, "registry/audit.html", found, status=422)
        records = read_trail(trail, by=self.by, before=_before(request.POST.get("before")), most=PAGE + 1)
        shown = told(records[:PAGE])
        found["rows"] = [_row(record) for record in shown]
        found["more"] = _after(shown[-1]) if len(records) > PAGE else ""
        found["further"] = bool(request.POST.get("before"))
        part = "HX-Request" in request.headers
        return render(request, "registry/audit_rows.html" if part else "registry/audit.html", found)


class AuditFile(PageView):
    """What is asked of the trail as one CSV file."""

    needs: ClassVar = {"post": anywhere(Right.READ, Right.MANAGE)}

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Return the file."""
        asked, errors = _asked(request), dict[str, str]()
        trail = _trail(asked, errors, by=self.by)
        if errors:
            return render(request, "registry/audit.html", _search(asked, errors, by=self.by), status=422)
        # Before the file begins: whoever breaks off has seen what came.
        note_access(AccessKind.READ_AUDIT_TRAIL, rows=dict.fromkeys(self.by.sites_with(Right.READ), 0))
        return StreamingHttpResponse(
            csv_of(trail, by=self.by, door=Door.PAGE),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
        )


def _asked(request: HttpRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "").strip() for name in NAMES}


def _search(asked: Mapping[str, str], errors: Mapping[str, str], *, by: Caller) -> dict[str, Any]:
    """Return what the search form shows."""
    things = {"": _("Everything"), **words.things_of_the_trail(by)}
    return {"asked": asked, "errors": errors, "things": things, "kinds": KINDS, "rows": None}


def _trail(asked: Mapping[str, str], errors: dict[str, str], *, by: Caller) -> Trail:
    """Return what is asked of the trail; what cannot be is said in `errors`, by field."""
    for name in TEXTS:
        if len(asked[name]) > MAX_LENGTH or not asked[name].isprintable():
            errors[name] = _("Write the name or identifier as it is shown.")
    if asked["form"] and asked["form"] not in words.things_of_the_trail(by):
        errors["form"] = _("Choose from the list.")
    if asked["kind"] not in KINDS:
        errors["kind"] = _("Choose from the list.")
    since, until = _day("since", asked, errors), _day("until", asked, errors)
    if errors:
        return Trail()
    return Trail(
        **{name: asked[name] or None for name in TEXTS},  # type: ignore[arg-type]  # texts by their names
        kind=Kind(asked["kind"]) if asked["kind"] else None,
        since=_begin(since) if since else None,
        until=_begin(until) + timedelta(days=1) if until else None,
    )


def _day(name: str, asked: Mapping[str, str], errors: dict[str, str]) -> date | None:
    if not asked[name]:
        return None
    try:
        found = date.fromisoformat(asked[name])
        if not 1900 <= found.year <= 9000:
            raise ValueError
    except ValueError:
        errors[name] = _("Write a date such as 2024-03-12.")
        return None
    return found


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _before(cursor: str | None) -> Place | None:
    if not cursor:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=Place)
    except (ValueError, msgspec.DecodeError):
        raise bad_request("before", "invalid", _("This is not a place in this list. Search again.")) from None


def _after(record: AuditRecord) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(record.place)).decode()


def _row(record: AuditRecord) -> Row:
    actor, (address, number) = record.actor, _address(record)
    return Row(
        record=record,
        created=record.action == "created",
        action=words.action_in_words(record.action),
        thing=words.thing_in_words(record.form),
        who=actor.get("username") or actor.get("database_role") or "",
        door=words.door_in_words(actor.get("door") or "", import_id=actor.get("import")),
        reason=actor.get("reason") or "",
        changes=[change for name in record.changes if (change := _change(record, name))],
        details=words.details_in_words(record.details),
        address=address,
        number=number,
    )


def _change(record: AuditRecord, name: str) -> tuple[str, str, str, str] | None:
    """Return a change of a variable: its label, its name, from what, to what; None where both are blank."""
    if name in words.DIGESTS:
        return None
    before, after = (words.value_in_words(record.form, name, value) for value in record.changes[name])
    if not before and not after:
        return None
    return words.variable_in_words(record.form, name), name, before or BLANK, after or BLANK


def _address(record: AuditRecord) -> tuple[str | None, int | None]:
    """Return where the entry of a record is read and its number, if it has one; None for what has no page.

    The layers above name their addresses.
    """
    if record.record_id is None:
        return None, None
    place: list[dict[str, Any]] = [{"record_id": record.record_id}]
    if record.instance is not None:
        place.insert(0, {"record_id": record.record_id, "instance": record.instance})
    for name in (f"page-entry-{record.form}", f"page-standing-{record.form}"):
        for where in place:
            try:
                return reverse(name, kwargs=where), where.get("instance")
            except NoReverseMatch:
                continue
    return None, None
