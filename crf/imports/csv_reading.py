"""CSV files as tables: UTF-8, or Windows-1252 where the person says so; commas, semicolons or tabs."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Final

from django.utils.translation import gettext as _

from crf.fields import MAX_NOTES
from crf.imports.refusals import FileRefused
from crf.imports.tables import MAX_COLUMNS, Content, Counted, Table
from registry.audit_csv import STARTS_A_FORMULA

ENCODINGS: Final = ("utf-8", "cp1252")
OF_OTHER_ENCODINGS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00")
GUARD: Final = "'"


def read_csv(content: bytes, *, encoding: str, counted: Counted) -> Table:
    """Return the table of a CSV file. Raises FileRefused, also while its rows are read."""
    text = _decoded(content, encoding=encoding)
    if "\x00" in text.partition("\n")[0]:  # further down it is noted at its cell
        raise FileRefused("not_csv", _("The file holds bytes that no text has. Save it as CSV UTF-8."))
    return Table(name="", rows=_rows(text, counted))


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; `unguarded` gives back the text."""
    return GUARD + text if text.startswith((*STARTS_A_FORMULA, GUARD)) else text


def unguarded(text: str) -> str:
    """Return the text behind the sign that keeps spreadsheets from taking it for a formula."""
    return text[1:] if text.startswith(GUARD) and text[1:].startswith((*STARTS_A_FORMULA, GUARD)) else text


def _decoded(content: bytes, *, encoding: str) -> str:
    is_another = content.startswith(OF_OTHER_ENCODINGS)
    try:
        if not is_another:
            return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        pass
    message = _("The file is not in UTF-8. Save it as CSV UTF-8, or say that it is in Windows-1252.")
    raise FileRefused("not_utf8", message)


def _rows(text: str, counted: Counted) -> Iterator[tuple[int, Mapping[int, Content]]]:
    csv.field_size_limit(4 * MAX_NOTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for cells in reader:
            filled: dict[int, Content] = {place: cell for place, cell in enumerate(cells) if cell.strip()}
            if len(cells) > MAX_COLUMNS:
                raise FileRefused("too_many_cells", _("Line %(line)d has too many columns.") % {"line": line})
            if filled:
                counted.row(len(filled))
                yield line, filled
            line = reader.line_num + 1
    except csv.Error:
        message = _("Line %(line)d cannot be read. Check its quotes, or save the file as CSV UTF-8 again.")
        raise FileRefused("not_csv", message % {"line": line}) from None


def _delimiter(text: str) -> str:
    """Return what parts the columns: names of columns hold none of the signs."""
    header = text[:10_000].partition("\n")[0]
    return max((",", ";", "\t"), key=header.count)
