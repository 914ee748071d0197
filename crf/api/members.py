"""The members of small JSON bodies, and the parameters of lists that are not of entries."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from crf.api.pages import EntryPages
from crf.batch import MAX_INSTANCE
from crf.forms import Form, forms_by_name
from registry.api import answer
from registry.openapi import listing, parameter
from registry.problems import bad_request

MAX_TEXT = 4_000
MAX_VERSION = 2_147_483_647
DIGITS = re.compile(r"[1-9]\d{0,9}", re.ASCII)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
PAGES = (parameter("cursor", "From `next` or `previous`"), parameter("limit", "Rows a page, up to 1000", int))

Reader = Callable[[str, Any], Any]
"""From the name and the JSON value of a member to its Python value; raises a 400 problem."""
Narrowed = Callable[[QuerySet[Any], str, str], QuerySet[Any]]
"""From a list, the name of a parameter and its text to the list narrowed by it; raises a 400 problem."""


def read_members(body: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the members of a body by name, None where one is absent; refuse one that is not known here."""
    for name in body:
        if name not in readers:
            message = _("There is no member %(name)s here. Choose from: %(known)s.")
            known = ", ".join(readers)
            raise bad_request(name[:60], "unknown_field", message % {"name": ascii(name[:60]), "known": known})
    return {name: read(name, body.get(name)) for name, read in readers.items()}


def text(name: str, value: Any) -> str:
    """Return a text that has to be there, without blanks around it."""
    if value is None:
        raise bad_request(name, "required", _("%(name)s: write a text.") % {"name": name})
    if not isinstance(value, str):
        raise bad_request(name, "wrong_type", _("%(name)s: write a text in quotes.") % {"name": name})
    if UNPRINTABLE.search(value):
        raise bad_request(name, "unprintable", _("%(name)s: write it without control characters.") % {"name": name})
    if len(value) > MAX_TEXT:
        message = _("%(name)s: shorten it to %(max)d characters.") % {"name": name, "max": MAX_TEXT}
        raise bad_request(name, "too_long", message)
    if not value.strip():
        raise bad_request(name, "blank", _("%(name)s: it is blank. Write a text.") % {"name": name})
    return value.strip()


def optional_text(name: str, value: Any) -> str:
    """Return a text, blank when there is none."""
    return "" if value is None else text(name, value)


def form(name: str, value: Any) -> type[Form]:
    """Return the form of an instrument name."""
    found = forms_by_name().get(text(name, value))
    if found is None:
        message = _("%(name)s: choose from %(known)s.") % {"name": name, "known": ", ".join(forms_by_name())}
        raise bad_request(name, "unknown_code", message)
    return found


def number(largest: int) -> Reader:
    """Return the reader of a whole number from 1."""

    def read(name: str, value: Any) -> int:
        if value is None:
            raise bad_request(name, "required", _("%(name)s: send a whole number.") % {"name": name})
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad_request(name, "wrong_type", _("%(name)s: send a whole number.") % {"name": name})
        if not 1 <= value <= largest:
            message = _("%(name)s: send a number from 1 to %(max)d.") % {"name": name, "max": largest}
            raise bad_request(name, "out_of_range", message)
        return value

    return read


def choice(codes: Sequence[str]) -> Reader:
    """Return the reader of one of a few codes."""

    def read(name: str, value: Any) -> str:
        if (code := text(name, value)) not in codes:
            message = _("%(name)s: choose from %(known)s.") % {"name": name, "known": ", ".join(codes)}
            raise bad_request(name, "unknown_code", message)
        return code

    return read


def or_none(read: Reader) -> Reader:
    """Return a reader that takes an absent member, or null, as None."""
    return lambda name, value: None if value is None else read(name, value)


INSTANCE = number(MAX_INSTANCE)
VERSION = number(MAX_VERSION)


# Lists


def equals(column: str, *, codes: Sequence[str] | None = None) -> Narrowed:
    """Return the filter that keeps what has the given text in `column`."""
    read = choice(codes) if codes is not None else text
    return lambda rows, name, value: rows.filter(**{column: read(name, value)})


def equals_number(column: str) -> Narrowed:
    """Return the filter that keeps what has the given number in `column`."""

    def narrow(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if DIGITS.fullmatch(value) is None:
            raise bad_request(name, "not_an_integer", _("%(name)s: write a number from 1.") % {"name": name})
        return rows.filter(**{column: int(value)})

    return narrow


def page(
    rows: QuerySet[Any],
    filters: Mapping[str, Narrowed],
    *,
    as_json: Callable[[Any], Mapping[str, Any]],
    request: Request,
    view: APIView,
) -> HttpResponse:
    """Return one page of `rows`, narrowed by the parameters of the request."""
    for name, value in request.query_params.items():
        if name not in EntryPages.parameters:
            rows = filters[name](rows, name, str(value))
    pages = EntryPages()
    results = [as_json(row) for row in pages.paginate_queryset(rows, request, view) or []]
    return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})


def list_parameters(filters: Mapping[str, Any]) -> tuple[OpenApiParameter, ...]:
    """Return the parameters of a list for the OpenAPI document."""
    return PAGES + tuple(parameter(name, "Filter") for name in filters)


def object_schema(properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of an object with these members and no other."""
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def page_schema(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a page of such objects."""
    return listing(item)
