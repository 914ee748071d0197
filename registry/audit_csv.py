"""The audit trail as one CSV file, a line a changed variable."""

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from registry.acting import Door, acting
from registry.audit import AuditRecord, Trail, whole_trail
from registry.rights import Caller

COLUMNS = (
    *("at", "action", "form", "record_id", "instance", "site", "user", "token", "door", "reason", "request", "import"),
    *("variable", "from", "to"),
)
STARTS_A_FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001 -- the full-width ones that spreadsheets take as well


def beside(record: AuditRecord) -> dict[str, Any]:
    """Return what is told of a record beside its changes."""
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
        "import": record.actor.get("import"),
    }


class _Line:
    """A file to which a CSV writer writes, and which gives the line back."""

    def write(self, text: str) -> str:
        return text


def csv_of(trail: Trail, *, by: Caller, door: Door) -> Iterator[str]:
    """Yield the trail as CSV, a line a changed variable; values are JSON, so that none is taken for a formula."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    # A transaction of its own: the response is read when the view has long returned.
    with acting(by, door=door):
        for record in whole_trail(trail, by=by):
            cells = [_cell(value) for value in beside(record).values()]
            changes = record.changes or {"": (None, record.details or None)}
            for name, (before, after) in changes.items():
                yield writer.writerow([*cells, name, _json(before), _json(after)])


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe is put before what looks like one."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(STARTS_A_FORMULA) else value


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
