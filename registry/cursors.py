"""Lists in cursor pages: of querysets, and of rows that are read from several tables at once."""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound as InvalidCursor
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from registry.api import answer
from registry.openapi import parameter
from registry.problems import Problem, bad_request

LIMIT = re.compile(r"\d{1,4}", re.ASCII)
USUAL, MOST = 100, 1_000
RowT = TypeVar("RowT")
PlaceT = TypeVar("PlaceT")
PAGE_PARAMETERS: tuple[OpenApiParameter, ...] = (
    parameter("cursor", "From `next` or `previous`"),
    parameter("limit", "Rows a page, up to 1000", int),
)


class CursorPages(CursorPagination):
    """Pages in the order of creation: a row that is added while a client reads appears at the end, once."""

    ordering = "id"
    page_size = USUAL
    max_page_size = MOST
    page_size_query_param = "limit"
    parameters: ClassVar = frozenset({"cursor", "limit"})

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        """Return one page; refuse, as a 400 problem, a cursor or limit that is none."""
        _limit(request)
        try:
            return super().paginate_queryset(queryset, request, view)
        except (InvalidCursor, ValueError, OverflowError):
            raise _no_cursor() from None


def page_of(queryset: Any, *, request: Request, view: APIView, read: Callable[[Any], dict[str, Any]]) -> HttpResponse:
    """Answer with one page of a queryset, each row as `read` gives it."""
    pages = CursorPages()
    results = [read(row) for row in pages.paginate_queryset(queryset, request, view) or []]
    return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})


def page_by_place(
    read: Callable[[PlaceT | None, int], Sequence[RowT]],
    *,
    request: Request,
    kind: type[PlaceT],
    place_of: Callable[[RowT], PlaceT],
    shown: Callable[[RowT], dict[str, Any]],
) -> HttpResponse:
    """Answer with one page of rows that `read` gives: those after a place (of type `kind`), at most so many.

    The cursor is the place of the last row of the page, so that no row comes twice or is left out between pages.
    """
    limit = _limit(request)
    rows = read(_place(request, kind), limit + 1)
    further = None
    if len(rows) > limit:
        query = request.query_params.copy()
        query["cursor"] = base64.urlsafe_b64encode(msgspec.json.encode(place_of(rows[limit - 1]))).decode()
        further = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
    return answer({"next": further, "previous": None, "results": [shown(row) for row in rows[:limit]]})


def _limit(request: Request) -> int:
    """Return how many rows a page may have; refuse, as a 400 problem, a limit that is none."""
    limit = request.query_params.get("limit", str(USUAL))
    if not (LIMIT.fullmatch(limit) and 1 <= int(limit) <= MOST):
        raise bad_request("limit", "out_of_range", _("limit: write a number from 1 to %(max)d.") % {"max": MOST})
    return int(limit)


def _place(request: Request, kind: type[PlaceT]) -> PlaceT | None:
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=kind)
    except (ValueError, msgspec.DecodeError):
        raise _no_cursor() from None


def _no_cursor() -> Problem:
    return bad_request("cursor", "invalid", _("This is not a cursor of this list. Start without one."))
