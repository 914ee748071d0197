"""The rows of a data cut: every form from one snapshot, columns and conversions derived from the declarations.

All forms are read in one repeatable-read transaction by server-side cursors: a cut is of one moment, however long the
reading takes and whoever writes meanwhile, and memory does not grow with the rows.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from typing import Any

from django.db import connection, transaction

from crf.fields import CheckboxField, DateField, PartialDateField, Variable, YesNoField
from crf.forms import Form, Status, forms_by_name
from crf.partial_dates import PartialDate
from crf.storage import table_of
from exports.cuts import Cut, Privacy
from exports.filtering import rows_kept
from exports.pseudonyms import pseudonyms
from exports.withheld import shown_variables, withheld_variables
from exports.writers.workbook import Column, Kind, Row
from registry.acting import Door, begin_acting
from registry.rights import Caller

ROWS_AT_A_TIME = 500
STATUS_NAMES = {int(status): str(status.label) for status in Status}

Convert = Callable[[Any], Any]
_CellOf = tuple[int, Convert | None]


def columns_of(form: type[Form], *, cut: Cut) -> list[Column]:
    """Return the columns of a form in a cut: fixed by the declaration, whether there are rows or not.

    Site, record id and, of a repeating form, instance; status; each variable, with the label beside a code; and the
    missing-value reasons as "variable=REASON|variable=REASON".
    """
    columns = [Column("site", Kind.CODE, width=8), Column("record_id", Kind.CODE, width=18)]
    if form.repeating:
        columns.append(Column("instance", Kind.INTEGER, width=9))
    columns.append(Column("status", width=12))
    for name, variable in shown_variables(form, privacy=cut.privacy).items():
        columns.append(Column(name, kind_of(variable, privacy=cut.privacy), width=_width_of(name, variable)))
        if cut.labels and variable.codes:
            columns.append(Column(f"{name}_label", width=24))
    return [*columns, Column("missing", width=20)]


def kind_of(variable: Variable, *, privacy: Privacy) -> Kind:
    """Return what the cells of a variable hold."""
    if isinstance(variable, YesNoField):
        return Kind.INTEGER
    if variable.codes or isinstance(variable, PartialDateField):
        return Kind.CODE
    return Kind(variable.excel_kind)


def _width_of(name: str, variable: Variable) -> float:
    return 40 if variable.free_text else max(12, len(name) + 4)


@contextmanager
def snapshot(by: Caller) -> Iterator[datetime]:
    """Run the block in one read-only transaction that sees a single moment of what `by` sees; give that moment.

    Must not run inside another transaction.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The first query takes the snapshot.
        cursor.execute("SELECT statement_timestamp()")
        taken_at: datetime = cursor.fetchone()[0]
        begin_acting(by, door=Door.JOB)
        yield taken_at


def counted_rows(cut: Cut, *, up_to: int | None = None) -> dict[str, int]:
    """Return how many rows each form of a cut has; with a limit it stops there, which is quicker in large tables."""
    counts = {}
    with connection.cursor() as cursor:
        for name in cut.forms:
            form = forms_by_name()[name]
            kept, parameters = rows_kept(form, cut)
            rows = f"SELECT FROM {table_of(form).quoted} WHERE {kept} LIMIT %s"
            cursor.execute(f"SELECT count(*) FROM ({rows}) counted", [*parameters, up_to])  # noqa: S608 -- the same
            counts[name] = cursor.fetchone()[0]
    return counts


def rows_of(form: type[Form], *, cut: Cut) -> Iterator[Row]:
    """Yield the rows of a form in a cut, by site, record id and instance; values stand as in `columns_of`.

    De-identified rows keep together by patient, but in an order that does not tell that of the record ids.
    """
    plan = _plan(form, cut.privacy, cut.labels)
    disguise = _disguise(form) if cut.privacy is Privacy.DEIDENTIFIED else None
    order, salt = record_order(cut.privacy)
    kept, parameters = rows_kept(form, cut)
    sql = f"{_select(form, cut.privacy)} WHERE {kept} ORDER BY site_id, {order}, instance"
    for row in stream(sql, [*parameters, *salt]):
        source = disguise(row) if disguise else row
        yield [source[index] if convert is None else convert(source[index]) for index, convert in plan]


