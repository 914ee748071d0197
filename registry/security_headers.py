"""What browsers are told about every answer: load nothing from elsewhere, run nothing inline, keep nothing."""

from collections.abc import Callable
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Directives = dict[str, str]

POLICY: Final[Directives] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
PERMISSIONS: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "hid",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "publickey-credentials-get",
        "serial",
        "usb",
    )
)


@cache
def content_security_policy(*, issuer: str | None, pictures: str = "") -> str:
    """Return the policy; `issuer` is the address of the OpenID Connect issuer, `pictures` more sources of images."""
    added = {"img-src": pictures}
    if issuer:
        # The sign-in form is answered by a redirect to the issuer, which browsers hold to the policy as well.
        parts = urlsplit(issuer)
        added["form-action"] = f"{parts.scheme}://{parts.netloc}"
    return "; ".join(f"{name} {sources} {added.get(name, '')}".strip() for name, sources in POLICY.items())


class SecurityHeaders:
    """Sets the headers that Django's own middleware does not. A view that sets one itself keeps it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with headers."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", content_security_policy(issuer=settings.OIDC_ISSUER))
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if not request.path.startswith(settings.STATIC_URL):
            # Pages carry data, and whoever uses the machine next must not find them with the back button.
            response.headers["Cache-Control"] = "no-store"
        return response
