"""Excel workbooks as tables: only what is needed of them, read as a stream within limits.

The files are hostile until shown otherwise. expat reads one part after the other in pieces and builds no tree; a
document type, which every entity and outside reference needs, ends the reading; parts are unpacked while they are read
and never beyond a limit, whatever the zip says of itself. Nothing is written to a disk, no formula is worked out, and
of the parts that are not read not a byte is unpacked.

Source: ECMA-376-1: 18.3.1.4 `c`, 18.4.8 `si`, 18.8.30 `numFmt`, 18.17.4.1 (dates as serial numbers), 22.9.2.19
(`_xHHHH_`).
"""

import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from math import isfinite
from posixpath import normpath
from typing import Any, Final
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from django.utils.translation import gettext as _

from crf.imports.refusals import FileRefused
from crf.imports.tables import MAX_CELLS, MAX_COLUMNS, MAX_TEXT, Content, Counted, Table, Wrong

MAX_PARTS: Final = 2_000
MAX_UNPACKED: Final = 150_000_000
"""Bytes of all parts that are read."""
MAX_SHARED: Final = 50_000_000
"""Characters of all shared texts, which are kept until the end."""
MAX_ELEMENTS: Final = 4_000_000
"""Of all parts that are read: they, more than bytes, cost the time."""
MAX_TOKEN: Final = 1_000_000
"""Bytes of one tag or comment: until it ends, expat before 2.6 reads it from its start again with every piece."""
MAX_DEPTH: Final = 40
PIECE: Final = 1 << 16
REFERENCE: Final = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})", re.ASCII)
ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
DIGITS: Final = re.compile(r"\d{1,9}", re.ASCII)
NOT_A_DATE_PART: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
BUILT_IN_DATES: Final = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])


def read_xlsx(content: bytes, *, counted: Counted) -> Iterator[Table]:
    """Yield the sheets of a workbook, each to be read before the next. Raises FileRefused, also while rows are read."""
    with _refusing(), ZipFile(io.BytesIO(content)) as archive:
        package = _Package(archive)
        workbook = _Workbook()
        package.read("xl/workbook.xml", workbook.start)
        paths = _Relations(package, "xl/_rels/workbook.xml.rels").targets
        texts = _SharedTexts()
        if "xl/sharedStrings.xml" in package.names:
            package.read("xl/sharedStrings.xml", texts.start, texts.end, texts.text)
        styles = _Styles()
        if "xl/styles.xml" in package.names:
            package.read("xl/styles.xml", styles.start, styles.end)
        for name, relation in workbook.sheets:
            path = paths.get(relation, "")
            if path.startswith("xl/worksheets/"):
                sheet = _Sheet(texts.texts, styles.dates, counted=counted, from_1904=workbook.from_1904)
                yield Table(name=name, rows=_rows_of(package, path, sheet))


