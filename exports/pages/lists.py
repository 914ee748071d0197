"""What pages with lists share: which page, whether a part changed, and the way on after something was done."""

import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

LAST_PAGE = 1000


def page_number(request: HttpRequest) -> int:
    """Return which page of a list is asked for, from 1; the first where that cannot be read."""
    text = request.GET.get("page", "1")
    return min(int(text), LAST_PAGE) if text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0 else 1


def is_part(request: HttpRequest) -> bool:
    """Return whether htmx asks, for the part of the page that changes."""
    return "HX-Request" in request.headers


def state_of(*told: object) -> str:
    """Return a short digest of what a part of a page tells, for `unchanged`."""
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def unchanged(request: HttpRequest, state: str) -> HttpResponse | None:
    """Return the answer that leaves a part of a page alone, when it shows this state already; else None.

    What is put in anew takes the focus away and is read out once more.
    """
    return HttpResponse(status=204) if request.GET.get("seen") == state else None


def see_other(name: str, *arguments: object) -> HttpResponseRedirect:
    """Send on to a page after a form was taken: loading it again sends nothing twice."""
    response = HttpResponseRedirect(reverse(name, args=arguments))
    response.status_code = 303
    return response
