"""One call as it came: form fields, urlencoded or multipart, read strictly as UTF-8 and with bounded memory."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError

from crf.redcap.errors import ApiError, ErrorFormat
from registry.reasons import CONTROL, MAX_REASON
from registry.rights import Caller

ELEMENT = re.compile(r"(?P<name>[A-Za-z_]{1,40})\[(?P<index>[0-9]{0,9})\]", re.ASCII)
DELIMITERS = {",": ",", "tab": "\t", "\t": "\t", ";": ";", "|": "|", "^": "^"}
FORMATS = ("json", "csv", "xml", "odm")
ERROR_FORMATS: tuple[ErrorFormat, ...] = ("json", "csv", "xml")
FORMAT_IN_BODY = re.compile(
    rb'(?:^|&)(format|returnFormat)=(\w{3,4})(?=&|$)|name="(format|returnFormat)"\r\n(?:[^\r\n]+\r\n)*\r\n(\w{3,4})\r\n'
)
CHUNK = 1 << 16
LONGEST_FORMAT_FIELD = 300
TIMES_THE_LIMIT = 8
"""How much of a body that is too large is read to its end, so that the client gets to read the answer."""


@dataclass(frozen=True)
class FormData:
    """The fields of a call: single ones and the elements of arrays, by name; files by name."""

    fields: Mapping[str, str] = field(default_factory=dict)
    elements: Mapping[str, list[str]] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)

    @property
    def format(self) -> str:
        """What the data of the call are in: absent or unknown means xml."""
        asked = self.fields.get("format", "").strip().lower()
        return asked if asked in FORMATS else "xml"

    @property
    def answer_format(self) -> ErrorFormat:
        """What data are answered in where odm is not offered."""
        return next((known for known in ERROR_FORMATS if known == self.format), "xml")

    @property
    def error_format(self) -> ErrorFormat:
        """What errors and the results of imports are in."""
        return _error_format(self.fields)


class Unreadable(Exception):
    """The body of a request cannot be read; the error is to be told in `form`."""

    def __init__(self, error: ApiError, *, form: ErrorFormat) -> None:
        super().__init__(error.text)
        self.error, self.form = error, form


@dataclass(frozen=True)
class Call:
    """One call of a known caller."""

    by: Caller
    data: FormData
    content: str
    action: str

    @property
    def format(self) -> str:
        """What the data of the call are in."""
        return self.data.format

    @property
    def error_format(self) -> ErrorFormat:
        """What errors and the results of imports are in."""
        return self.data.error_format

    @property
    def delimiter(self) -> str:
        """Between the cells of a CSV line; what is not offered means a comma."""
        return DELIMITERS.get(self.data.fields.get("csvDelimiter", ""), ",")

    @property
    def reason(self) -> str:
        """Why, as the history keeps it: REDCap's clients cannot say, others may send `change_reason`.

        Raises ApiError for one that is too long or cannot be printed.
        """
        given = self.text("change_reason")
        if len(given) > MAX_REASON or CONTROL.search(given):
            raise ApiError("Shorten change_reason to 1,000 characters in one line.")
        return given or f"REDCap API: {self.content} {self.action}"

    def text(self, name: str) -> str:
        """Return a parameter without outer blanks, blank when it is absent."""
        return self.data.fields.get(name, "").strip()

    def has(self, name: str) -> bool:
        """Return whether a parameter was sent and is not blank."""
        return bool(self.text(name))

    def flag(self, name: str) -> bool:
        """Return whether a parameter is 1 or true, in any letter case."""
        return self.text(name).lower() in ("1", "true")

    def array(self, name: str) -> list[str]:
        """Return the elements of an array, whether sent one by one or joined by commas."""
        sent = self.data.elements.get(name) or self.data.fields.get(name, "").split(",")
        return [element.strip() for element in sent if element.strip()]


def read_form(request: HttpRequest) -> FormData:
    """Return the fields of a request. Raises Unreadable for what is too large or not UTF-8."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
        too_large = f"The request has more than {settings.MAX_BODY_BYTES} bytes. Send it in parts."
        raise Unreadable(ApiError(too_large), form=_error_format(_scanned(request)))
    try:
        raw = _fields(request)
    except (MultiPartParserError, SuspiciousOperation, BadRequest):
        raise Unreadable(ApiError("The request cannot be read as form fields."), form="xml") from None
    pairs = [(name, value) for name, values in raw.lists() for value in values]
    try:
        decoded = [(_utf8(name), _utf8(str(value))) for name, value in pairs]
    except UnicodeDecodeError:
        error = ApiError("The request is not in UTF-8. Save the data as UTF-8 and send them again.")
        raise Unreadable(error, form=_error_format(dict(pairs))) from None
    form = _sorted_out(decoded, files=request.FILES if request.content_type == "multipart/form-data" else {})
    held = "".join(f"{name}{value}" for name, value in decoded if name != "data")
    if "\x00" in held:
        raise Unreadable(ApiError("The parameters hold a NUL character. Remove it."), form=form.error_format)
    return form


def _fields(request: HttpRequest) -> QueryDict:
    """Return the fields with every byte as one character, so that none is lost or replaced."""
    if request.content_type == "multipart/form-data":
        request.encoding = "latin-1"
        return request.POST
    if request.content_type == "application/x-www-form-urlencoded":
        return QueryDict(request.body, encoding="latin-1")
    return QueryDict()


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode() if not text.isascii() else text


def _sorted_out(pairs: list[tuple[str, str]], *, files: Mapping[str, Any]) -> FormData:
    """Tell arrays from single fields; elements keep the order of their numbers, those without come in between."""
    fields: dict[str, str] = {}
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name, value in pairs:
        element = ELEMENT.fullmatch(name)
        if element is None:
            fields[name] = value
        else:
            elements = numbered.setdefault(element["name"], [])
            elements.append((int(element["index"] or len(elements)), value))
    arrays = {name: [value for _index, value in sorted(found, key=_index_of)] for name, found in numbered.items()}
    return FormData(fields=fields, elements=arrays, files=files)


def _index_of(element: tuple[int, str]) -> int:
    return element[0]


def _error_format(fields: Mapping[str, Any]) -> ErrorFormat:
    for name in ("returnFormat", "format"):
        asked = str(fields.get(name, "")).strip().lower()
        for known in ERROR_FORMATS:
            if asked == known:
                return known
        if asked:
            break
    return "xml"


def _scanned(request: HttpRequest) -> dict[str, str]:
    """Return the formats that a body too large to be kept asks for, reading it in parts."""
    found: dict[str, str] = {}
    for part in _parts(request):
        for match in FORMAT_IN_BODY.finditer(part):
            name, value = (match[1], match[2]) if match[1] else (match[3], match[4])
            found[name.decode()] = value.decode()
    return found


def _parts(request: HttpRequest) -> Iterator[bytes]:
    """Yield the body in overlapping parts, so that each field of a few bytes is whole in one of them."""
    read, tail = 0, b""
    while read < TIMES_THE_LIMIT * settings.MAX_BODY_BYTES and (chunk := request.read(CHUNK)):
        read += len(chunk)
        yield tail + chunk
        tail = chunk[-LONGEST_FORMAT_FIELD:]
