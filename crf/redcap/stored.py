"""Saved entries as texts, in parts: PostgreSQL writes each value as REDCap spells it, Python only puts together.

Everything of an export is read in one snapshot; memory holds one part of the patients at a time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from crf.fields import CheckboxField, DecimalField, Variable, YesNoField
from crf.forms import Form
from crf.redcap.columns import Part
from crf.redcap.filtering import Condition
from crf.redcap.selection import Selection
from crf.storage import table_of
from registry.acting import Door, acting
from registry.rights import Caller

PATIENTS_AT_A_TIME = 100


@dataclass(slots=True)
class Stored:
    """One saved entry: texts of the variables of its part (a list of codes for a checkbox), None where blank."""

    instance: int
    status: str
    missing: Mapping[str, str]
    values: Sequence[Any]


@dataclass(slots=True)
class Record:
    """One patient with the entries of each part, in the order of the parts and of the instances."""

    record_id: str
    site: str
    entries: list[list[Stored]]


@contextmanager
def one_moment(by: Caller, *, reason: str) -> Iterator[None]:
    """Run the block as one transaction of `by` that reads a single moment, however long it takes.

    Whoever has a transaction already keeps its isolation.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with acting(by, door=Door.REDCAP, reason=reason):
            yield


def read_records(selection: Selection, *, parts: Sequence[Part], whole: bool) -> Iterator[list[Record]]:
    """Yield the patients of a selection a part at a time; needs a transaction.

    Without `whole` a filter leaves out rows of them as well.
    """
    kept = None if whole or selection.filtering is None else selection.filtering.rows
    with connection.chunked_cursor() as cursor:
        cursor.execute(selection.sql, selection.parameters)
        while found := cursor.fetchmany(PATIENTS_AT_A_TIME):
            yield _filled([Record(record_id, site, []) for record_id, site in found], parts, kept)


def _filled(records: list[Record], parts: Sequence[Part], kept: Mapping[type[Form], Condition] | None) -> list[Record]:
    names = [record.record_id for record in records]
    for part in parts:
        by_record: dict[str, list[Stored]] = {}
        sql, parameters = _select(part, kept)
        with connection.cursor() as cursor:
            cursor.execute(sql, [names, *parameters])
            for record_id, instance, status, missing, *values in cursor.fetchall():
                reasons = json.loads(missing) if missing else {}
                by_record.setdefault(record_id, []).append(Stored(instance, status, reasons, values))
        for record in records:
            record.entries.append(by_record.get(record.record_id, []))
    return records


def _select(part: Part, kept: Mapping[type[Form], Condition] | None) -> Condition:
    """Return the SQL of the entries of a part, of some patients, and the parameters after their record ids."""
    columns = [text_of(name, variable) for name, variable in part.variables.items()]
    told = ", ".join(["record_id", "instance", "status::text", "NULLIF(missing, '{}')::text", *columns])
    ids, parameters = ("", ()) if kept is None else kept.get(part.form, ("SELECT -1", ()))
    condition = f" AND id IN ({ids})" if ids else ""
    sql = (
        f"SELECT {told} FROM {table_of(part.form).quoted}"  # noqa: S608 -- identifiers of the declaration
        f" WHERE record_id = ANY(%s) AND deleted_at IS NULL{condition} ORDER BY record_id, instance"
    )
    return sql, parameters


def text_of(name: str, variable: Variable) -> str:
    """Return the SQL that spells a value as `variable.to_text` does; a checkbox stays a list of its codes."""
    column = connection.ops.quote_name(name)
    if isinstance(variable, CheckboxField):
        return column
    if isinstance(variable, YesNoField):
        return f"{column}::int::text"
    return f"trim_scale({column})::text" if isinstance(variable, DecimalField) else f"{column}::text"
