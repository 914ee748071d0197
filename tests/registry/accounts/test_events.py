"""The record of sign-ins is complete and only grows."""

import pytest
from django.db import ProgrammingError, transaction

from registry.models import SignInEvent
from tests.registry.accounts.conftest import events, sign_in, signed_in


def test_a_sign_in_and_a_sign_out_are_recorded_with_person_address_and_time(coordinator):
    client = signed_in()
    client.post("/sign-out/", REMOTE_ADDR="10.0.0.1")

    assert events() == [("signed_in", "coordinator"), ("signed_out", "coordinator")]
    assert set(SignInEvent.objects.values_list("address", flat=True)) == {"10.0.0.1"}


def test_nothing_that_happened_is_changed_or_taken_away(coordinator):
    sign_in()

    for attempt in (lambda: SignInEvent.objects.update(kind="signed_out"), SignInEvent.objects.all().delete):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            attempt()

    assert events() == [("signed_in", "coordinator")]
