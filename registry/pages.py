"""A person's own page and what is chosen there, and the page that describes the REST API."""

from typing import ClassVar, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.response import Response

from registry.accounts.second_factor import has_codes
from registry.accounts.sessions import end_other_sessions, open_sessions
from registry.looks import CHOICES, COOKIE
from registry.managed_pages import see_other
from registry.models import Person
from registry.page_views import PageView
from registry.problems import bad_request
from registry.rights import SIGNED_IN, Right
from registry.rights_in_words import WORDS
from registry.security_headers import content_security_policy
from registry.views import memberships_in_force

A_YEAR_SECONDS: Final = 365 * 24 * 3600


class Account(PageView):
    """What the signed-in person may do, and where; how they sign in."""

    needs: ClassVar = {"get": SIGNED_IN}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the roles and rights in force."""
        person = request.user
        assert isinstance(person, Person)  # noqa: S101 -- nobody else gets here
        now = timezone.now()
        sites = self.by.sites_with(Right.READ)
        held = {right: self.by.sites_with(right) for right in Right}
        shown = {
            "memberships": memberships_in_force(self.by, today=timezone.localdate(now)),
            # The sites are said once, above the list: only what holds at some of them names these.
            "rights": [(WORDS[right], [] if at == sites else sorted(at)) for right, at in held.items() if at],
            "sites": sorted(sites),
            "has_codes": has_codes(person),
            "has_password": person.has_usable_password(),
            "sessions": open_sessions(person, this=request.session, now=now),
            "choices": [("", _("As this device")), ("light", _("Light")), ("dark", _("Dark"))],
        }
        return render(request, "registry/account.html", shown)


class OtherSessions(PageView):
    """Ends the person's sessions elsewhere."""

    needs: ClassVar = {"post": SIGNED_IN}

    def post(self, request: HttpRequest) -> HttpResponse:
        """End them."""
        person = request.user
        assert isinstance(person, Person)  # noqa: S101 -- nobody else gets here
        end_other_sessions(request, person)
        messages.success(request, _("Wherever else you were signed in, you are no more."))
        return see_other("account")


class Looks(PageView):
    """Chooses how pages look in this browser."""

    needs: ClassVar = {"post": SIGNED_IN}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep the choice."""
        chosen = request.POST.get("looks", "")
        if chosen not in CHOICES:
            raise bad_request("looks", "unknown_code", _("The page was changed on its way. Load it again."))
        response = see_other("account")
        secure = settings.SESSION_COOKIE_SECURE
        response.set_cookie(COOKIE, chosen, max_age=A_YEAR_SECONDS, secure=secure, httponly=True, samesite="Lax")
        return response


class ApiDocs(SpectacularSwaggerSplitView):
    """The REST API as a page to read and try. Its stylesheet carries pictures in itself."""

    template_name = "registry/api_docs.html"

    @extend_schema(exclude=True)
    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> Response:
        """Return the page, or the script that starts it."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # of spectacular
        response.headers["Content-Security-Policy"] = content_security_policy(
            issuer=settings.OIDC_ISSUER, pictures="data:"
        )
        return response
