"""Where a page leads after a form: back to where the person came from, and never anywhere else."""

from typing import Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

NEXT: Final = "next"
"""The field of a form with the address, on this site, of the page that it stood on."""


def way_back(request: HttpRequest, *, otherwise: str) -> str:
    """Return the address in the field `next` if it is one of this site, else `otherwise`."""
    given = request.POST.get(NEXT, "")
    ours = given.startswith("/") and url_has_allowed_host_and_scheme(given, allowed_hosts=None)
    return given if ours and given.isprintable() else otherwise


def came_from(request: HttpRequest) -> str:
    """Return the address, on this site, of the page that led here; blank when that is not known.

    Asked of the browser, so that no address with a record id stands in a query string.
    """
    found = urlsplit(request.headers.get("Referer", ""))
    if found.netloc != request.get_host() or found.path == request.path:
        return ""
    return f"{found.path}?{found.query}" if found.query else found.path


def see_other(address: str) -> HttpResponseRedirect:
    """Return the redirect after something was done: the browser asks for the address, and repeats nothing."""
    return HttpResponseRedirect(address, status=303)
