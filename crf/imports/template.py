"""The template: what is saved at a site, as a workbook or CSV file to be filled in and brought back.

It holds what the person may see of the one site. Brought back as it is, it changes nothing.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from crf.fields import (
    CheckboxField,
    DateField,
    DecimalField,
    FileField,
    IntegerField,
    NumberField,
    PartialDateField,
    TextField,
    Variable,
)
from crf.forms import Form, Status, patient_form
from crf.imports.csv_reading import guarded
from crf.imports.refusals import FileRefused
from crf.imports.rows import INSTANCE, RECORD_ID, VERSION
from crf.imports.tables import MAX_CELLS, MAX_ROWS
from crf.imports.words import CLEAR, MISSING, REASONS, offered, shown
from crf.imports.xlsx_writing import (
    SERIAL_ZERO,
    Choice,
    Limits,
    Style,
    TemplateColumn,
    TemplateSheet,
    Value,
    fits_a_cell,
    letters_of,
    write_template,
)
from crf.storage import Entry, select_entries
from registry.accesses import AccessKind, note_access
from registry.models import Site
from registry.rights import Caller, Right

READ_ME, CODEBOOK, LISTS = "read_me", "codebook", "lists"
STATUS: Final = "status"
"""Columns before the variables: those that say which entry it is, and its status."""
WIDTHS: Final = {"notes": 40.0, "text": 20.0, "checkbox": 24.0, "radio": 20.0, "dropdown": 24.0}
HOW: Final = (
    gettext_noop(
        "Grey cells say which entry a row is: leave them as they are. To add an entry, write into a free row below."
    ),
    gettext_noop(
        "A blank cell keeps what is saved. Write CLEAR to take a value, or the reason why there is none, away."
    ),
    gettext_noop(
        "A new patient: write a free identifier (such as MTP-042), or leave it blank for the next one of the site."
    ),
    gettext_noop(
        "A new entry of another form: write the identifier of the patient; its number is given when it is saved."
    ),
    gettext_noop("Column names that end in __missing say why there is no value."),
    gettext_noop(
        "Several codes of one cell are parted by |. Days are written 2024-03-12; some may be 2024-03 or 2024."
    ),
    gettext_noop("Do not rename columns or sheets. Formulas are not taken: paste values."),
)
"""What the first sheet says."""


@dataclass(slots=True)
class _Lists:
    """The sheet that the lists to choose from stand in, a column each."""

    columns: list[Sequence[str]] = field(default_factory=list)

    def add(self, items: Sequence[str]) -> Choice:
        """Add a list, and return where it is."""
        if items not in self.columns:
            self.columns.append(items)
        letter = letters_of(self.columns.index(items) + 1)
        return Choice(f"{LISTS}!${letter}$1:${letter}${len(items)}")

    def sheet(self) -> TemplateSheet:
        length = max((len(items) for items in self.columns), default=0)
        rows = [[items[row] if row < len(items) else None for items in self.columns] for row in range(length)]
        columns = [TemplateColumn(str(place)) for place, _items in enumerate(self.columns)]
        return TemplateSheet(LISTS, columns, rows, hidden=True, with_header=False)


def workbook_template(forms: Sequence[type[Form]], *, site: str, by: Caller, today: date) -> bytes:
    """Return the workbook with these forms of a site. The caller may enter data there.

    Raises FileRefused when a file of these could not be brought back.
    """
    lists, left_blank = _Lists(), list[str]()
    sheets = []
    for form in forms:
        columns = list(_columns_of(form, lists))
        rows = [list(_row_of(entry, columns, left_blank)) for entry in _entries(form, site=site, by=by)]
        sheets.append(TemplateSheet(form.form_name(), columns, rows, keys=3 if form.repeating else 2))
    _refuse_too_many(sheets)
    title = _("Data of %(site)s, %(today)s") % {"site": site, "today": today.isoformat()}
    parts = [_read_me(title, left_blank), *sheets, _codebook(forms), lists.sheet()]
    words = _("This is not in the list or beyond the limits: the import may refuse it.")
    return write_template(parts, title=title, words_if_not_listed=words)


def csv_template(form: type[Form], *, site: str, by: Caller) -> str:
    """Return a form of a site as CSV, with a byte order mark, so that Excel takes it for UTF-8."""
    names = _names(form)
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(names)
    for entry in _entries(form, site=site, by=by):
        writer.writerow(_texts(entry, names))
    return "\ufeff" + file.getvalue()


def _entries(form: type[Form], *, site: str, by: Caller) -> list[Entry]:
    """Return the entries of a site, and note that the caller takes them along."""
    if not by.may(Right.READ, at=site):
        return []
    entries = select_entries(form, where="site_id = %s", parameters=[site])
    if len(entries) > MAX_ROWS:
        raise FileRefused("too_many_rows", _("The site has more rows than a file may have. Choose fewer forms."))
    identifiers = any(variable.identifier for variable in form.variables().values())
    details = {"content": "template", "forms": [form.form_name()], "identifiers": identifiers}
    note_access(AccessKind.EXPORTED_RECORDS, rows={site: len({entry.record_id for entry in entries})}, details=details)
    return entries


def _refuse_too_many(sheets: Sequence[TemplateSheet]) -> None:
    rows = sum(len(sheet.rows) for sheet in sheets)
    cells = sum(value is not None for sheet in sheets for row in sheet.rows for value in row)
    if rows > MAX_ROWS or cells > MAX_CELLS:
        raise FileRefused("too_many_rows", _("The site has more rows than a file may have. Choose fewer forms."))


# Columns


def _variables(form: type[Form]) -> Iterator[tuple[str, Variable]]:
    """Yield the variables whose values stand in a file."""
    for name, variable in form.variables().items():
        if name != RECORD_ID and not isinstance(variable, FileField):
            yield name, variable


def _names(form: type[Form]) -> list[str]:
    keys = [RECORD_ID, INSTANCE, VERSION] if form.repeating else [RECORD_ID, VERSION]
    return [*keys, STATUS, *(column for name, _variable in _variables(form) for column in (name, f"{name}{MISSING}"))]


def _columns_of(form: type[Form], lists: _Lists) -> Iterator[TemplateColumn]:
    of_patient = patient_form().variables()[RECORD_ID]
    yield TemplateColumn(RECORD_ID, _(of_patient.label), _("Which patient; leave it as it is."), width=12)
    if form.repeating:
        yield TemplateColumn(INSTANCE, _("Number"), _("Given when the entry is saved."), style=Style.KEY, width=9)
    note = _("Which state of the entry the file was made from; leave it as it is.")
    yield TemplateColumn(VERSION, _("Version"), note, style=Style.KEY, width=8)
    statuses = lists.add([str(status.label) for status in Status])
    yield TemplateColumn(STATUS, _("Status"), _("How far the entry has come."), width=12, allowed=statuses)
    reasons = lists.add([*(offered(code, label) for code, label in REASONS.items()), CLEAR])
    for name, variable in _variables(form):
        yield TemplateColumn(
            name,
            _(variable.label),
            "\n".join(_told(variable)),
            style=_style(variable),
            width=WIDTHS.get(variable.field_type, 14) if isinstance(variable, TextField) or variable.codes else 14,
            allowed=_allowed(variable, lists),
        )
        yield TemplateColumn(f"{name}{MISSING}", _("Why there is no value"), width=13, allowed=reasons)


def _style(variable: Variable) -> Style:
    if isinstance(variable, DateField):
        return Style.DATE
    return Style.NUMBER if isinstance(variable, NumberField) else Style.TEXT


def _allowed(variable: Variable, lists: _Lists) -> Choice | Limits | None:
    if variable.codes and not isinstance(variable, CheckboxField):
        return lists.add([*(offered(code, label) for code, label in variable.codes.items()), CLEAR])
    if isinstance(variable, DateField):
        least = None if variable.minimum is None else str((variable.minimum - SERIAL_ZERO).days)
        most = "TODAY()" if variable.maximum is None else str((variable.maximum - SERIAL_ZERO).days)
        return Limits("date", least, most)
    if isinstance(variable, NumberField) and (variable.minimum, variable.maximum) != (None, None):
        kind = "whole" if isinstance(variable, IntegerField) else "decimal"
        limits = (None if limit is None else str(limit) for limit in (variable.minimum, variable.maximum))
        return Limits(kind, *limits)
    return None


def _told(variable: Variable) -> Iterator[str]:
    """Yield the lines of the note at the header of a variable."""
    yield _(variable.label)
    if variable.note:
        yield _(variable.note)
    if variable.unit:
        yield _("Unit: %(unit)s") % {"unit": variable.unit}
    if variable.minimum is not None or variable.maximum is not None:
        yield _("Limits: %(limits)s") % {"limits": _limits(variable)}
    if variable.codes:
        yield _("Codes: %(codes)s") % {"codes": ", ".join(offered(*code) for code in variable.codes.items())}
    if isinstance(variable, CheckboxField):
        yield _("Several codes are parted by |.")
    if variable.required:
        yield _("Needed for a complete form.")
    if variable.show_if:
        yield _("Only asked when %(logic)s.") % {"logic": variable.show_if}


def _limits(variable: Variable) -> str:
    least = "" if variable.minimum is None else str(variable.minimum)
    most = _("today") if variable.max_is_today else "" if variable.maximum is None else str(variable.maximum)
    return f"{least} … {most}"


# Rows


def _row_of(entry: Entry, columns: Sequence[TemplateColumn], left_blank: list[str]) -> Iterator[Value]:
    for column in columns:
        value = _value(entry, column.name)
        if isinstance(value, str) and not fits_a_cell(value):
            left_blank.append(f"{entry.form.form_name()} {entry.record_id} {entry.instance} {column.name}")
            value = None
        yield value


def _value(entry: Entry, name: str) -> Value:
    beside: dict[str, Value] = {RECORD_ID: entry.record_id, INSTANCE: entry.instance, VERSION: entry.version}
    if name in beside:
        return beside[name]
    if name == STATUS:
        return str(entry.status.label)
    variable = name.removesuffix(MISSING)
    if variable != name:
        reason = entry.missing.get(variable)
        return None if reason is None else offered(reason, REASONS.get(reason, ""))
    return _as_cell(entry.form.variables()[name], entry.values[name])


def _as_cell(variable: Variable, value: Any) -> Value:
    if value is None:
        return None
    if isinstance(variable, DateField | DecimalField | IntegerField):
        found: Value = value
        return found
    text = variable.to_text(value)
    return text if isinstance(variable, TextField | PartialDateField | CheckboxField) else shown(variable, text)


def _texts(entry: Entry, names: Sequence[str]) -> Iterator[str]:
    variables = entry.form.variables()
    for name in names:
        variable = name.removesuffix(MISSING)
        if variable != name:
            yield entry.missing.get(variable, "")
        elif name in (RECORD_ID, INSTANCE, VERSION, STATUS):
            yield str(_value(entry, name))
        else:
            text = variables[name].to_text(entry.values[name])
            yield guarded(text) if isinstance(variables[name], TextField) else text


# What stands beside the data


def _read_me(title: str, left_blank: Sequence[str]) -> TemplateSheet:
    column = TemplateColumn("text", style=Style.WRAPPED, width=110)
    lines = [title, "", *(_(line) for line in HOW)]
    if left_blank:
        lines += [
            "",
            _("Too long for a cell of Excel, and left blank, which keeps them: %(cells)s.")
            % {"cells": ", ".join(left_blank)[:30_000]},
        ]
    return TemplateSheet(READ_ME, [column], [[line or None] for line in lines], with_header=False)


def _codebook(forms: Sequence[type[Form]]) -> TemplateSheet:
    widths = {
        "form": 20,
        "variable": 26,
        "label": 44,
        "unit": 8,
        "codes": 60,
        "limits": 26,
        "required": 9,
        "shown_if": 36,
        "note": 36,
    }
    columns = [TemplateColumn(name, style=Style.PLAIN, width=width) for name, width in widths.items()]
    rows: list[list[Value]] = [
        [
            form.form_name(),
            name,
            _(variable.label),
            variable.unit or None,
            ", ".join(offered(*code) for code in variable.codes.items()) or None,
            _limits(variable) if (variable.minimum, variable.maximum) != (None, None) else None,
            _("yes") if variable.required else None,
            variable.show_if or None,
            _(variable.note) if variable.note else None,
        ]
        for form in forms
        for name, variable in _variables(form)
    ]
    return TemplateSheet(CODEBOOK, columns, rows)


def template_name(site: Site | str, *, today: date, form: type[Form] | None, extension: str) -> str:
    """Return what the file is called: nothing in it needs quoting."""
    name = f"-{form.form_name()}" if form else ""
    return f"ecrf-{site}{name}-{today.isoformat()}.{extension}"
