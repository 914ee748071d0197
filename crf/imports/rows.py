"""From a file to the rows of entries that stand in it: which reader, which form, which columns."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext as _

from crf.forms import Form, forms_by_name
from crf.imports.csv_reading import ENCODINGS, read_csv, unguarded
from crf.imports.refusals import FileRefused
from crf.imports.tables import MAX_FILE_BYTES, Content, Counted, Table, Wrong
from crf.imports.words import MISSING
from crf.imports.xlsx_reading import read_xlsx
from crf.reading import BESIDE_THE_VARIABLES, unknown_field

ZIP, OLE, PDF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF"
NUMBER: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
HEADER_IS_AMONG: Final = 10
"""Rows of a table, of which one must be its header."""
RECORD_ID, INSTANCE, VERSION, SITE = "record_id", "instance", "version", "site"
ALSO_NAMED: Final[Mapping[str, str]] = {"redcap_repeat_instance": INSTANCE}
KEYS: Final = frozenset({RECORD_ID, INSTANCE, VERSION})
FOR_PEOPLE: Final = frozenset({"read_me", "codebook", "lists"})
"""Sheets of the template that hold no data."""
MAX_NAME: Final = 150


@dataclass(slots=True)
class FileRow:
    """One entry as it stands in a file.

    `cells` are texts by column, blank ones left out; `unread` what could not be read: field, code, words.
    """

    line: int
    form: type[Form]
    record_id: str = ""
    instance: int | None = None
    version: int | None = None
    cells: dict[str, str] = field(default_factory=dict)
    unread: list[tuple[str | None, str, str]] = field(default_factory=list)

    def refuse(self, name: str | None, code: str, message: str) -> None:
        """Note one thing that could not be read."""
        self.unread.append((name, code, message))


@dataclass(slots=True)
class FileContent:
    """The entries of a file, and the names of the sheets that were left out."""

    rows: list[FileRow] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def read_file(name: str, content: bytes, *, form: type[Form] | None = None, encoding: str = "utf-8") -> FileContent:
    """Return the entries of a workbook or CSV file; `form` is that of a CSV file whose columns do not tell.

    Raises FileRefused.
    """
    if len(content) > MAX_FILE_BYTES:
        message = _("The file has more than %(max)d bytes. Bring it in parts.") % {"max": MAX_FILE_BYTES}
        raise FileRefused("too_large", message)
    found, counted = FileContent(), Counted()
    is_workbook = _is_workbook(name, content)
    tables = read_xlsx(content, counted=counted) if is_workbook else iter([_csv(content, encoding, counted)])
    for table in tables:
        if is_workbook and table.name in FOR_PEOPLE:
            continue
        rows = _rows_of(table, form, is_csv=not is_workbook)
        if rows is None:
            found.ignored.append(table.name)
        else:
            found.rows += rows
    if not found.rows:
        raise FileRefused("no_rows", _("There is no row of a form in the file. Use the template, and fill a row."))
    return found


def _csv(content: bytes, encoding: str, counted: Counted) -> Table:
    if encoding not in ENCODINGS:
        raise FileRefused("unknown_code", _("encoding: choose from %(known)s.") % {"known": ", ".join(ENCODINGS)})
    return read_csv(content, encoding=encoding, counted=counted)


def _is_workbook(name: str, content: bytes) -> bool:
    """Return whether a file is a workbook, else CSV. Raises FileRefused when name and content do not say the same."""
    extension = name.rpartition(".")[2].lower()
    if not content:
        raise FileRefused("no_rows", _("The file is empty."))
    if content.startswith(OLE):
        message = _("The workbook has a password, or is of the old format. Save it as .xlsx without a password.")
        raise FileRefused("encrypted", message)
    if extension in ("xlsm", "xltm", "xlsb", "xlam"):
        raise FileRefused("macros", _("The workbook may hold macros. Save it as an Excel workbook (.xlsx)."))
    if extension not in ("xlsx", "csv", "txt"):
        raise FileRefused("unknown_file", _("Only Excel workbooks (.xlsx) and CSV files (.csv) can be brought."))
    is_zip = content.startswith(ZIP)
    if is_zip is not (extension == "xlsx") or content.startswith(PDF):
        message = _("The file is not what its name says. Save it again as .xlsx or .csv.")
        raise FileRefused("not_what_it_says", message)
    return is_zip


def _rows_of(table: Table, wanted: type[Form] | None, *, is_csv: bool) -> list[FileRow] | None:
    """Return the entries of a table, None for one that is of no form."""
    columns: dict[int, str] | None = None
    form: type[Form] | None = None
    rows: list[FileRow] = []
    looked_at = 0
    for line, cells in table.rows:
        if form is not None and columns is not None:
            rows.append(_row(line, form, columns, cells, is_csv=is_csv))
            continue
        looked_at += 1
        columns = _columns(cells)
        if columns is not None:
            form = _form_of(table, columns, wanted)
            _refuse_columns(table, form, columns)
        elif is_csv or (looked_at == HEADER_IS_AMONG and table.name in forms_by_name()):
            raise FileRefused("missing_column", _("The column record_id is missing. Use the template."))
    return rows if form is not None else None


def _columns(cells: Mapping[int, Content]) -> dict[int, str] | None:
    """Return the names of the columns by place, None for a row that is no header."""
    names = {place: text.strip() for place, text in cells.items() if isinstance(text, str)}
    if RECORD_ID not in names.values():
        return None
    return {place: ALSO_NAMED.get(name, name) for place, name in names.items()}


def _form_of(table: Table, columns: Mapping[int, str], wanted: type[Form] | None) -> type[Form]:
    """Return the form that a table is of: by its name, as the person said, or by its columns."""
    named = forms_by_name().get(table.name) or wanted
    if named is not None:
        return named
    variables = {name.removesuffix(MISSING) for name in columns.values()} - KEYS
    forms = [form for form in forms_by_name().values() if variables & form.variables().keys()]
    if len(forms) == 1:
        return forms[0]
    if not forms:
        raise FileRefused("unknown_form", _("The columns are of no form. Use the template, or say which form it is."))
    message = _("The columns are of several forms. Bring one CSV file for each form, or a workbook.")
    raise FileRefused("unknown_form", message)


def _refuse_columns(table: Table, form: type[Form], columns: Mapping[int, str]) -> None:
    variables = form.variables().keys() - {RECORD_ID}
    allowed = {*KEYS, *variables, *BESIDE_THE_VARIABLES, *(f"{name}{MISSING}" for name in variables)}
    if not form.repeating:
        allowed.add(SITE)
    for name, times in Counter(columns.values()).items():
        if name not in allowed:
            raise FileRefused("unknown_field", _in(table, unknown_field(form, name)))
        if times > 1:
            message = _("The column %(name)s stands twice. Remove one.") % {"name": name}
            raise FileRefused("repeated_column", _in(table, message))


def _in(table: Table, message: str) -> str:
    return _("Sheet %(sheet)s: %(message)s") % {"sheet": table.name, "message": message} if table.name else message


def _row(
    line: int, form: type[Form], columns: Mapping[int, str], cells: Mapping[int, Content], *, is_csv: bool
) -> FileRow:
    row = FileRow(line=line, form=form)
    for name, content in _by_column(row, columns, cells):
        text = unguarded(content) if is_csv else content
        if name == RECORD_ID:
            row.record_id = text.strip()[:MAX_NAME]
        elif name == INSTANCE:
            row.instance = _number(row, name, text.strip())
        elif name == VERSION:
            row.version = _number(row, name, text.strip())
        else:
            row.cells[name] = text
    if not form.repeating:
        row.instance = 1 if row.instance is None else row.instance
    return row


def _by_column(row: FileRow, columns: Mapping[int, str], cells: Mapping[int, Content]) -> Iterator[tuple[str, str]]:
    """Yield the readable cells with the names of their columns; note the others on the row."""
    for place, content in cells.items():
        name = columns.get(place)
        if name is None:
            row.refuse(None, "wrong_cell_count", _("The row has a cell in a column without a name."))
        elif isinstance(content, Wrong):
            row.refuse(name.removesuffix(MISSING), content.code, content.message)
        elif UNSTORABLE.search(content):
            message = _("%(name)s holds characters that cannot be printed. Remove them or type the text again.")
            row.refuse(name.removesuffix(MISSING), "unprintable", message % {"name": name})
        else:
            yield name, content


def _number(row: FileRow, name: str, text: str) -> int | None:
    if NUMBER.fullmatch(text):
        return int(text)
    message = _("%(name)s: write a number from 1 in digits, or leave it as it was.") % {"name": name}
    row.refuse(name, "not_an_integer", message)
    return None
