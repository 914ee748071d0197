"""The first page, and the page that describes the REST API."""

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.views.generic import TemplateView
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.response import Response

from registry.accounts.second_factor import has_codes
from registry.callers import caller_of
from registry.models import Person
from registry.rights import Right, Role
from registry.security_headers import content_security_policy


class Home(TemplateView):
    """What the signed-in person may do, and where."""

    template_name = "registry/home.html"

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        """Return the roles and rights in force."""
        person = self.request.user
        assert isinstance(person, Person)  # noqa: S101 -- nobody else gets here
        caller = caller_of(person.pk, now=timezone.now())
        roles = caller.roles if caller else ()
        rights = {right: sorted(caller.sites_with(right)) for right in Right} if caller else {}
        return {
            **super().get_context_data(**kwargs),
            "roles": [(Role(role).label, site) for role, site in roles],
            "rights": {right.value.replace("_", " "): sites for right, sites in rights.items() if sites},
            "has_codes": has_codes(person),
        }


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