def record_order(privacy: Privacy) -> tuple[str, list[str]]:
    """Return the SQL by which the records of a site are ordered, and its parameters.

    By their numbers; de-identified ones in an order that is always the same but does not tell that of the record ids.
    """
    if privacy is Privacy.DEIDENTIFIED:
        return "sha256(convert_to(%s || record_id, 'UTF8'))", [pseudonyms().order_salt()]
    return "length(record_id), record_id", []


def stream(sql: str, parameters: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a query, a part at a time from a cursor on the server; needs a transaction."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(ROWS_AT_A_TIME):
            yield from rows


_BESIDE = ("site_id", "record_id", "instance", "status", "NULLIF(missing, '{}')::text")
_RECORD_ID, _MISSING = 1, 4


def _select(form: type[Form], privacy: Privacy) -> str:
    variables = [connection.ops.quote_name(name) for name in shown_variables(form, privacy=privacy)]
    columns = ", ".join((*_BESIDE, *variables))
    return f"SELECT {columns} FROM {table_of(form).quoted}"  # noqa: S608 -- identifiers of the declaration


@cache
def _plan(form: type[Form], privacy: Privacy, labels: bool) -> tuple[_CellOf, ...]:
    """Return for each column where in a selected row its value is and how it becomes that of a cell."""
    variables = shown_variables(form, privacy=privacy)
    cells: list[_CellOf] = [(0, None), (_RECORD_ID, None)]
    if form.repeating:
        cells.append((2, None))
    cells.append((3, STATUS_NAMES.get))
    for index, variable in enumerate(variables.values(), start=len(_BESIDE)):
        cells.append((index, _value_of(variable)))
        if labels and variable.codes:
            cells.append((index, _label_of(variable)))
    # A reason that names a withheld variable would tell of it.
    shown = frozenset(form.variables()) - {w.variable for w in withheld_variables(form, privacy=privacy)}
    return (*cells, (_MISSING, lambda missing: _reasons(missing, shown)))


def _value_of(variable: Variable) -> Convert | None:
    if isinstance(variable, YesNoField):
        return {True: 1, False: 0}.get
    return variable.to_text if isinstance(variable, CheckboxField) else None


def _label_of(variable: Variable) -> Convert:
    if isinstance(variable, CheckboxField):
        return variable.labels
    if isinstance(variable, YesNoField):
        return {value: variable.labels(value) for value in (True, False)}.get
    return variable.codes.get


def _reasons(missing: str | None, shown: frozenset[str]) -> str | None:
    if missing is None:
        return None
    reasons: Mapping[str, str] = json.loads(missing)
    return "|".join(f"{name}={reason}" for name, reason in reasons.items() if name in shown) or None


def _disguise(form: type[Form]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what makes a selected row of a form de-identified."""
    secret = pseudonyms()
    variables = list(shown_variables(form, privacy=Privacy.DEIDENTIFIED).values())
    places = list(enumerate(variables, start=len(_BESIDE)))
    days = [index for index, variable in places if isinstance(variable, DateField)]
    partial = [index for index, variable in places if isinstance(variable, PartialDateField)]

    def disguise(row: Sequence[Any]) -> Sequence[Any]:
        record_id, disguised = row[_RECORD_ID], list(row)
        disguised[_RECORD_ID] = secret.of(record_id)
        for index in days:
            day: date | None = row[index]
            disguised[index] = day and secret.shifted(day, record_id=record_id)
        for index in partial:
            text: str | None = row[index]
            disguised[index] = text and secret.shifted_year(PartialDate.parse(text), record_id=record_id)
        return disguised

    return disguise
