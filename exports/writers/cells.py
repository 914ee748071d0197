"""Rows of values as rows of OOXML cells, each value exact or, where Excel has no exact cell for it, told in a note.

The XML is put together as text: building an element for each cell is where openpyxl spends most of its time.

Source: ECMA-376-1, 18.3.1.4 `c` and 18.17.4.1 (dates as serial numbers); Excel keeps 15 significant digits and takes
1900 for a leap year, so that serial numbers are safe from 1900-03-01 on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from exports.writers.cell_text import MAX_UNITS, LongTexts, is_plain, text_element, units, without_lone_surrogates
from exports.writers.notes import Notes
from exports.writers.workbook import Column, Kind, Row

MAX_DIGITS = 15
SERIAL_ZERO = date(1899, 12, 30).toordinal()
FIRST_SAFE_SERIAL = date(1900, 3, 1).toordinal() - SERIAL_ZERO
MILLISECONDS_A_DAY = 86_400_000
RECORD_LENGTH = 80

OUTSIDE_CALENDAR = "a date outside 1900-03-01 to 9999-12-31, the days that Excel counts right, is stored as text."
FINER_TIME = "the time is cut to whole milliseconds, the finest that Excel keeps."
LONG_NUMBER = "a number with more than 15 digits is stored as text, because Excel would round it."
NOT_A_NUMBER = "a number that Excel does not know is stored as text."
LONE_SURROGATE = "half a character, which cannot be stored, is replaced by U+FFFD."
LONG_TEXT = "the text has more than 32,767 characters; the cell holds its beginning, sheet {} all of it."


@dataclass(frozen=True, slots=True)
class Styles:
    """The numbers of the cell styles in the workbook's style table; 0 is the plain style."""

    header: int
    code: int
    date: int
    datetime: int


class _ColumnCells(NamedTuple):
    """What the cells of one column have in common: their start up to the row number, and the style of texts."""

    name: str
    start: str
    text_style: str


