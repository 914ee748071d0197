"""The log: what the history of forms, sites and people holds, newest first, as REDCap tells it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.http.response import HttpResponseBase

from crf.forms import Form, all_forms
from crf.redcap.calls import Call
from crf.redcap.columns import status_name
from crf.redcap.contents import answers
from crf.redcap.disclosures import note_log
from crf.redcap.errors import XML_PREFIX
from crf.redcap.groups import group_id
from crf.redcap.marks import Csv, Json, Marks, Xml, written
from crf.redcap.selection import known_spelling, moment
from crf.redcap.streams import streamed
from crf.storage import BESIDE, table_of
from registry.acting import Door
from registry.rights import Right

COLUMNS = ("timestamp", "username", "action", "details", "record")
ROWS_AT_A_TIME = 500
RECORD_TYPES = frozenset({"", "record", "record_add", "record_edit", "record_delete", "lock_record"})
OF_SITES = frozenset({"", "manage"})
OF_PEOPLE = frozenset({"", "user"})
NOT_KEPT = frozenset({"export", "page_view"})
KEPT_BESIDE = frozenset({*BESIDE, "id", "number", "created_at", "deleted_at"})


class LogXml(Xml):
    """XML of `logs`, each a `log`."""

    def row(self, cells: str) -> str:
        """Return one entry."""
        return f"<log>{cells}</log>"

    def begin(self, columns: Sequence[str], *, rows: bool) -> str:
        """Return the head of the document."""
        return f"{XML_PREFIX}\n<logs>\n"

    def end(self, *, rows: bool) -> str:
        """Return the end of the document."""
        return "\n</logs>\n" if rows else "</logs>\n"


class LogCsv(Csv):
    """CSV that has its header also without rows."""

    def begin(self, columns: Sequence[str], *, rows: bool) -> str:
        """Return the header."""
        return super().begin(columns, rows=True)

    def end(self, *, rows: bool) -> str:
        """Return the end of the last line, if there is one."""
        return "\n" if rows else ""


@dataclass(frozen=True)
class Change:
    """One row of a history: what it is of, what happened, and the row before and after."""

    kind: str
    label: str
    record_id: str
    after: dict[str, Any]
    before: dict[str, Any]


@answers("log", own_transaction=True)
def log(call: Call) -> HttpResponseBase:
    """Stream the log of the sites of the caller."""
    sql, parameters = _statement(call)
    wanted = call.text("logtype")
    form = call.data.answer_format
    marks: Marks = Json() if form == "json" else LogCsv(",") if form == "csv" else LogXml()

    note_log(call)

    def parts() -> Iterator[str]:
        return written(_rows(sql, parameters, wanted=wanted, marks=marks), marks=marks, columns=COLUMNS)

    return streamed(parts, by=call.by, reason=call.reason, form=form)


def _statement(call: Call) -> tuple[str, list[Any]]:
    """Return the SQL over all histories that the call is about. Raises ApiError for a wrong time."""
    within, told = _span(call)
    selects: list[str] = []
    parameters: list[Any] = []
    wanted = call.text("logtype")
    if wanted in RECORD_TYPES:
        where, of_records = _records(call)
        for form in all_forms():
            selects.append(_select(form.form_name(), f"{table_of(form).name}history", "record_id") + within + where)
            parameters += [*told, *of_records]
    if call.by.may_anywhere(Right.MANAGE) and not (call.has("record") or call.has("dag")):
        for kind, types in (("site", OF_SITES), ("person", OF_PEOPLE), ("membership", OF_PEOPLE)):
            if wanted in types:
                selects.append(_select(kind, f"registry_{kind}history", "''") + within)
                parameters += told
    union = " UNION ALL ".join(selects) or _select("site", "registry_sitehistory", "''") + " WHERE false"
    return f"{union} ORDER BY 1 DESC, 2 DESC", parameters


def _select(kind: str, table: str, record_id: str) -> str:
    return (
        f"SELECT h.pgh_created_at, h.pgh_id, '{kind}', h.pgh_label, h.pgh_context::text, {record_id}::text,"  # noqa: S608 -- names of our tables
        f" to_jsonb(h)::text, (SELECT to_jsonb(p)::text FROM {table} p WHERE p.pgh_obj_id = h.pgh_obj_id"
        f" AND p.pgh_id < h.pgh_id ORDER BY p.pgh_id DESC LIMIT 1) FROM {table} h"
    )


def _span(call: Call) -> tuple[str, list[Any]]:
    where = " WHERE true"
    told: list[Any] = []
    if begin := call.text("beginTime"):
        where += " AND h.pgh_created_at >= %s"
        told.append(moment(begin, name="beginTime"))
    if end := call.text("endTime"):
        where += " AND h.pgh_created_at < %s"
        told.append(moment(end, name="endTime", end=True) + timedelta(minutes=1))
    if user := call.text("user"):
        where += " AND h.pgh_context->>'username' = %s"
        told.append(user)
    return where, told


def _records(call: Call) -> tuple[str, list[Any]]:
    sites = call.by.sites_with(Right.READ)
    if group := call.text("dag"):
        sites = frozenset(site for site in sites if str(group_id(site)) == group)
    where, told = " AND h.site_id = ANY(%s)", [sorted(sites)]
    if call.has("record"):
        where += " AND h.record_id = ANY(%s)"
        told.append(known_spelling([call.text("record")]))
    return where, told


def _rows(sql: str, parameters: Sequence[Any], *, wanted: str, marks: Marks) -> Iterator[list[str]]:
    around = [marks.around(name) for name in COLUMNS]
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while found := cursor.fetchmany(ROWS_AT_A_TIME):
            yield [
                marks.row("".join(f"{a}{marks.encode(cell)}{b}" for (a, b), cell in zip(around, cells, strict=True)))
                for row in found
                if (cells := _cells(row, wanted)) is not None
            ]


def _cells(row: Sequence[Any], wanted: str) -> tuple[str, ...] | None:
    """Return the cells of one row of a history, None when it is of another type than wanted."""
    at, _id, kind, label, actor, record_id, after, before = row
    change = Change(kind, label, record_id, _values(after), _values(before) if before else {})
    told, action = _action(change)
    if wanted not in ("", told) and not (wanted == "record" and kind not in ("site", "person", "membership")):
        return None
    who = json.loads(actor)
    if who.get("door") in (Door.REST, Door.REDCAP) and record_id:
        action += " (API)"
    text = f"{action} {record_id}".strip()
    return f"{at:%Y-%m-%d %H:%M}", who.get("username") or "system", text, _details(change), record_id


def _values(row: str) -> dict[str, Any]:
    """Return a row of a history by column; decimals as the forms write them."""
    values: dict[str, Any] = json.loads(row, parse_float=lambda text: f"{Decimal(text).normalize():f}")
    return values


def _action(change: Change) -> tuple[str, str]:
    """Return type and name of what was done."""
    if change.kind == "site":
        return "manage", "Manage/Design"
    if change.kind in ("person", "membership"):
        return "user", "Add user" if change.label == "insert" else "Update user"
    if change.after.get("deleted_at") and not change.before.get("deleted_at"):
        return ("record_delete", "Delete record") if _is_patient(change) else ("record_edit", "Update record")
    if change.before and change.after["locked"] != change.before["locked"]:
        return "lock_record", "Lock/Unlock Record"
    if change.label == "insert" and _is_patient(change):
        return "record_add", "Create record"
    return "record_edit", "Update record"


def _details(change: Change) -> str:
    """Return what changed: `field = 'value'`, joined by commas."""
    if change.kind in ("site", "person", "membership"):
        named = change.after.get("code") or change.after.get("username") or change.after.get("role") or ""
        return f"{change.label} {change.kind} {named}".strip()
    form = _form(change)
    told = [f"[instance = {change.after['instance']}]"] if form.repeating else []
    if change.after.get("deleted_at") and not change.before.get("deleted_at"):
        told.append("deleted")
    if change.before.get("deleted_at") and not change.after.get("deleted_at"):
        told.append("restored")
    for name, value in change.after.items():
        if name.startswith("pgh_") or name in KEPT_BESIDE or value == change.before.get(name):
            continue
        told.append(f"{name} = '{_text(value)}'")
    if change.after["status"] != change.before.get("status"):
        told.append(f"{status_name(form)} = '{change.after['status']}'")
    for name, reason in change.after["missing"].items():
        if reason != change.before.get("missing", {}).get(name):
            told.append(f"{name} = '{reason}'")
    return ", ".join(told)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "|".join(value)
    return str(int(value)) if isinstance(value, bool) else str(value)


def _form(change: Change) -> type[Form]:
    return next(form for form in all_forms() if form.form_name() == change.kind)


def _is_patient(change: Change) -> bool:
    return not _form(change).repeating
