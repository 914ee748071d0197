"""Text as OOXML stores it: its length in a cell, its escapes, and texts too long for one cell.

Source: ECMA-376-1, 22.9.2.19 `ST_Xstring` (the `_xHHHH_` escape); Excel's specifications and limits (32,767 characters
a cell, which Excel counts in UTF-16 code units).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

from exports.writers.workbook import Column, Kind, Row, Sheet

MAX_UNITS = 32_767

_SURROGATES = re.compile("[\ud800-\udfff]")
_UNSTORABLE = r"\x00-\x08\x0b-\x1f\ufffe\uffff"
# Characters XML 1.0 cannot hold, CR (an XML reader turns it into LF), and the underscore of whatever a reader would
# take for an escape: LibreOffice does from one digit on, and the closing underscore may be that of the next escape.
_ESCAPED = re.compile(rf"[{_UNSTORABLE}]|_(?=[xX][0-9A-Fa-f]{{1,4}}[_{_UNSTORABLE}])")


def units(text: str) -> int:
    """Return the length of a text as Excel counts it: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def without_lone_surrogates(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate, which is half a character and has no encoding."""
    return _SURROGATES.sub("\ufffd", text)


def is_plain(text: str) -> bool:
    """Return whether the text can stand in the XML as it is; False for long texts, as their length needs a count."""
    # isprintable() alone rules out controls, line breaks, surrogates, noncharacters and blanks other than U+0020.
    return (
        text.isprintable()
        and "&" not in text
        and "<" not in text
        and ">" not in text
        and "_x" not in text
        and "_X" not in text
        and text.strip() == text != ""
        and len(text) <= MAX_UNITS // 2
    )


def text_element(text: str) -> str:
    """Return the XML element of an inline text that readers give back exactly; no lone surrogates."""
    escaped = _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<is><t xml:space="preserve">{escaped}</t></is>'


class LongTexts:
    """Texts too long for one cell, kept on disk until the sheet that holds them whole is written.

    The file has no name in `folder` (the disk the workbook goes to), so that nothing is left behind, whatever happens.
    """

    def __init__(self, sheet_name: str, *, folder: Path) -> None:
        self.sheet_name = sheet_name
        self._folder = folder
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __bool__(self) -> bool:
        return self._file is not None

    def keep(self, text: str, *, sheet: str, number: int, record: str, column: str) -> str:
        """Keep the whole text and return what fits its cell: the beginning, and where the rest is."""
        if self._file is None:
            self._file = TemporaryFile("w+", encoding="ascii", dir=self._folder)  # noqa: SIM115 -- closed by __exit__
        self._file.write(json.dumps([sheet, number, record, column, text]) + "\n")
        marker = f" … [cut here: sheet {self.sheet_name} has all {len(text):,} characters]"
        return next(_parts(text, MAX_UNITS - units(marker))) + marker

    def sheet(self) -> Sheet:
        """Return the sheet of all texts kept: joined in order, the parts of a text are the text."""
        columns = [
            Column("sheet", width=20),
            Column("row", Kind.INTEGER, width=10),
            Column("record", width=24),
            Column("column", width=24),
            Column("part", Kind.INTEGER, width=8),
            Column("text", width=80),
        ]
        return Sheet(self.sheet_name, columns, self._rows())

    def _rows(self) -> Iterator[Row]:
        if self._file is None:
            return
        self._file.seek(0)
        for line in self._file:
            *where, column, text = json.loads(line)
            for part, piece in enumerate(_parts(text, MAX_UNITS), start=1):
                yield [*where, column, part, piece]


def _parts(text: str, most: int) -> Iterator[str]:
    """Yield the text in pieces of at most `most` UTF-16 code units, never parting a character."""
    step = most if text.isascii() or max(text) <= "\uffff" else most // 2
    for start in range(0, len(text), step):
        yield text[start : start + step]
