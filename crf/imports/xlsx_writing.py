"""A workbook to be filled in: locked and open cells, lists to choose from, notes at headers.

Rows go as text into the zip, as in exports/writers; the little around them that such a workbook needs is written here
too, because what reads it back (xlsx_reading.py) knows the same parts.

Source: ECMA-376-1: 18.3.1.85 `sheetProtection`, 18.3.1.33 `dataValidations`, 18.7 comments, 22.9.2.19 (`_xHHHH_`).
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum
from typing import Final
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

Value = None | str | int | Decimal | date
MAX_CELL_CHARACTERS: Final = 32_767
LAST_ROW: Final = 50_002
"""The last row that lists and limits are offered in."""
SERIAL_ZERO: Final = date(1899, 12, 30)
FIRST_SAFE_DAY: Final = date(1900, 3, 1)
"""Excel takes 1900 for a leap year: before, it counts days wrongly."""
LOOKS_ESCAPED: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


class Style(IntEnum):
    """The cell styles, by their number in the style table."""

    PLAIN = 0
    HEADER = 1
    LABEL = 2
    KEY = 3
    TEXT = 4
    DATE = 5
    NUMBER = 6
    WRAPPED = 7
    HEADING = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """A list to choose from: a range of another sheet."""

    range: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The smallest and largest number or day, both included; `kind` is "whole", "decimal" or "date"."""

    kind: str
    least: str | None
    most: str | None


@dataclass(frozen=True, slots=True)
class TemplateColumn:
    """A column: name (for programs), label and note (for people), how its cells look, and what may be put there."""

    name: str
    label: str = ""
    note: str = ""
    style: Style = Style.TEXT
    width: float = 14
    allowed: Choice | Limits | None = None


@dataclass(frozen=True, slots=True)
class TemplateSheet:
    """A sheet. Its rows hold a value for each column; the first `keys` are locked where they are filled.

    With `keys` the sheet is protected (without a password), and the cells of its other columns are open.
    """

    name: str
    columns: Sequence[TemplateColumn]
    rows: Sequence[Sequence[Value]]
    keys: int = 0
    hidden: bool = False
    with_header: bool = True

    @property
    def header_rows(self) -> int:
        """How many rows stand above the data: labels where there are some, names."""
        return int(self.with_header) * (2 if any(column.label for column in self.columns) else 1)


def write_template(sheets: Sequence[TemplateSheet], *, title: str, words_if_not_listed: str) -> bytes:
    """Return the workbook. `words_if_not_listed` are told who types what a list or a limit does not have."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for number, sheet in enumerate(sheets, start=1):
            has_notes = any(column.note for column in sheet.columns)
            xml = _worksheet(sheet, words=words_if_not_listed, has_notes=has_notes)
            archive.writestr(f"xl/worksheets/sheet{number}.xml", xml)
            if has_notes:
                archive.writestr(f"xl/worksheets/_rels/sheet{number}.xml.rels", _relations_of_notes(number))
                archive.writestr(f"xl/comments{number}.xml", _comments(sheet))
                archive.writestr(f"xl/drawings/vmlDrawing{number}.vml", _boxes(sheet))
        archive.writestr("xl/styles.xml", STYLES)
        archive.writestr("xl/workbook.xml", _workbook(sheets))
        archive.writestr("xl/_rels/workbook.xml.rels", _relations_of_workbook(len(sheets)))
        archive.writestr("docProps/core.xml", _properties(title))
        archive.writestr("_rels/.rels", _relations_of_package())
        archive.writestr("[Content_Types].xml", _content_types(sheets))
    return file.getvalue()


def letters_of(number: int) -> str:
    """Return the letters of a column, counted from 1."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def fits_a_cell(text: str) -> bool:
    """Return whether a text is short enough for a cell, which counts UTF-16 units."""
    return len(text) <= MAX_CELL_CHARACTERS and len(text.encode("utf-16-le")) // 2 <= MAX_CELL_CHARACTERS


# Sheets


