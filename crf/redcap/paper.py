"""Sheets of paper: the only module that knows how a PDF is made.

The font is Bitstream Vera, which comes with reportlab and is embedded: it has the letters of western European
languages; others show as boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import IO, Any
from xml.sax.saxutils import escape

from crf.fields import Variable
from crf.forms import Form, MissingReason, Status
from crf.redcap.project import TITLE
from crf.storage import Entry

NORMAL, BOLD = "Vera", "VeraBd"
MARGIN = 42
"""In points, 72 an inch."""
LABEL_WIDTH, VALUE_WIDTH = 230, 280
PIECE = 2_000
"""Characters of a note that are set at once: a word without end takes the square of its length."""
TICKED, EMPTY, LINE = "[x]", "[ ]", "_" * 30


@dataclass(frozen=True)
class Sheet:
    """One form on paper: blank, of a record, or filled with an entry."""

    form: type[Form]
    record_id: str = ""
    entry: Entry | None = None


def write_pdf(sheets: Sequence[Sheet], *, to: IO[bytes], compact: bool) -> None:
    """Write the sheets, each on a page of its own; `compact` leaves out what is not filled in."""
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 -- slow import, needed by few calls
    from reportlab.platypus import PageBreak, SimpleDocTemplate  # noqa: PLC0415 -- the same

    story: list[Any] = []
    for sheet in sheets:
        story += [*_flowables(sheet, compact=compact), PageBreak()]
    margins = {f"{side}Margin": MARGIN for side in ("left", "right", "top", "bottom")}
    SimpleDocTemplate(to, pagesize=A4, title=TITLE, author="eCRF", invariant=1, **margins).build(story)


@cache
def _styles() -> dict[str, Any]:
    """Return the styles, with their fonts registered."""
    from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415 -- slow import, needed by few calls
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415 -- the same
    from reportlab.pdfbase.ttfonts import TTFont  # noqa: PLC0415 -- the same

    for name in (NORMAL, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    return {
        "title": ParagraphStyle("title", fontName=BOLD, fontSize=13, leading=17, spaceAfter=6),
        "section": ParagraphStyle("section", fontName=BOLD, fontSize=9, leading=12),
        "label": ParagraphStyle("label", fontName=NORMAL, fontSize=8, leading=10.5),
        "value": ParagraphStyle("value", fontName=NORMAL, fontSize=8, leading=10.5, splitLongWords=True),
    }


def _flowables(sheet: Sheet, *, compact: bool) -> list[Any]:
    from reportlab.platypus import Paragraph  # noqa: PLC0415 -- slow import, needed by few calls

    head = f"{sheet.form.title()}"
    if sheet.entry is not None and sheet.form.repeating:
        head += f" ({sheet.entry.instance})"
    place = f"{TITLE} — record {sheet.record_id or LINE}"
    styles = _styles()
    parts: list[Any] = [Paragraph(escape(head), styles["title"]), Paragraph(escape(place), styles["label"])]
    rows: list[tuple[str, Any]] = []
    for name, variable in sheet.form.variables().items():
        if compact and sheet.entry is not None and not _is_filled(sheet.entry, name):
            continue
        if variable.section:
            rows.append((escape(variable.section), None))
        label = escape(variable.label) + (f"<br/><i>{escape(variable.note)}</i>" if variable.note else "")
        if variable.free_text and sheet.entry is not None:
            # A row of a table has to fit a page; notes may not, and run on below it.
            parts += [*_table(rows), *_notes(label, _text(name, variable, sheet.entry))]
            rows = []
        else:
            rows.append((label, _shown(name, variable, sheet)))
    status = Status(sheet.entry.status).label if sheet.entry is not None else LINE
    return [*parts, *_table([*rows, ("Form status", escape(str(status)))])]


def _notes(label: str, text: str) -> list[Any]:
    from reportlab.platypus import Paragraph  # noqa: PLC0415 -- slow import, needed by few calls

    styles = _styles()
    pieces = [line[at : at + PIECE] for line in text.splitlines() for at in range(0, len(line), PIECE)]
    return [Paragraph(label, styles["label"]), *(Paragraph(escape(piece), styles["value"]) for piece in pieces)]


def _table(rows: Sequence[tuple[str, Any]]) -> list[Any]:
    """Return the rows, label and value, as a table; without a value the label is a heading."""
    from reportlab.lib import colors  # noqa: PLC0415 -- slow import, needed by few calls
    from reportlab.platypus import Paragraph, Table, TableStyle  # noqa: PLC0415 -- the same

    if not rows:
        return []
    styles = _styles()
    style: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey),
    ]
    cells: list[list[Any]] = []
    for index, (label, value) in enumerate(rows):
        if value is None:
            style += [("SPAN", (0, index), (1, index)), ("BACKGROUND", (0, index), (1, index), colors.whitesmoke)]
            cells.append([Paragraph(label, styles["section"]), ""])
        else:
            cells.append([Paragraph(label, styles["label"]), Paragraph(value, styles["value"])])
    return [Table(cells, colWidths=[LABEL_WIDTH, VALUE_WIDTH], style=TableStyle(style), spaceBefore=8)]


def _is_filled(entry: Entry, name: str) -> bool:
    return entry.values.get(name) is not None or name in entry.missing


def _text(name: str, variable: Variable, entry: Entry) -> str:
    """Return a value as text, or why there is none."""
    if name in entry.missing:
        return f"({MissingReason(entry.missing[name]).label})"
    return variable.to_text(entry.values.get(name))


def _shown(name: str, variable: Variable, sheet: Sheet) -> str:
    """Return a value as it is printed: choices with those that apply ticked, else the text, or a line to write on."""
    entry = sheet.entry
    if not variable.codes:
        return LINE if entry is None else escape(_text(name, variable, entry))
    value = entry.values.get(name) if entry is not None else None
    chosen = variable.to_text(value).split("|") if value is not None else []
    boxes = [f"{TICKED if code in chosen else EMPTY} {escape(label)}" for code, label in variable.codes.items()]
    why = [_text(name, variable, entry)] if entry is not None and name in entry.missing else []
    return "<br/>".join([*boxes, *why])
