"""How long a session lasts, and how all sessions of a person end."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import F
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from registry.accounts.events import Kind, record
from registry.models import Person

BEGAN: Final = "began_at"
SEEN: Final = "seen_at"
POLL: Final = "X-Poll"
"""The header of what a page asks for by itself, to show what goes on: nobody need be in front of it."""
SEEN_IS_KEPT_TO: Final = 60
"""Seconds. The last request is written at most this often, so that a session is not a write for each."""


def end_sessions(person: Person) -> None:
    """End every session of a person, at its next request at the latest."""
    Person.objects.filter(pk=person.pk).update(session_generation=F("session_generation") + 1)
    person.refresh_from_db(fields=["session_generation"])


@receiver(user_logged_in)
def _begin(request: HttpRequest, **_more: Any) -> None:
    now = timezone.now().timestamp()
    request.session[BEGAN] = request.session[SEEN] = now


class SessionLimits:
    """Ends sessions that idle, that last too long, or whose person was deactivated or signed out elsewhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, as nobody if the session is over."""
        # Scripts with a token have no session: nothing is looked up for them.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in request.session:
            _hold_to_limits(request, now=timezone.now())
        return self.get_response(request)


def _hold_to_limits(request: HttpRequest, *, now: datetime) -> None:
    session, at = request.session, now.timestamp()
    if not request.user.is_authenticated:
        session.flush()  # deactivated: what Django calls anonymous would be signed in again with the person's return
    elif is_over(session, at=at):
        record(Kind.TIMED_OUT, request=request, person=request.user)
        session.flush()
        request.user = AnonymousUser()
        messages.info(request, _("You were signed out because nothing happened for a while. Sign in again to go on."))
    elif at - session[SEEN] >= SEEN_IS_KEPT_TO and POLL not in request.headers:
        session[SEEN] = at


def is_over(session: SessionBase, *, at: float) -> bool:
    """Return whether a session has idled or lasted too long at `at`, in seconds since 1970."""
    idle, age = at - session.get(SEEN, 0), at - session.get(BEGAN, 0)
    return bool(idle >= settings.SESSION_IDLE_SECONDS or age >= settings.SESSION_LIMIT_SECONDS)
