"""What a workbook is, whatever writes it: sheets of typed columns, and what was written of them.

A writer (`xlsx.py`) takes these descriptions and streams them to a file; nothing here knows a file format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

Value = None | str | bool | int | float | Decimal | date | datetime
"""What a cell may hold. An empty text and None both leave the cell blank; datetimes carry their time zone."""

Row = Sequence[Value]


class Kind(StrEnum):
    """What the values of a column are: it sets how blank and edited cells of the column behave."""

    TEXT = "text"
    CODE = "code"  # text that looks like a number, such as "007": stays text when someone edits the cell
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the kind of its values, its width in characters and a note for its header cell."""

    name: str
    kind: Kind = Kind.TEXT
    width: float = 14
    header_note: str = ""

    @property
    def header(self) -> str:
        """What the header cell says: the name, with the note (of a date and time: "UTC") in brackets."""
        note = self.header_note or ("UTC" if self.kind is Kind.DATETIME else "")
        return f"{self.name} ({note})" if note else self.name


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its columns, and rows that are read once, in order, when the sheet's turn comes.

    The first `frozen_columns` columns stay in sight when scrolling and name the record of a row in notes.
    """

    name: str
    columns: Sequence[Column]
    rows: Iterable[Row]
    frozen_columns: int = 0


@dataclass(frozen=True, slots=True)
class Properties:
    """What the file says of itself: its title, the software (never a person), and the time of the data cut."""

    title: str
    creator: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class WrittenSheet:
    """A sheet that is in the file: the name asked for, its name (or names, if it went on) there, and its data rows."""

    name: str
    titles: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Written:
    """What is in the file so far: its sheets in order, and a sentence for whatever is not stored as it was given."""

    sheets: tuple[WrittenSheet, ...]
    notes: tuple[str, ...]
