"""Excel workbooks, streamed: memory does not grow with the rows. The only module that imports openpyxl.

openpyxl makes everything around the rows (styles, panes, filters, properties, package); the rows go as text straight
into the file, between the two halves of the empty sheet that openpyxl makes. No temporary file is needed for them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.packaging.core import DocumentProperties
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.writer.excel import ExcelWriter

from exports.writers.cell_text import LongTexts
from exports.writers.cells import CellWriter, Styles
from exports.writers.notes import Notes
from exports.writers.sheet_names import SheetNames
from exports.writers.workbook import Kind, Properties, Row, Sheet, Written, WrittenSheet

# Excel's specifications and limits; one row is the header.
MAX_COLUMNS = 16_384
MAX_ROWS = 1_048_575
# A sheet's XML above 2 GiB would need the ZIP64 form, which Excel repairs or refuses.
MAX_SHEET_BYTES = 2_000_000_000
CHUNK_CHARACTERS = 1 << 17

# Narrower, Excel shows #### instead of the date.
MIN_WIDTHS = {Kind.DATE: 11, Kind.DATETIME: 28}

LONG_TEXT_SHEET = "long_text"
_EMPTY_ROWS = re.compile(rb"<sheetData\s*/>|<sheetData></sheetData>")


def write_workbook(
    path: Path,
    sheets: Iterable[Sheet],
    *,
    properties: Properties,
    closing: Callable[[Written], Iterable[Sheet]] | None = None,
    rows_per_sheet: int = MAX_ROWS,
    bytes_per_sheet: int = MAX_SHEET_BYTES,
) -> Written:
    """Write the sheets, and then those that `closing` makes of what was written so far, to an xlsx file at `path`.

    Sheets and their rows are read once, in order, as they are written. Texts too long for a cell follow the sheets in
    a sheet `long_text`, before those of `closing`. A sheet of more than `rows_per_sheet` rows, or much more than
    `bytes_per_sheet` bytes of XML, goes on in another. The same sheets and properties make the same bytes.

    Raises ValueError for a sheet of more than 16,384 columns or a workbook without sheets, TypeError for a value that
    no cell holds, OSError as the disk does. Whatever is raised, no file is left at `path`.
    """
    archive = _Archive(path, made_at=properties.made_at)
    try:
        with archive:
            book = _Book(archive, folder=path.parent, rows_per_sheet=rows_per_sheet, bytes_per_sheet=bytes_per_sheet)
            book.write_sheets(sheets)
            book.write_sheets(closing(book.written()) if closing else ())
            book.finish(properties)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return book.written()


class _Archive(ZipFile):
    """A zip file whose parts all carry the time of the data cut instead of the time of writing."""

    def __init__(self, path: Path, *, made_at: datetime) -> None:
        self._made_at = made_at.astimezone(UTC).timetuple()[:6]
        super().__init__(path, "w", ZIP_DEFLATED)

    def part(self, name: str) -> ZipInfo:
        info = ZipInfo(name, self._made_at)
        info.compress_type = ZIP_DEFLATED
        return info

    def writestr(self, name: Any, data: Any, *_: Any) -> None:  # openpyxl gives names
        super().writestr(self.part(name), data)


class _Package(ExcelWriter):  # type: ignore[misc]  # openpyxl has no types
    """openpyxl's package of a workbook whose sheets are in the archive already."""

    def write_worksheet(self, worksheet: Any) -> None:
        worksheet._drawing, worksheet._rels = None, []
        self.manifest.append(worksheet)