class CellWriter:
    """Writes the rows of one sheet as XML and notes what Excel cannot hold as it was given."""

    def __init__(
        self,
        title: str,
        columns: Sequence[Column],
        *,
        letters: Sequence[str],
        frozen_columns: int,
        styles: Styles,
        notes: Notes,
        long_texts: LongTexts,
    ) -> None:
        self._title = title
        self._headers = [column.header for column in columns]
        self._frozen_columns = frozen_columns
        self._notes = notes
        self._long_texts = long_texts
        code, plain = f' s="{styles.code}"', ""
        self._columns = [
            _ColumnCells(column.name, f'<c r="{letter}', code if column.kind is Kind.CODE else plain)
            for column, letter in zip(columns, letters, strict=True)
        ]
        self._header_columns = [cells._replace(text_style=f' s="{styles.header}"') for cells in self._columns]
        self._date_start = f' s="{styles.date}"><v>'
        self._datetime_start = f' s="{styles.datetime}"><v>'
        self._bodies: dict[type, Callable[[Any, _ColumnCells], str]] = {
            str: self._text,
            bool: lambda value, _: f' t="b"><v>{value:d}</v></c>',
            int: self._integer,
            float: self._float,
            Decimal: self._decimal,
            date: self._date,
            datetime: self._datetime,
        }
        self._values: Row = ()
        self._number = 0

    def header(self) -> str:
        """Return the header row."""
        self._values, self._number = (), 1
        cells = (
            f'{c.start}1"{self._text(name, c)}' for c, name in zip(self._header_columns, self._headers, strict=True)
        )
        return f'<row r="1">{"".join(cells)}</row>'

    def row(self, values: Row, number: int) -> str:
        """Return the row of the sheet with this number (the header is row 1).

        Raises ValueError if there are not as many values as columns, and TypeError for a value no cell can hold.
        """
        if len(values) != len(self._columns):
            raise ValueError(
                f"Row {number} of sheet {self._title} has {len(values)} values for {len(self._columns)} columns."
            )
        self._values, self._number = values, number
        bodies = self._bodies
        cells = [f'<row r="{number}">']
        for column, value in zip(self._columns, values, strict=True):
            if value is None:
                continue
            if type(value) is str and is_plain(value):  # by far the most cells
                cells.append(f'{column[1]}{number}"{column[2]} t="inlineStr"><is><t>{value}</t></is></c>')
            else:
                body = bodies.get(type(value)) or self._body_of_subclass(type(value), column)
                cells.append(f'{column[1]}{number}"{body(value, column)}')
        cells.append("</row>")
        return "".join(cells)

    def _body_of_subclass(self, kind: type, column: _ColumnCells) -> Callable[[Any, _ColumnCells], str]:
        """Return, and remember, how to write a kind of value that is one of ours by inheritance, such as a choice."""
        for base in kind.__mro__:
            if base in self._bodies:
                self._bodies[kind] = self._bodies[base]
                return self._bodies[base]
        raise TypeError(
            f"Row {self._number} of sheet {self._title} has a value of type {kind.__name__} in column {column.name}: "
            "a cell holds text, numbers, booleans, dates and times with a time zone."
        )

    def _text(self, value: str, column: _ColumnCells) -> str:
        # str.__str__ gives the text itself also for members of an enumeration.
        text = str.__str__(value)
        if not text:
            return "/>"
        whole = without_lone_surrogates(text)
        if whole != text:
            self._note(column, LONE_SURROGATE)
        if units(whole) > MAX_UNITS:
            self._note(column, LONG_TEXT.format(self._long_texts.sheet_name))
            whole = self._long_texts.keep(
                whole, sheet=self._title, number=self._number, record=self._record(), column=column.name
            )
        return f'{column.text_style} t="inlineStr">{text_element(whole)}</c>'

    def _integer(self, value: int, column: _ColumnCells) -> str:
        if abs(value) < 10**MAX_DIGITS:
            return f"><v>{value:d}</v></c>"
        return self._noted_text(f"{value:d}", column, LONG_NUMBER)

    def _float(self, value: float, column: _ColumnCells) -> str:
        if isfinite(value):
            return f"><v>{float.__repr__(value)}</v></c>"
        return self._noted_text(float.__repr__(value), column, NOT_A_NUMBER)

    def _decimal(self, value: Decimal, column: _ColumnCells) -> str:
        if not value.is_finite():
            return self._noted_text(str(value), column, NOT_A_NUMBER)
        # Within 15 digits and these exponents every decimal survives the way through Excel's binary numbers.
        if len(value.as_tuple().digits) <= MAX_DIGITS and -300 < value.adjusted() < 300:
            return f"><v>{value}</v></c>"
        return self._noted_text(str(value), column, LONG_NUMBER)

    def _date(self, value: date, column: _ColumnCells) -> str:
        serial = value.toordinal() - SERIAL_ZERO
        if serial >= FIRST_SAFE_SERIAL:
            return f"{self._date_start}{serial}</v></c>"
        return self._noted_text(value.isoformat(), column, OUTSIDE_CALENDAR)

    def _datetime(self, value: datetime, column: _ColumnCells) -> str:
        if value.utcoffset() is None:
            raise TypeError(f"Row {self._number} of sheet {self._title} has a time without zone in {column.name}.")
        try:
            value = value.astimezone(UTC)
        except OverflowError:  # the change of zone leaves the years 1 to 9999
            return self._noted_text(value.isoformat(), column, OUTSIDE_CALENDAR)
        days = value.toordinal() - SERIAL_ZERO
        if days < FIRST_SAFE_SERIAL:
            return self._noted_text(value.isoformat(), column, OUTSIDE_CALENDAR)
        milliseconds, finer = divmod(value.microsecond, 1000)
        if finer:
            self._note(column, FINER_TIME)
        milliseconds += 1000 * (value.second + 60 * (value.minute + 60 * value.hour))
        return f"{self._datetime_start}{days + milliseconds / MILLISECONDS_A_DAY!r}</v></c>"

    def _noted_text(self, text: str, column: _ColumnCells, what: str) -> str:
        self._note(column, what)
        return self._text(text, column)

    def _note(self, column: _ColumnCells, what: str) -> None:
        place = f"record {record}" if (record := self._record()) else f"row {self._number}"
        self._notes.of_cell(self._title, column.name, place, what)

    def _record(self) -> str:
        """Return the values of the key columns of the row being written, shortened if they are long."""
        record = " ".join(str(value) for value in self._values[: self._frozen_columns] if value is not None)
        return record if len(record) <= RECORD_LENGTH else record[: RECORD_LENGTH - 1] + "…"
