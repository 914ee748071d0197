"""The EAV layout: one row for each saved value, none for what is blank."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
        maker = _Maker(self.columns_in(marks), marks)
        plans = [_values_of(part, self.style) for part in self.asked.parts]
        return [row for record in records for row in self._rows_of(record, plans, maker)]

    def _rows_of(self, record: Record, plans: Sequence[Values], maker: "_Maker") -> Iterator[str]:
        of_the_record = [(RECORD_ID, record.record_id)] if self.asked.record_id else []
        if self.groups is not None:
            of_the_record.append((GROUP, self.groups[record.site]))
        yield from maker.rows(record, "", None, of_the_record)
        for part, plan, entries in zip(self.asked.parts, plans, record.entries, strict=True):
            repeats = part.form.repeating
            name = (part.form.title() if self.style.labels else part.form.form_name()) if repeats else ""
            for entry in entries:
                yield from maker.rows(record, name, entry.instance if repeats else None, plan(entry))


class _Maker:
    """Makes the rows of entries: what they share is put together once for each entry."""

    def __init__(self, columns: Sequence[str], marks: Marks) -> None:
        self.columns, self.marks = columns, marks
        self.around = {name: marks.around(name) for name in columns}
        # Names hold nothing to be escaped: in XML only values stand in CDATA.
        self.name_of = str if isinstance(marks, EavXml) else marks.encode
        self.fields: dict[str, str] = {}

    def rows(self, record: Record, form: str, instance: int | None, facts: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Yield the rows of variables and their texts; `instance` None is the base."""
        marks, name_of = self.marks, self.name_of
        cells = {
            RECORD: name_of(record.record_id),
            INSTRUMENT: name_of(form),
            INSTANCE: name_of("") if instance is None else marks.number(instance),
        }
        at = self.columns.index(FIELD)
        head, tail = self._joined(cells, self.columns[:at]), self._joined(cells, self.columns[at + 2 :])
        start, end = self.around[VALUE]
        for variable, text in facts:
            field = self.fields.get(variable) or self._field(variable)
            yield marks.row(f"{head}{field}{start}{marks.encode(text)}{end}{tail}")

    def _joined(self, cells: Mapping[str, str], columns: Iterable[str]) -> str:
        return "".join(f"{self.around[name][0]}{cells[name]}{self.around[name][1]}" for name in columns)

    def _field(self, variable: str) -> str:
        self.fields[variable] = found = self._joined({FIELD: self.name_of(variable)}, [FIELD])
        return found


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