class _Book:
    """A workbook being written to an archive."""

    def __init__(self, archive: _Archive, *, folder: Path, rows_per_sheet: int, bytes_per_sheet: int) -> None:
        self._archive = archive
        self._folder = folder
        self._rows_per_sheet = rows_per_sheet
        self._bytes_per_sheet = bytes_per_sheet
        self._book = Workbook(write_only=True)
        self._names = SheetNames()
        self._notes = Notes()
        self._written: list[WrittenSheet] = []

    def written(self) -> Written:
        return Written(tuple(self._written), self._notes.sentences())

    def write_sheets(self, sheets: Iterable[Sheet]) -> None:
        """Write the sheets and behind them, if there are any, their long texts."""
        name = self._names.take(LONG_TEXT_SHEET)  # before a sheet can take it: the cells will refer to it
        with LongTexts(name, folder=self._folder) as long_texts:
            for sheet in sheets:
                self._write_sheet(sheet, long_texts)
            self._names.free(name)
            if long_texts:
                self._write_sheet(long_texts.sheet(), long_texts)

    def finish(self, properties: Properties) -> None:
        """Write what belongs to the workbook as a whole."""
        if not self._written:
            raise ValueError("A workbook needs at least one sheet.")
        made_at = properties.made_at.astimezone(UTC).replace(tzinfo=None)
        self._book.properties = DocumentProperties(
            title=properties.title, creator=properties.creator, created=made_at, modified=made_at
        )
        _Package(self._book, self._archive).write_data()

    def _write_sheet(self, sheet: Sheet, long_texts: LongTexts) -> None:
        if len(sheet.columns) > MAX_COLUMNS:
            raise ValueError(
                f"Sheet {sheet.name} would have {len(sheet.columns):,} columns. Excel holds {MAX_COLUMNS:,}: "
                "leave some columns or options out, or export the forms one by one."
            )
        titles: list[str] = []
        rows, written, more = iter(sheet.rows), 0, True
        while more:
            titles.append(self._names.take(sheet.name))
            self._note_title(sheet.name, titles)
            written += self._write_part(titles[-1], sheet, rows, long_texts)
            following = next(rows, None)
            if more := following is not None:
                rows = chain((following,), rows)
        self._written.append(WrittenSheet(sheet.name, tuple(titles), written))

    def _note_title(self, wanted: str, titles: list[str]) -> None:
        title = titles[-1]
        if len(titles) > 1:
            self._notes.of_sheet(title, f"continues sheet {titles[-2]}, which is as long as a sheet can be.")
        elif title != wanted:
            self._notes.of_sheet(title, f'stands for "{wanted}", a name that is taken or that Excel refuses.')

    def _write_part(self, title: str, sheet: Sheet, rows: Iterator[Row], long_texts: LongTexts) -> int:
        """Write one sheet of the file with as many of the rows as it holds; return how many those are."""
        worksheet = self._book.create_sheet(title)
        worksheet._id = len(self._book.worksheets)
        letters = [get_column_letter(number) for number, _ in enumerate(sheet.columns, start=1)]
        _lay_out(worksheet, sheet, letters)
        cells = CellWriter(
            title,
            sheet.columns,
            letters=letters,
            frozen_columns=sheet.frozen_columns,
            styles=_styles(worksheet),
            notes=self._notes,
            long_texts=long_texts,
        )
        with self._archive.open(self._archive.part(worksheet.path.removeprefix("/")), "w") as file:
            file.write(_around_rows(worksheet)[0] + b"<sheetData>")
            file.write(cells.header().encode())
            written = _stream(file, islice(rows, self._rows_per_sheet), cells, most_bytes=self._bytes_per_sheet)
            if letters:
                worksheet.auto_filter.ref = f"A1:{letters[-1]}{written + 1}"
            file.write(b"</sheetData>" + _around_rows(worksheet)[1])
        return written


def _stream(file: IO[bytes], rows: Iterable[Row], cells: CellWriter, *, most_bytes: int) -> int:
    """Write rows until they or the sheet's bytes run out; return how many were written."""
    chunk: list[str] = []
    characters = size = written = 0
    for written, values in enumerate(rows, start=1):
        chunk.append(cells.row(values, written + 1))
        characters += len(chunk[-1])
        if characters >= CHUNK_CHARACTERS:
            size += file.write("".join(chunk).encode())
            chunk, characters = [], 0
            if size >= most_bytes:
                break
    file.write("".join(chunk).encode())
    return written


def _lay_out(worksheet: Any, sheet: Sheet, letters: list[str]) -> None:
    worksheet.freeze_panes = f"{get_column_letter(sheet.frozen_columns + 1)}2"
    for letter, column in zip(letters, sheet.columns, strict=True):
        worksheet.column_dimensions[letter].width = max(column.width, MIN_WIDTHS.get(column.kind, 0))


def _styles(worksheet: Any) -> Styles:
    """Return the styles of our cells, adding them to the workbook's table the first time."""
    header = WriteOnlyCell(worksheet)
    header.font = Font(name="Calibri", size=11, bold=True)
    return Styles(
        header=header.style_id,
        code=_style_of_format(worksheet, "@"),
        date=_style_of_format(worksheet, "yyyy-mm-dd"),
        datetime=_style_of_format(worksheet, 'yyyy-mm-dd hh:mm:ss.000 "UTC"'),
    )


def _style_of_format(worksheet: Any, number_format: str) -> int:
    cell = WriteOnlyCell(worksheet)
    cell.number_format = number_format
    style_id: int = cell.style_id
    return style_id


def _around_rows(worksheet: Any) -> tuple[bytes, bytes]:
    """Return the XML before and after the rows of a sheet, as openpyxl writes it for a sheet without rows."""
    xml = BytesIO()
    WorksheetWriter(worksheet, xml).write()
    before, after = _EMPTY_ROWS.split(xml.getvalue())
    return before, after
