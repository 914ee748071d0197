"""The codebook: every variable of a data cut, and what its values mean, made from the declarations."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from crf.fields import TODAY, Variable
from crf.forms import Form, MissingReason, Status, forms_by_name
from exports.cuts import Cut
from exports.endpoints.definitions import OUTCOMES
from exports.withheld import withheld_variables
from exports.writers.workbook import Column, Kind, Row, Sheet

COLUMNS = (
    Column("form", width=20),
    Column("variable", width=24),
    Column("label", width=44),
    Column("section", width=24),
    Column("type", width=12),
    Column("unit", width=8),
    Column("codes", width=50),
    Column("required", Kind.INTEGER, width=9),
    Column("minimum", Kind.CODE, width=12),
    Column("maximum", Kind.CODE, width=12),
    Column("shown_if", width=30),
    Column("identifier", Kind.INTEGER, width=10),
    Column("note", width=40),
    Column("sdtm", width=20),
    Column("withheld", width=40),
)


def codebook(cut: Cut) -> Sheet:
    """Return the sheet of all variables of the forms in a cut, the withheld ones included, and of the outcomes."""
    return Sheet("codebook", COLUMNS, _rows(cut), frozen_columns=2)


def _rows(cut: Cut) -> Iterator[Row]:
    for name in cut.forms:
        yield from _rows_of_form(forms_by_name()[name], cut)
    for outcome, definition in OUTCOMES.items():
        yield _row("outcomes", outcome, definition)


def _rows_of_form(form: type[Form], cut: Cut) -> Iterator[Row]:
    name = form.form_name()
    withheld = {entry.variable: entry.reason for entry in withheld_variables(form, privacy=cut.privacy)}
    yield _row(name, "site", "Code of the site")
    if form.repeating:
        yield _row(name, "record_id", "Patient study identifier")
        yield _row(name, "instance", "Number of the entry, counted for each patient")
    yield _row(name, "status", "How far the entry of the form has come", codes=_codes({s.label: "" for s in Status}))
    for variable_name, variable in form.variables().items():
        yield _row_of_variable(name, variable_name, variable, withheld=withheld.get(variable_name, ""))
    reasons = {reason.value: reason.label for reason in MissingReason}
    yield _row(name, "missing", "Why variables have no value: variable=REASON, joined by |", codes=_codes(reasons))


def _row_of_variable(form: str, name: str, variable: Variable, *, withheld: str) -> Row:
    is_open_to_today = variable.minimum is not None and variable.max_is_today
    return _row(
        form,
        name,
        variable.label,
        section=variable.section,
        type=variable.field_type if variable.field_type != "text" else variable.validation or "text",
        unit=variable.unit,
        codes=_codes(variable.codes),
        required=int(variable.required),
        minimum=_limit(variable.minimum),
        maximum=TODAY if is_open_to_today else _limit(variable.maximum),
        shown_if=variable.show_if,
        identifier=int(variable.identifier),
        note=variable.note,
        sdtm=variable.sdtm,
        withheld=withheld,
    )


def _row(form: str, variable: str, label: str, **told: Any) -> Row:
    known = {"form": form, "variable": variable, "label": label, **told}
    return [known.get(column.name) for column in COLUMNS]


def _codes(codes: Mapping[str, str]) -> str:
    return " | ".join(f"{code} = {label}" if label else str(code) for code, label in codes.items())


def _limit(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, date) else str(value)
