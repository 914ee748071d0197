"""The person behind a request of the browser, asked of the database once for each request."""

from django.http import HttpRequest
from django.utils import timezone

from registry.callers import caller_of
from registry.rights import Caller

KEPT_AS = "_caller"


def caller_behind(request: HttpRequest) -> Caller | None:
    """Return who is signed in, with the rights in force; None for nobody, or somebody who is no longer active."""
    if not hasattr(request, KEPT_AS):
        user = getattr(request, "user", None)
        known = user is not None and user.is_authenticated
        setattr(request, KEPT_AS, caller_of(user.pk, now=timezone.now()) if known and user else None)
    found: Caller | None = getattr(request, KEPT_AS)
    return found
