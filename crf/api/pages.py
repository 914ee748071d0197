"""Lists of entries: what the caller may see, filtered by variables, in cursor pages."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from crf.api.representation import entry_json
from crf.disclosures import note_reading
from crf.fields import CheckboxField, DateField, FileField, NumberField, PartialDateField, Unreadable, Variable
from crf.forms import Form
from crf.reading import STATUS_BY_NAME
from crf.storage import BESIDE, entry_of, table_of
from registry.api import answer
from registry.cursors import PAGE_PARAMETERS, CursorPages
from registry.openapi import parameter
from registry.problems import bad_request

Filter = Callable[[str], dict[str, Any]]
"""From the text of a parameter to the arguments of `QuerySet.filter`; raises Unreadable."""


class EntryPages(CursorPages):
    """Pages of entries."""


def entry_page(form: type[Form], entries: QuerySet[Any, Any], *, request: Request, view: APIView) -> HttpResponse:
    """Return one page of `entries`, filtered by the parameters of the request."""
    for name, text in request.query_params.items():
        if name not in EntryPages.parameters:
            entries = entries.filter(**_read_filter(form, name, str(text)))
    columns = ["patient_id" if name == "record_id" and form.repeating else name for name in BESIDE]
    pages = EntryPages()
    found = pages.paginate_queryset(entries.values("id", *columns, *table_of(form).variables), request, view) or []
    shown = [entry_of(form, list(row.values())[1:]) for row in found]
    note_reading(form, shown)
    results = [entry_json(entry) for entry in shown]
    return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})


@cache
def filters_of(form: type[Form]) -> Mapping[str, Filter]:
    """Return the filters of a list of `form` by parameter name: every variable but files, and what stands beside them.

    Numbers and dates also take `__gte` and `__lte`; every variable takes `__blank` (true or false).
    """
    record = "patient_id" if form.repeating else "record_id"
    filters: dict[str, Filter] = {
        "site": lambda text: {"site_id": _plain(text)},
        "record_id": lambda text: {record: _plain(text)},
        "status": lambda text: {"status": _status(text)},
        "updated_since": lambda text: {"updated_at__gte": _moment(text)},
    }
    for name, variable in form.variables().items():
        if name == "record_id":
            continue
        if not isinstance(variable, FileField):
            filters[name] = _equals(name, variable)
        filters[f"{name}__blank"] = _is_blank(name)
        if isinstance(variable, NumberField | DateField | PartialDateField):
            for comparison in ("gte", "lte"):
                filters[f"{name}__{comparison}"] = _equals(name, variable, f"__{comparison}")
    return filters


def list_parameters(form: type[Form]) -> tuple[OpenApiParameter, ...]:
    """Return the parameters of a list of `form` for the OpenAPI document."""
    return PAGE_PARAMETERS + tuple(parameter(name, "Filter") for name in filters_of(form))


def _read_filter(form: type[Form], name: str, text: str) -> dict[str, Any]:
    try:
        return filters_of(form)[name](text)
    except Unreadable as unreadable:
        raise bad_request(name, unreadable.code, unreadable.message) from None


def _equals(name: str, variable: Variable, comparison: str = "") -> Filter:
    if isinstance(variable, CheckboxField):
        return lambda text: {f"{name}__contains": variable.parse(text)}
    return lambda text: {f"{name}{comparison}": variable.parse(text)}


def _is_blank(name: str) -> Filter:
    return lambda text: {f"{name}__isnull": _truth(text)}


def _plain(text: str) -> str:
    if not text.isprintable():
        raise Unreadable("unprintable", _("Write the code or identifier as it is shown."))
    return text


def _status(text: str) -> int:
    if text not in STATUS_BY_NAME:
        raise Unreadable("unknown_code", _("status: choose from %(names)s.") % {"names": ", ".join(STATUS_BY_NAME)})
    return STATUS_BY_NAME[text].value


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise Unreadable("wrong_type", _("Write true or false."))
    return text == "true"


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Unreadable("not_a_time", _("Write a date and time with its offset, for example 2024-03-12T09:30:00Z."))
    return moment
