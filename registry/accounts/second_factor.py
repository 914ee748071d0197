"""What a person must do before they go on: replace a password that somebody else knows, and set up a second factor.

Until then they may do just that, choose the language, and sign out.
"""

from collections.abc import Callable
from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_used
from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from rest_framework.views import APIView

from registry.accounts.events import Kind, record
from registry.accounts.sessions import end_sessions
from registry.models import Person
from registry.rights import Caller, Right
from registry.signed_in import caller_behind

PROVEN_BY: Final = "second_factor_of"
"""In the session: the key of the person who proved the second factor in it."""

SET_UP: Final = "mfa_activate_totp"
CHANGE_PASSWORD: Final = "account_change_password"  # noqa: S105 -- a name
ALWAYS_OPEN: Final = frozenset({"sign-in", "account_login", "sign-out", "language", "looks"})
"""Addresses, by name, that a person reaches whatever they must do first."""
OPEN: Final = ALWAYS_OPEN | {SET_UP, "account_reauthenticate", "mfa_reauthenticate"}
"""Addresses that a person reaches who must still set the second factor up."""


def is_required(caller: Caller | None) -> bool:
    """Return whether a caller must sign in with a second factor (REQUIRE_TOTP)."""
    if settings.REQUIRE_TOTP == "several_sites":
        return caller is not None and len(caller.sites_with(Right.READ)) > 1
    return bool(settings.REQUIRE_TOTP == "everybody")


def is_proven(session: SessionBase, person_id: int) -> bool:
    """Return whether the second factor was proven in this session, by the person who is signed in."""
    return bool(session.get(PROVEN_BY) == person_id)


def is_missing(session: SessionBase, caller: Caller) -> bool:
    """Return whether a session may not go on before the second factor was set up or proven."""
    return caller.person_id is not None and not is_proven(session, caller.person_id) and is_required(caller)


def must_change_password(user: Person | AnonymousUser) -> bool:
    """Return whether somebody signed in with a password that is not theirs alone."""
    return isinstance(user, Person) and user.must_change_password


def has_codes(person: Person) -> bool:
    """Return whether the person has a second factor."""
    found: bool = Authenticator.objects.filter(user=person, type=Authenticator.Type.TOTP).exists()
    return found


def proven(request: HttpRequest, person: Person) -> None:
    """Note that the second factor was proven in this session."""
    request.session[PROVEN_BY] = person.pk


def set_up(request: HttpRequest, person: Person) -> None:
    """Note that the person has just set the second factor up here, and end the sessions that began without it."""
    end_sessions(person)
    update_session_auth_hash(request, person)
    proven(request, person)
    record(Kind.CODES_SET_UP, request=request, person=person)


@receiver(authenticator_used)
def _used(request: HttpRequest, user: Person, authenticator: Authenticator, **_more: Any) -> None:
    proven(request, user)
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        record(Kind.RECOVERY_CODE_USED, request=request, person=user)


def is_held_back(request: HttpRequest, caller: Caller) -> bool:
    """Return whether who is signed in must do something before they go on."""
    return must_change_password(request.user) or is_missing(request.session, caller)


class SecondFactor:
    """Sends whoever must change their password, or lacks a required second factor, to where that is done.

    REST views refuse by themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Return a redirect to the set-up, None to go on."""
        if issubclass(getattr(view, "cls", object), APIView) or not request.user.is_authenticated:
            return None
        name = request.resolver_match.view_name if request.resolver_match else ""
        if must_change_password(request.user):
            return None if name in ALWAYS_OPEN | {CHANGE_PASSWORD} else redirect(CHANGE_PASSWORD)
        if name in OPEN or is_proven(request.session, request.user.pk):
            return None
        return redirect(SET_UP) if is_required(caller_behind(request)) else None
