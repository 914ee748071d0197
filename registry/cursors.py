"""Lists in cursor pages."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound as InvalidCursor
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from registry.api import answer
from registry.openapi import parameter
from registry.problems import bad_request

LIMIT = re.compile(r"\d{1,4}", re.ASCII)
PAGE_PARAMETERS: tuple[OpenApiParameter, ...] = (
    parameter("cursor", "From `next` or `previous`"),
    parameter("limit", "Rows a page, up to 1000", int),
)


class CursorPages(CursorPagination):
    """Pages in the order of creation: a row that is added while a client reads appears at the end, once."""

    ordering = "id"
    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"
    parameters: ClassVar = frozenset({"cursor", "limit"})

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        """Return one page; refuse, as a 400 problem, a cursor or limit that is none."""
        limit = request.query_params.get("limit")
        if limit is not None and not (LIMIT.fullmatch(limit) and 1 <= int(limit) <= self.max_page_size):
            message = _("limit: write a number from 1 to %(max)d.") % {"max": self.max_page_size}
            raise bad_request("limit", "out_of_range", message)
        try:
            return super().paginate_queryset(queryset, request, view)
        except (InvalidCursor, ValueError, OverflowError):
            raise bad_request("cursor", "invalid", _("This is not a cursor of this list. Start without one.")) from None


def page_of(queryset: Any, *, request: Request, view: APIView, read: Callable[[Any], dict[str, Any]]) -> HttpResponse:
    """Answer with one page of a queryset, each row as `read` gives it."""
    pages = CursorPages()
    results = [read(row) for row in pages.paginate_queryset(queryset, request, view) or []]
    return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})
