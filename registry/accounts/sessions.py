"""How long a session lasts, and how all sessions of a person end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, update_session_auth_hash
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db.models import F
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from registry.accounts.events import Kind, record
from registry.addresses import address_of
from registry.models import Person

BEGAN: Final = "began_at"
SEEN: Final = "seen_at"
POLL: Final = "X-Poll"
"""The header of what a page asks for by itself, to show what goes on: nobody need be in front of it."""
FROM: Final = "from_address"
SEEN_IS_KEPT_TO: Final = 60
"""Seconds. The last request is written at most this often, so that a session is not a write for each."""


def end_sessions(person: Person) -> None:
    """End every session of a person, at its next request at the latest."""
    Person.objects.filter(pk=person.pk).update(session_generation=F("session_generation") + 1)
    person.refresh_from_db(fields=["session_generation"])


def end_other_sessions(request: HttpRequest, person: Person) -> None:
    """End every session of a person but that of the request."""
    end_sessions(person)
    update_session_auth_hash(request, person)
    record(Kind.SESSIONS_ENDED, request=request, person=person)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that goes on: since when, its last request (to a minute), the address it began at."""

    began_at: datetime
    seen_at: datetime
    address: str
    is_this_one: bool


def open_sessions(person: Person, *, this: SessionBase, now: datetime) -> list[OpenSession]:
    """Return the sessions of a person that go on, the latest first.

    All that are kept are looked through, some hundred bytes each: they end after half an hour, so that there are never
    many, and what a session holds is known to it alone.
    """
    kept = Session.objects.filter(expire_date__gt=now).order_by("-expire_date")
    found = [_open_session(row, this=this) for row in kept.iterator() if _is_of(row, person, now=now)]
    return sorted(found, key=lambda one: one.seen_at, reverse=True)


def _is_of(row: Session, person: Person, *, now: datetime) -> bool:
    session = row.get_decoded()
    own = session.get(SESSION_KEY) == str(person.pk)
    return (
        own
        and session.get(HASH_SESSION_KEY) == person.get_session_auth_hash()
        and not is_over(session, at=now.timestamp())
    )


def _open_session(row: Session, *, this: SessionBase) -> OpenSession:
    session = row.get_decoded()
    began, seen = (datetime.fromtimestamp(session[name], tz=UTC) for name in (BEGAN, SEEN))
    return OpenSession(began, seen, session.get(FROM) or "", row.session_key == this.session_key)


@receiver(user_logged_in)
def _begin(request: HttpRequest, **_more: Any) -> None:
    now = timezone.now().timestamp()
    request.session[BEGAN] = request.session[SEEN] = now
    request.session[FROM] = address_of(request)


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


def is_over(session: Mapping[str, Any] | SessionBase, *, at: float) -> bool:
    """Return whether a session has idled or lasted too long at `at`, in seconds since 1970."""
    idle, age = at - session.get(SEEN, 0), at - session.get(BEGAN, 0)
    return bool(idle >= settings.SESSION_IDLE_SECONDS or age >= settings.SESSION_LIMIT_SECONDS)
