"""A person's own page, and the page that describes the REST API."""

from typing import ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.response import Response

from registry.accounts.second_factor import has_codes
from registry.models import Person
from registry.page_views import PageView
from registry.rights import SIGNED_IN, Right, Role
from registry.security_headers import content_security_policy


class Account(PageView):
    """What the signed-in person may do, and where; how they sign in."""

    needs: ClassVar = {"get": SIGNED_IN}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the roles and rights in force."""
        person = request.user
        assert isinstance(person, Person)  # noqa: S101 -- nobody else gets here
        held = {right: sorted(self.by.sites_with(right)) for right in Right}
        shown = {
            "roles": [(Role(role).label, site) for role, site in self.by.roles],
            "rights": {right.value.replace("_", " "): sites for right, sites in held.items() if sites},
            "has_codes": has_codes(person),
        }
        return render(request, "registry/account.html", shown)


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
