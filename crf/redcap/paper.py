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
LONGEST_CELL = 5_000
"""Characters of one value: a cell of a table has to fit a page, what is longer is cut and says so."""
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
    rows: list[list[Any]] = []
    headings: list[int] = []
    for name, variable in sheet.form.variables().items():
        if compact and sheet.entry is not None and not _is_filled(sheet.entry, name):
            continue
        if variable.section:
            headings.append(len(rows))
            rows.append([Paragraph(escape(variable.section), styles["section"]), ""])
        label = escape(variable.label) + (f"<br/><i>{escape(variable.note)}</i>" if variable.note else "")
        rows.append([Paragraph(label, styles["label"]), Paragraph(_shown(name, variable, sheet), styles["value"])])
    status = Status(sheet.entry.status).label if sheet.entry is not None else LINE
    rows.append([Paragraph("Form status", styles["label"]), Paragraph(escape(str(status)), styles["value"])])
    return [*parts, _table(rows, headings)]


def _table(rows: list[list[Any]], headings: Sequence[int]) -> Any:
    from reportlab.lib import colors  # noqa: PLC0415 -- slow import, needed by few calls
    from reportlab.platypus import Table, TableStyle  # noqa: PLC0415 -- the same

    style: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey),
    ]
    for row in headings:
        style += [("SPAN", (0, row), (1, row)), ("BACKGROUND", (0, row), (1, row), colors.whitesmoke)]
    return Table(rows, colWidths=[LABEL_WIDTH, VALUE_WIDTH], style=TableStyle(style), spaceBefore=8, splitInRow=1)


def _is_filled(entry: Entry, name: str) -> bool:
    return entry.values.get(name) is not None or name in entry.missing


def _shown(name: str, variable: Variable, sheet: Sheet) -> str:
    """Return a value as it is printed: choices with those that apply ticked, else the text, or a line to write on."""
    entry = sheet.entry
    value = entry.values.get(name) if entry is not None else None
    if variable.codes:
        chosen = variable.to_text(value).split("|") if value is not None else []
        boxes = [f"{TICKED if code in chosen else EMPTY} {escape(label)}" for code, label in variable.codes.items()]
        shown = "<br/>".join(boxes)
    else:
        text = variable.to_text(value)
        text = f"{text[:LONGEST_CELL]} ... (cut)" if len(text) > LONGEST_CELL else text
        shown = escape(text).replace("\n", "<br/>") if value is not None else ("" if entry is not None else LINE)
    if entry is not None and name in entry.missing:
        shown += f"<br/>({escape(str(MissingReason(entry.missing[name]).label))})"
    return shown
