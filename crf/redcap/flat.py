"""The flat layout: for each record a base row and one row for each instance, every row with every column."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from crf.forms import patient_form
from crf.redcap.cells import Style, cells_of, has_values
from crf.redcap.columns import (
    GROUP,
    INSTANCE,
    INSTRUMENT,
    RECORD_ID,
    SYSTEM_LABELS,
    Asked,
    Part,
    columns_of,
    heading,
    labels_of,
)
from crf.redcap.marks import Marks
from crf.redcap.stored import Record, Stored


@dataclass(frozen=True)
class Flat:
    """The layout of one export: what was asked for, in which style and format; `groups` are names by site, if told."""

    asked: Asked
    style: Style
    groups: dict[str, str] | None = None

    @cached_property
    def columns(self) -> list[str]:
        """The columns: record id, repeat instrument and instance, group, then the variables of each form."""
        return [*self._system, *(name for part in self.asked.parts for name in columns_of(part))]

    def columns_in(self, _marks: Marks) -> list[str]:
        """Return the columns, the same in every format."""
        return self.columns

    @cached_property
    def labels(self) -> list[str]:
        """The headings of the columns for people."""
        own = heading(patient_form().variables()[RECORD_ID].label)
        system = [own if name == RECORD_ID else SYSTEM_LABELS[name] for name in self._system]
        return [*system, *(label for part in self.asked.parts for label in labels_of(part))]

    @cached_property
    def _system(self) -> list[str]:
        of_the_record = [RECORD_ID, INSTRUMENT, INSTANCE] if self.asked.record_id else []
        return [*of_the_record, GROUP] if self.groups is not None else of_the_record

    def rows(self, records: Sequence[Record], *, marks: Marks) -> list[str]:
        """Return the rows of some records."""
        makers = [_Maker(self, index, marks) for index in range(len(self.asked.parts))]
        return [row for record in records for row in self._rows_of(record, makers)]

    def _rows_of(self, record: Record, makers: Sequence["_Maker"]) -> Iterator[str]:
        for part, maker, entries in zip(self.asked.parts, makers, record.entries, strict=True):
            for entry in entries:
                if part.form.repeating or self.asked.record_id or has_values(part, entry):
                    yield maker.row(record, entry)


class _Maker:
    """Makes the rows of one form: its own cells between the blank ones of the others."""

    def __init__(self, layout: Flat, index: int, marks: Marks) -> None:
        parts = layout.asked.parts
        part = parts[index]
        self.marks, self.layout = marks, layout
        self.before = "".join(_blank(other, marks) for other in parts[:index])
        self.after = "".join(_blank(other, marks) for other in parts[index + 1 :])
        self.cells = cells_of(part, style=layout.style)
        self.around = [marks.around(name) for name in columns_of(part)]
        self.system = {name: marks.around(name) for name in (RECORD_ID, INSTRUMENT, INSTANCE, GROUP)}
        self.repeats = part.form.repeating
        told = part.form.title() if layout.style.labels else part.form.form_name()
        self.instrument = marks.encode(told if self.repeats else "")

    def row(self, record: Record, entry: Stored) -> str:
        """Return the row of an entry."""
        encode, cells = self.marks.encode, self.cells(entry)
        own = "".join([f"{start}{encode(text)}{end}" for (start, end), text in zip(self.around, cells, strict=True)])
        return self.marks.row(f"{self._system(record, entry)}{self.before}{own}{self.after}")

    def _system(self, record: Record, entry: Stored) -> str:
        marks, told = self.marks, ""
        if self.layout.asked.record_id:
            number = marks.number(entry.instance) if self.repeats else marks.encode("")
            cells = {RECORD_ID: marks.encode(record.record_id), INSTRUMENT: self.instrument, INSTANCE: number}
            told = "".join(f"{self.system[name][0]}{cell}{self.system[name][1]}" for name, cell in cells.items())
        if self.layout.groups is not None:
            start, end = self.system[GROUP]
            told += f"{start}{marks.encode(self.layout.groups[record.site])}{end}"
        return told


def _blank(part: Part, marks: Marks) -> str:
    blank = marks.encode("")
    return "".join(f"{start}{blank}{end}" for start, end in (marks.around(name) for name in columns_of(part)))