def _rows_of(package: "_Package", path: str, sheet: "_Sheet") -> Iterator[tuple[int, Mapping[int, Content]]]:
    with _refusing():
        for _piece in package.pieces(path, sheet.start, sheet.end, sheet.text):
            yield from sheet.taken()


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the libraries say of a broken file into a refusal."""
    try:
        yield
    except (BadZipFile, zlib.error, expat.ExpatError, NotImplementedError, EOFError, RuntimeError, OverflowError):
        raise _not_xlsx() from None


def _not_xlsx() -> FileRefused:
    return FileRefused("not_xlsx", _("The workbook cannot be read. Save it again as an Excel workbook (.xlsx)."))


class _Package:
    """The parts of a workbook."""

    def __init__(self, archive: ZipFile) -> None:
        infos = archive.infolist()
        self.archive, self.names = archive, {info.filename for info in infos}
        self.unpacked = self.elements = 0
        if len(infos) > MAX_PARTS or len(self.names) < len(infos):
            raise _not_xlsx()
        if any(info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in infos):
            raise _not_xlsx()
        self._refuse_what_is_more_than_cells()
        if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels", "[Content_Types].xml"} <= self.names:
            raise _not_xlsx()
        self.read("[Content_Types].xml", _refuse_macros)

    def _refuse_what_is_more_than_cells(self) -> None:
        for name in self.names:
            for part, refusal in FORBIDDEN_PARTS.items():
                if part in name.lower():
                    raise refusal()

    def read(self, name: str, start: Any = None, end: Any = None, text: Any = None) -> None:
        """Read a part to its end."""
        for _piece in self.pieces(name, start, end, text):
            pass

    def pieces(self, name: str, start: Any = None, end: Any = None, text: Any = None) -> Iterator[None]:
        """Read a part piece by piece; the functions are called for elements (local names) and texts."""
        if name not in self.names:
            raise _not_xlsx()
        reader = _PartReader(self, start, end, text)
        with self.archive.open(name) as part:
            while piece := part.read(PIECE):
                reader.feed(piece)
                yield
            reader.close()
            yield


class _PartReader:
    """One part while it is parsed: counts what it takes of the package's limits."""

    def __init__(self, package: _Package, start: Any, end: Any, text: Any) -> None:
        self._package, self._start, self._end = package, start, end
        self._depth = self._read = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse_document_type
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._started, self._ended
        if text:
            self._parser.CharacterDataHandler = text

    def feed(self, piece: bytes) -> None:
        """Parse the next piece."""
        self._package.unpacked += len(piece)
        if self._package.unpacked > MAX_UNPACKED:
            raise _too_much()
        self._parser.Parse(piece, False)
        self._read += len(piece)
        if self._read - self._parser.CurrentByteIndex > MAX_TOKEN + PIECE:
            raise _too_much()

    def close(self) -> None:
        """End the part."""
        self._parser.Parse(b"", True)

    def _started(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._package.elements += 1
        if self._depth > MAX_DEPTH:
            raise _not_xlsx()
        if self._package.elements > MAX_ELEMENTS:
            raise _too_much()
        if self._start:
            self._start(tag.rpartition(" ")[2], attributes)

    def _ended(self, tag: str) -> None:
        self._depth -= 1
        if self._end:
            self._end(tag.rpartition(" ")[2])


def _refuse_document_type(*_declaration: Any) -> None:
    raise _not_xlsx()


def _too_much() -> FileRefused:
    return FileRefused("too_large", _("The workbook is too large when unpacked. Bring it in parts."))


def _macros() -> FileRefused:
    message = _("The workbook holds macros. Save it as an Excel workbook without macros (.xlsx).")
    return FileRefused("macros", message)


def _external_links() -> FileRefused:
    message = _("The workbook refers to other files. Copy the sheets and paste their values only.")
    return FileRefused("external_links", message)


def _embedded_files() -> FileRefused:
    return FileRefused("embedded_files", _("The workbook holds other files. Copy the sheets into a new workbook."))


FORBIDDEN_PARTS: Final[Mapping[str, Callable[[], FileRefused]]] = {
    "vbaproject": _macros,
    "macrosheets/": _macros,
    "activex/": _macros,
    "externallinks/": _external_links,
    "connections.xml": _external_links,
    "embeddings/": _embedded_files,
}
"""What the names of parts hold that are more than cells."""


def _refuse_macros(tag: str, attributes: Mapping[str, str]) -> None:
    if tag in ("Override", "Default") and "macroenabled" in attributes.get("ContentType", "").lower():
        raise _macros()


class _Relations:
    """The paths of the parts that a part refers to, by relation."""

    def __init__(self, package: _Package, name: str) -> None:
        self.targets: dict[str, str] = {}
        package.read(name, self._start)

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag != "Relationship":
            return
        if attributes.get("TargetMode", "") == "External":
            raise _external_links()
        target = attributes.get("Target", "")
        path = target[1:] if target.startswith("/") else normpath(f"xl/{target}")
        self.targets[attributes.get("Id", "")] = path


@dataclass
class _Workbook:
    """The sheets in their order, as (name, relation), and from when days are counted."""

    sheets: list[tuple[str, str]] = field(default_factory=list)
    from_1904: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            relation = next((value for name, value in attributes.items() if name.endswith("relationships id")), "")
            self.sheets.append((attributes.get("name", "")[:100], relation))
        elif tag == "workbookPr":
            self.from_1904 = attributes.get("date1904", "") in ("1", "true")


class _Styles:
    """Whether each cell style shows a number as a date."""

    def __init__(self) -> None:
        self.dates: list[bool] = []
        self._formats: dict[str, bool] = {}
        self._of_cells = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "numFmt" and len(self._formats) < MAX_COLUMNS:
            shown = NOT_A_DATE_PART.sub("", attributes.get("formatCode", "")[:200].lower())
            self._formats[attributes.get("numFmtId", "")] = any(sign in shown for sign in "dy")
        elif tag == "cellXfs":
            self._of_cells = True
        elif tag == "xf" and self._of_cells and len(self.dates) < PIECE:
            number = attributes.get("numFmtId", "")
            built_in = DIGITS.fullmatch(number) is not None and int(number) in BUILT_IN_DATES
            self.dates.append(self._formats.get(number, built_in))

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._of_cells = False


class _SharedTexts:
    """The texts that cells refer to by number. Phonetic hints are left out."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._pieces: list[str] = []
        self._reads = self._hint = False
        self._characters = 0

    def start(self, tag: str, _attributes: Mapping[str, str]) -> None:
        if tag == "si":
            self._pieces = []
        elif tag == "rPh":
            self._hint = True
        elif tag == "t":
            self._reads = not self._hint

    def end(self, tag: str) -> None:
        if tag == "t":
            self._reads = False
        elif tag == "rPh":
            self._hint = False
        elif tag == "si":
            self.texts.append(_unescaped("".join(self._pieces)))
            if len(self.texts) > MAX_CELLS:
                raise _too_much()

    def text(self, text: str) -> None:
        if self._reads:
            self._characters += len(text)
            if self._characters > MAX_SHARED:
                raise _too_much()
            self._pieces.append(text)


class _Sheet:
    """The rows of a sheet while it is read."""

    def __init__(self, texts: list[str], dates: list[bool], *, counted: Counted, from_1904: bool) -> None:
        self._texts, self._dates, self._counted = texts, dates, counted
        self._zero = date(1904, 1, 1) if from_1904 else date(1899, 12, 30)
        self._rows: list[tuple[int, Mapping[int, Content]]] = []
        self._row: dict[int, Content] = {}
        self._line = self._column = self._characters = 0
        self._kind = self._style = ""
        self._pieces: list[str] = []
        self._reads = self._hint = self._formula = False
        self._to_content: Mapping[str, Callable[[str], Content]] = {
            "s": self._shared,
            "str": _unescaped,
            "inlineStr": _unescaped,
            "b": lambda text: "1" if text == "1" else "0",
            "e": lambda _text: Wrong("formula_error", _("The cell holds an error of Excel. Type the value.")),
            "d": lambda text: text.removesuffix("T00:00:00"),
        }

    def taken(self) -> list[tuple[int, Mapping[int, Content]]]:
        """Return the rows that are complete by now, once."""
        rows, self._rows = self._rows, []
        return rows

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "row":
            number = attributes.get("r", "")
            self._line = int(number) if DIGITS.fullmatch(number) else self._line + 1
            self._row, self._column = {}, -1
        elif tag == "c":
            self._column = _column_of(attributes.get("r", ""), after=self._column)
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "0")
            self._pieces, self._formula, self._characters = [], False, 0
        elif tag == "f":
            self._formula = True
        elif tag == "rPh":
            self._hint = True
        elif tag in ("v", "t"):
            self._reads = not self._hint

    def end(self, tag: str) -> None:
        if tag in ("v", "t"):
            self._reads = False
        elif tag == "rPh":
            self._hint = False
        elif tag == "c":
            self._end_cell()
        elif tag == "row" and self._row:
            self._counted.row(len(self._row))
            self._rows.append((self._line, self._row))
            self._row = {}

    def text(self, text: str) -> None:
        if self._reads:
            self._characters += len(text)
            if self._characters > MAX_TEXT:
                raise _too_much()
            self._pieces.append(text)

    def _end_cell(self) -> None:
        text = "".join(self._pieces)
        if self._formula:
            self._put(Wrong("formula", _("The cell holds a formula. Copy it and paste its value only.")))
        elif text.strip():
            content = self._to_content.get(self._kind, self._number)(text)
            if isinstance(content, Wrong) or content.strip():
                self._put(content)

    def _put(self, content: Content) -> None:
        if self._column in self._row:
            raise _not_xlsx()
        self._row[self._column] = content

    def _shared(self, text: str) -> Content:
        if DIGITS.fullmatch(text) is None or int(text) >= len(self._texts):
            raise _not_xlsx()
        return self._texts[int(text)]

    def _number(self, text: str) -> Content:
        """Return a number as Excel shows it, with 15 digits, or the day that it stands for."""
        try:
            value = float(text)
        except ValueError:
            raise _not_xlsx() from None
        if not isfinite(value):
            raise _not_xlsx()
        is_date = (
            DIGITS.fullmatch(self._style) and int(self._style) < len(self._dates) and self._dates[int(self._style)]
        )
        if is_date and value.is_integer() and 0 < value < 2_958_466:
            return (self._zero + timedelta(days=value)).isoformat()
        if is_date or abs(value) > 10**15:
            return text[:40]
        shown = f"{Decimal(f'{value:.15g}') + 0:f}"
        return "0" if float(shown) == 0 else shown


def _column_of(reference: str, *, after: int) -> int:
    if not reference:
        return after + 1
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise _not_xlsx()
    number = 0
    for letter in match.group(1):
        number = 26 * number + ord(letter) - ord("A") + 1
    if number > MAX_COLUMNS:
        raise FileRefused("too_many_cells", _("The sheet has too many columns. Use the template."))
    return number - 1


def _unescaped(text: str) -> str:
    """Return the text with the characters that OOXML spells as numbers; `_x005F_` is the underscore itself."""
    return ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text) if "_x" in text else text
