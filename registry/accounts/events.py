"""The record of who came in and went out, who failed and who was locked out."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from registry.addresses import address_of
from registry.models import Person, SignInEvent

Kind = SignInEvent.Kind


def record(kind: SignInEvent.Kind, *, request: HttpRequest, person: Person | None, by: int | None = None) -> None:
    """Add a row to the record; `by` is the key of who did it, where it was not the person."""
    # A person taken from a session is wrapped, and one from a token has no row behind it: the key is all it takes.
    SignInEvent.objects.create(
        kind=kind, person_id=person.pk if person else None, by_id=by, address=address_of(request)
    )


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: Person, **_more: Any) -> None:
    record(Kind.SIGNED_IN, request=request, person=user)


@receiver(user_logged_out)
def _signed_out(request: HttpRequest, user: Person | None, **_more: Any) -> None:
    if user is not None:
        record(Kind.SIGNED_OUT, request=request, person=user)
