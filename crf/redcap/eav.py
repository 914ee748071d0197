"""The EAV layout: one row for each saved value, none for what is blank."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crf.fields import Variable
from crf.redcap.cells import STATUS_LABELS, Style, single_value
from crf.redcap.columns import GROUP, INSTANCE, INSTRUMENT, RECORD_ID, Asked, Part
from crf.redcap.marks import Csv, Marks, Xml
from crf.redcap.stored import Record, Stored

RECORD, FIELD, VALUE = "record", "field_name", "value"
Values = Callable[[Stored], Iterator[tuple[str, str]]]
"""From an entry to the names and texts of what it holds."""


class EavXml(Xml):
    """XML in which only values stand in CDATA."""

    def number(self, value: int) -> str:
        """Return the digits."""
        return str(value)


@dataclass(frozen=True)
class Eav:
    """The layout of one export; `groups` are unique names by site, if told."""

    asked: Asked
    style: Style
    groups: dict[str, str] | None = None

    def columns_in(self, marks: Marks) -> list[str]:
        """Return the columns in the order of the format."""
        if isinstance(marks, Csv):
            return [RECORD, FIELD, VALUE, INSTRUMENT, INSTANCE]
        return [RECORD, INSTRUMENT, INSTANCE, FIELD, VALUE]

    def rows(self, records: Sequence[Record], *, marks: Marks) -> list[str]:
        """Return the rows of some records."""
        plans = [_values_of(part, self.style) for part in self.asked.parts]
        around = {name: marks.around(name) for name in self.columns_in(marks)}
        # Names hold nothing to be escaped: in XML only values stand in CDATA.
        name_of = str if isinstance(marks, EavXml) else marks.encode
        found: list[str] = []
        for record in records:
            for form, instance, name, text in self._facts(record, plans):
                cells = {
                    RECORD: name_of(record.record_id),
                    INSTRUMENT: name_of(form),
                    INSTANCE: marks.number(instance) if instance else name_of(""),
                    FIELD: name_of(name),
                    VALUE: marks.encode(text),
                }
                found.append(marks.row("".join(f"{start}{cells[name]}{end}" for name, (start, end) in around.items())))
        return found

    def _facts(self, record: Record, plans: Sequence[Values]) -> Iterator[tuple[str, int, str, str]]:
        """Yield instrument (blank for the base), instance, variable and text of each value of a record."""
        if self.asked.record_id:
            yield "", 0, RECORD_ID, record.record_id
        if self.groups is not None:
            yield "", 0, GROUP, self.groups[record.site]
        for part, plan, entries in zip(self.asked.parts, plans, record.entries, strict=True):
            repeats = part.form.repeating
            name = (part.form.title() if self.style.labels else part.form.form_name()) if repeats else ""
            for entry in entries:
                for variable, text in plan(entry):
                    yield name, entry.instance if repeats else 0, variable, text


def _values_of(part: Part, style: Style) -> Values:
    """Return what gives the values of an entry: a row for each ticked box, and the status if it was asked for."""
    boxes = {name: dict(variable.codes) for name, variable in part.variables.items() if _is_checkbox(variable)}
    singles = {name: single_value(variable, style=style) for name, variable in part.variables.items()}

    def values(entry: Stored) -> Iterator[tuple[str, str]]:
        for name, value in zip(part.variables, entry.values, strict=True):
            if value is None:
                if name in entry.missing:
                    yield name, style.reason(entry.missing[name])
            elif name in boxes:
                for code in value:
                    yield name, boxes[name][code] if style.labels else code
            else:
                convert = singles[name]
                yield name, convert(value) if convert else value
        if part.status:
            yield part.status_name, STATUS_LABELS[entry.status] if style.labels else entry.status

    return values


def _is_checkbox(variable: Variable) -> bool:
    return variable.field_type == "checkbox"
