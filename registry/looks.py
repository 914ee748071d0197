"""Light, dark, or as the machine is set: chosen by the person, kept in a cookie, told to every page by the server."""

from typing import Any, ClassVar, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from registry.managed_pages import see_other
from registry.page_views import PageView
from registry.problems import bad_request
from registry.rights import SIGNED_IN

COOKIE: Final = "looks"
CHOICES: Final = ("", "light", "dark")
"""Blank is as the machine is set."""
A_YEAR: Final = 365 * 24 * 3600


def looks(request: HttpRequest) -> dict[str, Any]:
    """Return, for every template, what was chosen."""
    chosen = request.COOKIES.get(COOKIE, "")
    return {"looks": chosen if chosen in CHOICES else ""}


class Looks(PageView):
    """Chooses how pages look in this browser."""

    needs: ClassVar = {"post": SIGNED_IN}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep the choice."""
        chosen = request.POST.get("looks", "")
        if chosen not in CHOICES:
            raise bad_request("looks", "unknown_code", "")
        response = see_other("account")
        secure = settings.SESSION_COOKIE_SECURE
        response.set_cookie(COOKIE, chosen, max_age=A_YEAR, secure=secure, httponly=True, samesite="Lax")
        return response
