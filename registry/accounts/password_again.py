"""The password given again in the middle of a session, for what a session or a token alone must not do."""

from typing import Any

from allauth.account.adapter import get_adapter
from django.http import HttpRequest
from django.utils.translation import gettext as _

from registry.accounts.configuration import COOL_OFF
from registry.problems import Problem


def require_password(request: HttpRequest, *, username: str, password: str) -> None:
    """Raise a 403 problem unless the password is that of the person, a 429 problem to who has failed too often.

    A wrong one counts as at the sign-in, so that a stolen token cannot guess. Call it outside of a transaction:
    whatever undoes one would undo the counting.
    """
    person = get_adapter().authenticate(request, username=username, password=password)
    state: Any = request
    if getattr(state, "axes_locked_out", False):
        state.axes_locked_out = False  # or the middleware of axes puts its page in the place of this answer
        seconds = int(COOL_OFF.total_seconds())
        message = _("Too many passwords were wrong. Wait %(minutes)d minutes and try again.")
        raise Problem(429, "locked_out", message % {"minutes": seconds // 60}, headers={"Retry-After": str(seconds)})
    if person is None or person.username != username:
        raise Problem(403, "wrong_password", _("This is not your password. Check it and try again."))
