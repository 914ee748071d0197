"""Which page of a list is asked for, and the way on after something was done."""

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

LAST_PAGE = 1000


def page_number(request: HttpRequest) -> int:
    """Return which page of a list is asked for, from 1; the first where that cannot be read."""
    text = request.GET.get("page", "1")
    return min(int(text), LAST_PAGE) if text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0 else 1


def see_other(name: str, *arguments: object) -> HttpResponseRedirect:
    """Send on to a page after a form was taken: loading it again sends nothing twice."""
    response = HttpResponseRedirect(reverse(name, args=arguments))
    response.status_code = 303
    return response
