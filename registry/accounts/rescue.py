"""What the data manager does for somebody who cannot get in: a new password, a lost phone, a lock-out.

Each is in the record of who came in, with who did it. Nobody does it for themself: whoever finds a session open must
not change how its person signs in without knowing their password. The person is held (`registry.people.hold_person`).
"""

from datetime import datetime

from allauth.account.forms import default_token_generator
from allauth.account.internal.flows.password_reset import request_password_reset
from allauth.core import context
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from registry.accounts.configuration import COOL_OFF, LIMIT_AT_AN_ADDRESS, LIMIT_OF_A_PERSON
from registry.accounts.events import Kind, record
from registry.accounts.sessions import end_sessions
from registry.models import Person
from registry.people import Contradiction, first_password
from registry.rights import Caller


def give_password(person: Person, *, by: Caller, request: HttpRequest) -> str:
    """Save and return a password that the person has to change when they sign in; it is not kept. Ends their sessions.

    Raises Contradiction for one's own, and for somebody who is not active.
    """
    _refuse_unless_somebody_else_who_is_active(person, by=by)
    password = first_password()
    person.set_password(password)
    person.must_change_password = True
    person.save(update_fields=["password", "must_change_password"])
    end_sessions(person)
    record(Kind.PASSWORD_GIVEN, request=request, person=person, by=by.person_id)
    return password


def send_link(person: Person, *, by: Caller, request: HttpRequest) -> None:
    """Write to the person with a link to choose a password, once the transaction is through.

    Raises Contradiction where nobody can be written to, for oneself, and for somebody who is not active.
    """
    _refuse_unless_somebody_else_who_is_active(person, by=by)
    if not (settings.MAIL_IS_SENT and person.email):
        raise Contradiction("no_email", _("There is no e-mail address to write to. Enter one, or give a password."))
    record(Kind.LINK_SENT, request=request, person=person, by=by.person_id)
    transaction.on_commit(lambda: _write_to(person, request=request))


def _write_to(person: Person, *, request: HttpRequest) -> None:
    with context.request_context(request):
        request_password_reset(request, person.email, [person], default_token_generator)


def remove_codes(person: Person, *, by: Caller, request: HttpRequest) -> None:
    """Do away with the second factor of somebody who lost it, recovery codes too; ends their sessions.

    Who must have one sets it up anew at the next sign-in. Raises Contradiction for one's own, and where there is none.
    """
    _refuse_oneself(person, by=by)
    if not Authenticator.objects.filter(user=person).delete()[0]:
        raise Contradiction("no_codes", _("This person signs in without codes: there is nothing to remove."))
    end_sessions(person)
    record(Kind.CODES_REMOVED, request=request, person=person, by=by.person_id)


def lift_lock_out(person: Person, *, by: Caller, request: HttpRequest) -> None:
    """Forget how often signing in as the person has failed. Raises Contradiction for oneself."""
    _refuse_oneself(person, by=by)
    reset(username=person.username)
    record(Kind.LOCK_OUT_LIFTED, request=request, person=person, by=by.person_id)


def locked_out_until(person: Person, *, now: datetime) -> datetime | None:
    """Return until when the person has to wait, at one address at least; None if they need not."""
    attempts = _failures(person, now=now)
    in_all = sum(failures for _at, failures in attempts)
    if in_all < LIMIT_OF_A_PERSON and all(failures < LIMIT_AT_AN_ADDRESS for _at, failures in attempts):
        return None
    return max(at for at, _failures in attempts) + COOL_OFF


def _failures(person: Person, *, now: datetime) -> list[tuple[datetime, int]]:
    found: QuerySet[AccessAttempt] = AccessAttempt.objects.filter(
        username=person.username, attempt_time__gte=now - COOL_OFF
    )
    return list(found.values_list("attempt_time", "failures_since_start"))


def _refuse_oneself(person: Person, *, by: Caller) -> None:
    if person.pk == by.person_id:
        raise Contradiction("own_account", _("For yourself you do this on the page My account."))


def _refuse_unless_somebody_else_who_is_active(person: Person, *, by: Caller) -> None:
    _refuse_oneself(person, by=by)
    if not person.is_active:
        raise Contradiction("not_active", _("This person is deactivated. Let them in again first."))