def _worksheet(sheet: TemplateSheet, *, words: str, has_notes: bool) -> str:
    letters = [letters_of(number) for number, _column in enumerate(sheet.columns, start=1)]
    first = sheet.header_rows + 1
    rows = [*_header(sheet, letters)]
    rows += [_row(sheet, letters, values, number) for number, values in enumerate(sheet.rows, start=first)]
    drawing = '<legacyDrawing r:id="rId1"/>' if has_notes else ""
    return (
        f'{XML}<worksheet xmlns="{MAIN}" xmlns:r="{RELATIONS}">{_view(sheet)}<sheetFormatPr defaultRowHeight="15"/>'
        f"{_columns(sheet)}<sheetData>{''.join(rows)}</sheetData>{_protection(sheet)}"
        f"{_validations(sheet, letters, words)}"
        f'<pageMargins left="0.5" right="0.5" top="0.5" bottom="0.5" header="0.3" footer="0.3"/>{drawing}</worksheet>'
    )


def _view(sheet: TemplateSheet) -> str:
    if not sheet.with_header:
        return '<sheetViews><sheetView showGridLines="0" workbookViewId="0"/></sheetViews>'
    across = f'xSplit="{sheet.keys}" ' if sheet.keys else ""
    pane = "bottomRight" if sheet.keys else "bottomLeft"
    corner = f"{letters_of(sheet.keys + 1)}{sheet.header_rows + 1}"
    return (
        f'<sheetViews><sheetView workbookViewId="0"><pane {across}ySplit="{sheet.header_rows}" topLeftCell="{corner}"'
        f' activePane="{pane}" state="frozen"/><selection pane="{pane}" activeCell="{corner}" sqref="{corner}"/>'
        "</sheetView></sheetViews>"
    )


def _columns(sheet: TemplateSheet) -> str:
    """Return the columns; their styles hold for the cells that nobody has written yet."""
    columns = (
        f'<col min="{number}" max="{number}" width="{column.width}" style="{column.style.value}" customWidth="1"/>'
        for number, column in enumerate(sheet.columns, start=1)
    )
    return f"<cols>{''.join(columns)}</cols>"


def _header(sheet: TemplateSheet, letters: Sequence[str]) -> Iterator[str]:
    places = list(zip(letters, sheet.columns, strict=True))
    if sheet.header_rows > 1:
        labels = (_cell(f"{letter}1", column.label, Style.LABEL) for letter, column in places)
        yield f'<row r="1" ht="45" customHeight="1">{"".join(labels)}</row>'
    if sheet.header_rows:
        names = (_cell(f"{letter}{sheet.header_rows}", column.name, Style.HEADER) for letter, column in places)
        yield f'<row r="{sheet.header_rows}">{"".join(names)}</row>'


def _row(sheet: TemplateSheet, letters: Sequence[str], values: Sequence[Value], number: int) -> str:
    cells = []
    for place, (letter, column, value) in enumerate(zip(letters, sheet.columns, values, strict=True)):
        if value is not None:
            style = Style.KEY if place < sheet.keys else column.style
            cells.append(_cell(f"{letter}{number}", value, style))
    return f'<row r="{number}">{"".join(cells)}</row>'


def _cell(place: str, value: Value, style: Style) -> str:
    start = f'<c r="{place}" s="{style.value}"'
    if isinstance(value, date) and value >= FIRST_SAFE_DAY:
        return f"{start}><v>{(value - SERIAL_ZERO).days}</v></c>"
    if isinstance(value, int | Decimal):
        return f"{start}><v>{value}</v></c>"
    text = "" if value is None else str(value)
    return f'{start} t="inlineStr"><is><t xml:space="preserve">{_text(text)}</t></is></c>' if text else f"{start}/>"


def _text(text: str) -> str:
    """Return a text as XML; what no XML text keeps is spelled as a number, as Excel does."""
    return escape(LOOKS_ESCAPED.sub("_x005F_", text)).replace("\r", "_x000D_")


