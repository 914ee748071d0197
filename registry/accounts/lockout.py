"""Who fails too often has to wait: per person and address, and per person whatever the address."""

import hashlib
import hmac
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from registry.accounts.configuration import COOL_OFF, LIMIT_AT_AN_ADDRESS, LIMIT_OF_A_PERSON
from registry.accounts.events import Kind, record
from registry.models import Person

Credentials = dict[str, Any]


class LockOut(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Counts failures with axes, with a higher limit for a person than for a person at one address."""

    def get_failures(self, request: HttpRequest, credentials: Credentials | None = None) -> int:
        """Return how often sign-in failed, on the scale of the limit at one address (AXES_FAILURE_LIMIT).

        Twenty failures of a person from anywhere count as much as five from one address: so that somebody who guesses
        from one place does not keep the person out everywhere.
        """
        at_the_address, in_all = (
            sum(attempts.values_list("failures_since_start", flat=True))
            for attempts in self.get_user_attempts(request, credentials)
        )
        return max(int(at_the_address), int(in_all) * LIMIT_AT_AN_ADDRESS // LIMIT_OF_A_PERSON)

    def reset_user_attempts(self, request: HttpRequest, credentials: Credentials | None = None) -> int:
        """Forget the failures at this address only: the person's success is none of whoever guesses elsewhere."""
        at_the_address: QuerySet[Any] = self.filter_user_attempts(request, credentials)[0]
        return at_the_address.delete()[0]

    def user_login_failed(
        self, sender: Any, credentials: Credentials, request: HttpRequest | None = None, **more: Any
    ) -> None:
        """Count a failure and record it; of who was locked out before, only that they tried."""
        state: Any = request
        if request is None:
            return
        refused = state.axes_locked_out
        super().user_login_failed(sender, credentials, request, **more)
        person = person_named(credentials.get("username"))
        if not refused:
            record(more.get("kind", Kind.FAILED), request=request, person=person)
        if state.axes_locked_out:
            record(Kind.LOCKED_OUT, request=request, person=person)


def person_named(username: str | None) -> Person | None:
    """Return the person with a user name, in whatever case it is typed, None when there is none or two."""
    found = Person.objects.filter(username__iexact=username or "")[:2]
    return found[0] if len(found) == 1 else None


def name_kept(_request: HttpRequest, credentials: Credentials | None) -> str:
    """Return the name under which failures are counted: the person's, or a digest of what was typed.

    People type their passwords in place of their names; a digest with our key does not give them away. Names that
    nobody has are counted and locked like others, so that a lock-out does not tell which there are.
    """
    typed = str((credentials or {}).get("username") or "")
    if person := person_named(typed):
        return person.username
    digest = hmac.new(settings.SECRET_KEY.encode(), typed.lower().encode(), hashlib.sha256)
    return f"?{digest.hexdigest()}"


def count_wrong_code(request: HttpRequest, person: Person) -> None:
    """Count a wrong code of the second factor as a wrong password."""
    user_login_failed.send(__name__, credentials={"username": person.username}, request=request, kind=Kind.WRONG_CODE)


def is_locked_out(request: HttpRequest, person: Person) -> bool:
    """Return whether the person has to wait, at the address of this request; the answer is then the page for it."""
    locked = not AxesProxyHandler.is_allowed(request, {"username": person.username})
    if locked:
        request.axes_locked_out = True  # type: ignore[attr-defined]  # read by the middleware of axes
    return locked


def locked_out(request: HttpRequest, _response: HttpResponse | None, _credentials: Credentials | None) -> HttpResponse:
    """Answer who has to wait, with no word on whether such a person exists."""
    seconds = int(COOL_OFF.total_seconds())
    page = render(request, "registry/locked_out.html", {"minutes": seconds // 60}, status=429)
    page.headers["Retry-After"] = str(seconds)
    return page
