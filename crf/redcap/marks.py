"""How the cells and rows of an export stand in JSON, CSV and XML.

A row is its cells one after the other, so that the blank cells of the other forms, which are the same in each row of a
form, are written once and for all.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from json.encoder import encode_basestring
from typing import Protocol

from crf.redcap.errors import XML_PREFIX
from crf.redcap.tables import cdata


class Marks(Protocol):
    """One format."""

    between: str

    def encode(self, text: str, /) -> str:
        """Return a text as it stands in a cell."""

    def around(self, column: str) -> tuple[str, str]:
        """Return what stands before and after a cell of a column."""

    def number(self, value: int) -> str:
        """Return a whole number as it stands in a cell."""

    def row(self, cells: str) -> str:
        """Return a row made of its cells."""

    def begin(self, columns: Sequence[str], *, rows: bool) -> str:
        """Return what comes before the rows, if there are `rows`."""

    def end(self, *, rows: bool) -> str:
        """Return what comes after the rows."""


class Json:
    """A list of objects."""

    between = ","
    encode = staticmethod(encode_basestring)

    def around(self, column: str) -> tuple[str, str]:
        """Return the member's name and the comma."""
        return f"{encode_basestring(column)}:", ","

    def number(self, value: int) -> str:
        """Return the number: the only value that is no text."""
        return str(value)

    def row(self, cells: str) -> str:
        """Return an object, without the last comma."""
        return "{" + cells[:-1] + "}"

    def begin(self, columns: Sequence[str], *, rows: bool) -> str:
        """Return the opening bracket."""
        return "["

    def end(self, *, rows: bool) -> str:
        """Return the closing bracket."""
        return "]"


@dataclass(frozen=True)
class Csv:
    """Lines of cells; `labels` stand in the header instead of the names of the columns."""

    delimiter: str
    labels: Sequence[str] | None = None
    between = "\n"

    @cached_property
    def _needs_quotes(self) -> Callable[[str], re.Match[str] | None]:
        return re.compile(rf'[",\n\r\t {re.escape(self.delimiter)}]').search

    def encode(self, text: str, /) -> str:
        """Return a cell, in quotes where REDCap writes them."""
        return '"' + text.replace('"', '""') + '"' if self._needs_quotes(text) else text

    def around(self, column: str) -> tuple[str, str]:
        """Return the delimiter, which the first cell of a row loses."""
        return self.delimiter, ""

    def number(self, value: int) -> str:
        """Return the digits."""
        return str(value)

    def row(self, cells: str) -> str:
        """Return a line without its end."""
        return cells[1:]

    def begin(self, columns: Sequence[str], *, rows: bool) -> str:
        """Return the header; without rows there is none."""
        return self.delimiter.join(self.encode(name) for name in self.labels or columns) + "\n" if rows else ""

    def end(self, *, rows: bool) -> str:
        """Return the end of the last line."""
        return "\n"


class Xml:
    """A list of items; what is not blank stands in CDATA."""

    between = "\n"
    encode = staticmethod(cdata)

    def around(self, column: str) -> tuple[str, str]:
        """Return the tags."""
        return f"<{column}>", f"</{column}>"

    def number(self, value: int) -> str:
        """Return the digits."""
        return cdata(str(value))

    def row(self, cells: str) -> str:
        """Return an item."""
        return f"<item>{cells}</item>"

    def begin(self, columns: Sequence[str], *, rows: bool) -> str:
        """Return the head of the document."""
        return f"{XML_PREFIX}\n<records>\n"

    def end(self, *, rows: bool) -> str:
        """Return the end of the document."""
        return "\n</records>\n" if rows else "</records>\n"


def written(parts: Iterable[list[str]], *, marks: Marks, columns: Sequence[str]) -> Iterator[str]:
    """Yield the document made of parts, each a list of rows."""
    began = False
    for rows in parts:
        if not rows:
            continue
        yield (marks.between if began else marks.begin(columns, rows=True)) + marks.between.join(rows)
        began = True
    yield ("" if began else marks.begin(columns, rows=False)) + marks.end(rows=began)