def _protection(sheet: TemplateSheet) -> str:
    """Return the protection that keeps keys from being overwritten by mistake; layout stays free."""
    if not sheet.keys:
        return ""
    return (
        '<sheetProtection sheet="1" objects="1" scenarios="1" formatCells="0" formatColumns="0" formatRows="0"'
        ' sort="0" autoFilter="0"/>'
    )


def _validations(sheet: TemplateSheet, letters: Sequence[str], words: str) -> str:
    rules = [
        _validation(column.allowed, f"{letter}3:{letter}{LAST_ROW}", words)
        for letter, column in zip(letters, sheet.columns, strict=True)
        if column.allowed is not None
    ]
    return f'<dataValidations count="{len(rules)}">{"".join(rules)}</dataValidations>' if rules else ""


def _validation(allowed: Choice | Limits, cells: str, words: str) -> str:
    told = f'allowBlank="1" showErrorMessage="1" errorStyle="warning" error={quoteattr(words)} sqref="{cells}"'
    if isinstance(allowed, Choice):
        return f'<dataValidation type="list" {told}><formula1>{escape(allowed.range)}</formula1></dataValidation>'
    limits = [limit for limit in (allowed.least, allowed.most) if limit is not None]
    one = "greaterThanOrEqual" if allowed.most is None else "lessThanOrEqual"
    operator = "between" if len(limits) > 1 else one
    formulas = "".join(f"<formula{n}>{escape(limit)}</formula{n}>" for n, limit in enumerate(limits, start=1))
    return f'<dataValidation type="{allowed.kind}" operator="{operator}" {told}>{formulas}</dataValidation>'


# Notes at the headers


def _comments(sheet: TemplateSheet) -> str:
    notes = (
        f'<comment ref="{letters_of(number)}2" authorId="0">'
        f'<text><t xml:space="preserve">{_text(column.note)}</t></text></comment>'
        for number, column in enumerate(sheet.columns, start=1)
        if column.note
    )
    return (
        f'{XML}<comments xmlns="{MAIN}"><authors><author>eCRF</author></authors>'
        f"<commentList>{''.join(notes)}</commentList></comments>"
    )


def _boxes(sheet: TemplateSheet) -> str:
    """Return the boxes of the notes, hidden until somebody points at the header: Excel wants them in VML."""
    boxes = (
        f'<v:shape id="_x0000_s{1024 + number}" type="#_x0000_t202" style="position:absolute;width:300px;'
        f"height:{60 + 15 * (column.note.count(chr(10)) + len(column.note) // 45)}px;"
        f'z-index:{number};visibility:hidden"'
        ' fillcolor="#ffffe1" o:insetmode="auto"><v:fill color2="#ffffe1"/><v:path o:connecttype="none"/>'
        '<v:textbox style="mso-direction-alt:auto"/><x:ClientData ObjectType="Note"><x:MoveWithCells/>'
        f"<x:SizeWithCells/><x:AutoFill>False</x:AutoFill><x:Row>1</x:Row><x:Column>{number - 1}</x:Column>"
        "</x:ClientData></v:shape>"
        for number, column in enumerate(sheet.columns, start=1)
        if column.note
    )
    return (
        '<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
        ' xmlns:x="urn:schemas-microsoft-com:office:excel"><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/>'
        '</o:shapelayout><v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202"'
        ' path="m,l,21600r21600,l21600,xe"><v:stroke joinstyle="miter"/><v:path gradientshapeok="t"'
        f' o:connecttype="rect"/></v:shapetype>{"".join(boxes)}</xml>'
    )


# The package


def _workbook(sheets: Sequence[TemplateSheet]) -> str:
    listed = (
        f'<sheet name={quoteattr(sheet.name)} sheetId="{number}" state="{"hidden" if sheet.hidden else "visible"}"'
        f' r:id="rId{number}"/>'
        for number, sheet in enumerate(sheets, start=1)
    )
    return (
        f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><bookViews><workbookView activeTab="0"/></bookViews>'
        f"<sheets>{''.join(listed)}</sheets></workbook>"
    )


