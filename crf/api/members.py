"""The members of small JSON bodies about entries, and the filters of lists that are not of entries."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from crf.batch import MAX_INSTANCE
from crf.forms import Form, forms_by_name
from crf.texts import read_text
from registry.bodies import Reader, WrongMember, one_of
from registry.cursors import PAGE_PARAMETERS, CursorPages, page_of
from registry.openapi import parameter
from registry.problems import bad_request

MAX_VERSION = 2_147_483_647
DIGITS = re.compile(r"[1-9]\d{0,8}", re.ASCII)

text = read_text
Narrowed = Callable[[QuerySet[Any], str], QuerySet[Any]]
"""From a list and the text of a parameter to the list narrowed by it; raises WrongMember."""


def form(value: Any) -> type[Form]:
    """Return the form of an instrument name."""
    return forms_by_name()[one_of(forms_by_name())(value)]


def number(largest: int) -> Reader:
    """Return the reader of a whole number from 1."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongMember("wrong_type", _("send a whole number."))
        if not 1 <= value <= largest:
            raise WrongMember("out_of_range", _("send a number from 1 to %(max)d.") % {"max": largest})
        return value

    return read


INSTANCE = number(MAX_INSTANCE)
VERSION = number(MAX_VERSION)


def equals(column: str, read: Reader = text) -> Narrowed:
    """Return the filter that keeps what has in `column` the value that is read from the text."""
    return lambda rows, value: rows.filter(**{column: read(value)})


def digits(value: str) -> int:
    """Return a number from 1 written in digits."""
    if DIGITS.fullmatch(value) is None:
        raise WrongMember("not_an_integer", _("write a number from 1."))
    return int(value)


def page(
    rows: QuerySet[Any],
    filters: Mapping[str, Narrowed],
    *,
    read: Callable[[Any], dict[str, Any]],
    request: Request,
    view: APIView,
) -> HttpResponse:
    """Return one page of `rows`, narrowed by the parameters of the request."""
    for name, value in request.query_params.items():
        if name not in CursorPages.parameters:
            try:
                rows = filters[name](rows, str(value))
            except WrongMember as wrong:
                raise bad_request(name, wrong.code, f"{name}: {wrong.message}") from None
    return page_of(rows, request=request, view=view, read=read)


def takes(filters: Mapping[str, Any], request: Request, name: str) -> bool:
    """Return whether a list with these filters takes the parameter `name`."""
    return request.method in ("GET", "HEAD") and (name in CursorPages.parameters or name in filters)


def list_parameters(filters: Mapping[str, Any]) -> tuple[OpenApiParameter, ...]:
    """Return the parameters of a list for the OpenAPI document."""
    return PAGE_PARAMETERS + tuple(parameter(name, "Filter") for name in filters)


def object_schema(properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of an object with these members and no other."""
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": required} if required else schema
