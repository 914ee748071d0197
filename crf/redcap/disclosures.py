"""What is taken through this API leaves a trace, kept before the first line of the answer goes out."""

from collections import Counter
from collections.abc import Iterable, Mapping

from django.db import connection

from crf.fields import Variable
from crf.forms import Form
from crf.redcap.calls import Call
from crf.redcap.columns import Part
from crf.redcap.selection import Selection
from crf.storage import Entry
from registry.accesses import AccessKind, note_access
from registry.acting import Door, acting
from registry.rights import Right


def note_records(call: Call, selection: Selection, *, parts: Iterable[Part]) -> None:
    """Note that the caller takes the records of a selection, in a transaction of its own.

    Whoever breaks off the answer has seen what came. What a filter leaves is not counted.
    """
    with acting(call.by, door=Door.REDCAP, reason=call.reason):
        if selection.filtering is None:
            rows = _patients_by_site(selection)
        else:
            rows = dict.fromkeys(call.by.sites_with(Right.EXPORT_WITH_IDENTIFIERS), 0)
        asked = {part.form: part.variables.values() for part in parts if part.variables or part.status}
        _note(call, rows=rows, named=call.array("records"), asked=asked)


def note_entries(call: Call, entries: Iterable[Entry]) -> None:
    """Note that the caller takes these entries, in the transaction of the call."""
    taken = list(entries)
    patients = sorted({entry.record_id for entry in taken})
    sites = {entry.record_id: entry.site for entry in taken}
    asked = {entry.form: entry.form.variables().values() for entry in taken}
    _note(call, rows=Counter(sites.values()), named=patients, asked=asked)


def note_log(call: Call) -> None:
    """Note that the caller takes the log, which tells values, in a transaction of its own."""
    with acting(call.by, door=Door.REDCAP, reason=call.reason):
        rows = dict.fromkeys(call.by.sites_with(Right.READ), 0)
        note_access(AccessKind.READ_AUDIT_TRAIL, rows=rows, record_id=call.text("record").upper()[:20])


def _note(
    call: Call, *, rows: Mapping[str, int], named: list[str], asked: Mapping[type[Form], Iterable[Variable]]
) -> None:
    identifiers = any(variable.identifier for variables in asked.values() for variable in variables)
    note_access(
        AccessKind.EXPORTED_RECORDS,
        rows=rows,
        record_id=named[0].upper()[:20] if len(named) == 1 else "",
        details={"content": call.content, "forms": [form.form_name() for form in asked], "identifiers": identifiers},
    )


def _patients_by_site(selection: Selection) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT site_id, count(*) FROM ({selection.sql}) selected GROUP BY site_id",  # noqa: S608 -- made of constants
            selection.parameters,
        )
        return dict(cursor.fetchall())