def _relations(*targets: tuple[str, str]) -> str:
    listed = (
        f'<Relationship Id="rId{number}" Type="{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{"".join(listed)}</Relationships>'


def _relations_of_workbook(sheets: int) -> str:
    listed = [(f"{RELATIONS}/worksheet", f"worksheets/sheet{number}.xml") for number in range(1, sheets + 1)]
    return _relations(*listed, (f"{RELATIONS}/styles", "styles.xml"))


def _relations_of_notes(number: int) -> str:
    return _relations(
        (f"{RELATIONS}/vmlDrawing", f"../drawings/vmlDrawing{number}.vml"),
        (f"{RELATIONS}/comments", f"../comments{number}.xml"),
    )


def _relations_of_package() -> str:
    return _relations(
        (f"{RELATIONS}/officeDocument", "xl/workbook.xml"),
        (f"{PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml"),
    )


def _properties(title: str) -> str:
    return (
        f'{XML}<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/core-properties"'
        f' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(title)}</dc:title>'
        "<dc:creator>eCRF</dc:creator></cp:coreProperties>"
    )


def _content_types(sheets: Sequence[TemplateSheet]) -> str:
    of_office = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = [("/xl/workbook.xml", "sheet.main"), ("/xl/styles.xml", "styles")]
    for number, sheet in enumerate(sheets, start=1):
        parts.append((f"/xl/worksheets/sheet{number}.xml", "worksheet"))
        if any(column.note for column in sheet.columns):
            parts.append((f"/xl/comments{number}.xml", "comments"))
    listed = (f'<Override PartName="{name}" ContentType="{of_office}.{kind}+xml"/>' for name, kind in parts)
    return (
        f'{XML}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/>'
        f"{''.join(listed)}"
        '<Override PartName="/docProps/core.xml"'
        ' ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>'
    )


def _xf(
    *, font: int = 0, fill: int = 0, border: int = 0, number: int = 0, wrap: bool = False, open_: bool = False
) -> str:
    """Return one entry of the table of cell styles."""
    top = '<alignment vertical="top" wrapText="1"/>' if wrap else '<alignment vertical="top"/>'
    lock = f'<protection locked="{int(not open_)}"/>'
    return (
        f'<xf numFmtId="{number}" fontId="{font}" fillId="{fill}" borderId="{border}" xfId="0" applyNumberFormat="1"'
        f' applyFont="1" applyFill="1" applyBorder="1" applyAlignment="1" applyProtection="1">{top}{lock}</xf>'
    )


AS_TEXT, ISO_DAY = 49, 164
_SOLID = '<fill><patternFill patternType="solid"><fgColor rgb="FF{}"/><bgColor indexed="64"/></patternFill></fill>'
_FONT = '<font>{}<sz val="{}"/><color rgb="FF{}"/><name val="Calibri"/><family val="2"/></font>'
_LINE = '<{0} style="thin"><color rgb="FFD6DCE4"/></{0}>'
_STYLES = (
    _xf(),
    _xf(font=1, fill=2, border=1),
    _xf(font=2, fill=2, border=1, wrap=True),
    _xf(fill=3, border=1),
    _xf(number=AS_TEXT, open_=True),
    _xf(number=ISO_DAY, open_=True),
    _xf(open_=True),
    _xf(wrap=True),
    _xf(font=3),
)
"""In the order of `Style`."""
STYLES: Final = (
    f'{XML}<styleSheet xmlns="{MAIN}">'
    f'<numFmts count="1"><numFmt numFmtId="{ISO_DAY}" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    f'<fonts count="4">{_FONT.format("", 11, "17202C")}{_FONT.format("<b/>", 11, "17202C")}'
    f"{_FONT.format('', 9, '4F5D6E')}{_FONT.format('<b/>', 14, '14558F')}</fonts>"
    '<fills count="4"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    f"{_SOLID.format('E6F0F9')}{_SOLID.format('EEF1F5')}</fills>"
    '<borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border>'
    f"<border>{_LINE.format('left')}{_LINE.format('right')}{_LINE.format('top')}{_LINE.format('bottom')}<diagonal/></border>"
    "</borders>"
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    f'<cellXfs count="{len(_STYLES)}">{"".join(_STYLES)}</cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
