"""Errors as REDCap words them: a status, a sentence, and one shape for each format."""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Literal
from xml.sax.saxutils import escape

from django.http import HttpResponse

from registry.encoding import encode_json

ErrorFormat = Literal["json", "csv", "xml"]
CONTENT_TYPES = {
    "json": "application/json; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
}
XML_PREFIX = '<?xml version="1.0" encoding="UTF-8" ?>'
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
MOST_LINES, MOST_NAMES, LONGEST_NAME, LONGEST_PART = 1_000, 100, 100, 1_000
"""What an error repeats at most of what was sent: lines, names in one of them, characters of a name and of a value."""
Quadruple = tuple[str, str, str, str]
"""What is wrong with one value of an import: record, field, value, message."""


class ApiError(Exception):
    """An answer that is not a success: HTTP status and text. The transaction of the call is undone."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.text, self.status = text, status


def values_refused(problems: Iterable[Quadruple]) -> ApiError:
    """Return the error of an import: one line for each value, as CSV with every part quoted."""
    told = islice(problems, MOST_LINES)
    return ApiError("\n".join(",".join(_quoted(part) for part in problem) for problem in told))


def error_response(error: ApiError, *, form: ErrorFormat) -> HttpResponse:
    """Return an error in the shape by which clients know it."""
    text = error.text.encode(errors="replace").decode()  # it may repeat half a character that JSON held
    if form == "json":
        body = encode_json({"error": text}).decode()
    elif form == "csv":
        body = f"ERROR: {text}"
    else:
        body = f"{XML_PREFIX}<hash><error>{escape(in_xml(text))}</error></hash>"
    return HttpResponse(body, status=error.status, content_type=CONTENT_TYPES[form])


def not_valid(parameter: str, names: Iterable[str]) -> ApiError:
    """Return the error of names that the dictionary does not have."""
    listed = named(f"'{name[:LONGEST_NAME]}'" for name in names)
    return ApiError(f'The following values in the parameter "{parameter}" are not valid: {listed}')


def named(names: Iterable[str]) -> str:
    """Return names joined by commas, of very many the first."""
    return ", ".join(name[: LONGEST_NAME + 2] for name in islice(names, MOST_NAMES))


def in_xml(text: str) -> str:
    """Return a text with the characters that XML cannot hold replaced."""
    return NOT_IN_XML.sub("\ufffd", text) if NOT_IN_XML.search(text) else text


def _quoted(text: str) -> str:
    return '"' + " ".join(text[:LONGEST_PART].replace('"', '""').split()) + '"'
