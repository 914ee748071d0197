"""Light, dark, or as the machine is set: chosen by the person, kept in a cookie, told to every page by the server."""

from typing import Any, Final

from django.http import HttpRequest

COOKIE: Final = "looks"
CHOICES: Final = ("", "light", "dark")
"""Blank is as the machine is set."""


def looks(request: HttpRequest) -> dict[str, Any]:
    """Return, for every template, what was chosen."""
    chosen = request.COOKIES.get(COOKIE, "")
    return {"looks": chosen if chosen in CHOICES else ""}
