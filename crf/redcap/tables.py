"""Small tables as answers: rows of texts and whole numbers, in JSON, CSV or REDCap's XML."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from django.http import HttpResponse

from crf.redcap.errors import CONTENT_TYPES, XML_PREFIX, ErrorFormat, in_xml
from registry.encoding import encode_json

Row = Mapping[str, Any]
"""Texts, whole numbers and, of users, whole numbers by form name; blank is the empty text."""


def cdata(text: str) -> str:
    """Return a text in CDATA, blank as nothing; a carriage return would else be lost to the reader's line ends."""
    if not text:
        return ""
    kept = in_xml(text)
    if "]]>" in kept:
        kept = kept.replace("]]>", "]]]]><![CDATA[>")
    if "\r" in kept:
        kept = kept.replace("\r", "]]>&#13;<![CDATA[")
    return f"<![CDATA[{kept}]]>"


def answer(body: str | bytes, *, form: ErrorFormat) -> HttpResponse:
    """Return a successful answer."""
    return HttpResponse(body, content_type=CONTENT_TYPES[form])


def plain(body: object) -> HttpResponse:
    """Return a bare value, which clients read as it stands whatever format they asked for."""
    return answer(str(body), form="csv")


def table(
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    form: str,
    root: str,
    item: str = "item",
    delimiter: str = ",",
    text: Callable[[str], str] = cdata,
) -> HttpResponse:
    """Return rows in the format of the call; without rows JSON is an empty list, CSV its header alone.

    `text` says how a text stands in an XML element.
    """
    if form == "json":
        return answer(encode_json([{name: row[name] for name in columns} for row in rows]), form="json")
    if form == "csv":
        return answer(csv_text(rows, columns=columns, delimiter=delimiter), form="csv")
    items = [f"<{item}>{elements(row, columns=columns, text=text)}</{item}>" for row in rows]
    return answer("\n".join([XML_PREFIX, f"<{root}>", *items, f"</{root}>"]), form="xml")


def csv_text(rows: Sequence[Row], *, columns: Sequence[str], delimiter: str = ",") -> str:
    """Return rows as CSV with a header; several values in one cell stand as "name:1,name:1"."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def elements(row: Row, *, columns: Sequence[str], text: Callable[[str], str]) -> str:
    """Return the XML elements of a row."""
    return "".join(f"<{name}>{_element(row[name], text)}</{name}>" for name in columns)


def attribute(text: str) -> str:
    """Return a text as it stands between the quotes of an XML attribute, line ends kept."""
    return escape(in_xml(text), {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _cell(value: Any) -> Any:
    return ",".join(f"{name}:{code}" for name, code in value.items()) if isinstance(value, Mapping) else value


def _element(value: Any, text: Callable[[str], str]) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{code}</{name}>" for name, code in value.items())
    return text(value) if isinstance(value, str) else str(value)
