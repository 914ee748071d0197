"""Guessing passwords, and learning who is there by trying (negative test 37)."""

import logging
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client
from django.utils import timezone

from registry.accounts.configuration import COOL_OFF, LIMIT_AT_AN_ADDRESS, LIMIT_OF_A_PERSON
from tests.registry.accounts.conftest import PASSWORD, events, seen, sign_in


def guess(times, *, username="coordinator", address="10.0.0.1"):
    """Return the statuses of guesses; each from a browser of its own."""
    return [
        sign_in(username=username, password=f"guess {number}", address=address).status_code for number in range(times)
    ]


def test_after_five_guesses_from_an_address_the_right_password_is_refused_too(coordinator):
    statuses = guess(LIMIT_AT_AN_ADDRESS)

    assert statuses == [200, 200, 200, 200, 429]
    answer = sign_in()
    assert (answer.status_code, answer["Retry-After"]) == (429, "900")
    assert "Wait 15 minutes" in answer.content.decode()


def test_after_four_guesses_the_right_password_is_taken(coordinator):
    guess(LIMIT_AT_AN_ADDRESS - 1)

    assert sign_in().status_code == 302


def test_who_is_locked_out_at_one_address_signs_in_from_another(coordinator):
    guess(LIMIT_AT_AN_ADDRESS)

    assert sign_in(address="10.0.0.2").status_code == 302


@pytest.mark.slow
@pytest.mark.parametrize(("guesses", "status"), [(LIMIT_OF_A_PERSON - 1, 302), (LIMIT_OF_A_PERSON, 429)])
def test_twenty_guesses_from_anywhere_lock_a_person_out_everywhere(guesses, status, coordinator):
    for number in range(guesses):
        guess(1, address=f"10.0.1.{number}")

    assert sign_in(address="10.0.2.1").status_code == status


def test_another_browser_case_or_header_is_no_way_around(coordinator):
    for number in range(LIMIT_AT_AN_ADDRESS):
        name = "coordinator" if number % 2 else "COORDINATOR"
        sign_in(username=name, password="wrong", user_agent=f"browser {number}", x_forwarded_for=f"10.9.9.{number}")

    assert sign_in().status_code == 429


def test_the_lock_out_ends_after_the_cool_off_and_trying_meanwhile_does_not_prolong_it(coordinator):
    guess(LIMIT_AT_AN_ADDRESS)
    before = timezone.now() - COOL_OFF - timedelta(seconds=1)
    AccessAttempt.objects.update(attempt_time=before + timedelta(minutes=1))
    assert guess(1) == [429]

    AccessAttempt.objects.update(attempt_time=before)

    assert sign_in().status_code == 302


def test_a_success_elsewhere_does_not_give_new_guesses(coordinator):
    guess(LIMIT_AT_AN_ADDRESS - 1)

    sign_in(address="10.0.0.2")

    assert guess(1) == [429]


def test_a_name_that_nobody_has_is_refused_and_locked_out_in_the_same_words(coordinator):
    answers = {
        name: [sign_in(username=name, password="wrong") for _number in range(LIMIT_AT_AN_ADDRESS + 1)]
        for name in ("coordinator", "nobody")
    }

    known, unknown = ([seen(answer) for answer in answers[name]] for name in answers)
    assert known == unknown


def test_who_is_not_active_is_refused_in_the_words_of_a_wrong_password(coordinator):
    wrong = sign_in(password="wrong")
    coordinator.is_active = False
    coordinator.save()

    assert seen(sign_in()) == seen(wrong)


class CountingHasher(MD5PasswordHasher):
    """Counts the digests that are made: they are what takes the time of a sign-in."""

    made = 0

    def encode(self, password, salt):
        type(self).made += 1
        return super().encode(password, salt)


@pytest.mark.parametrize("username", ["coordinator", "nobody", "without.password"])
def test_a_refusal_takes_one_digest_whether_there_is_such_a_person_or_not(username, coordinator, settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    coordinator.set_password(PASSWORD)
    coordinator.save()
    type(coordinator).objects.create_user("without.password")
    CountingHasher.made = 0

    sign_in(username=username, password="wrong")

    assert CountingHasher.made == 1


def test_what_was_typed_is_kept_neither_in_the_database_nor_in_the_log(coordinator, caplog):
    caplog.set_level(logging.DEBUG)
    typed = "my secret password"

    sign_in(username=typed, password=typed)

    kept = [str(row) for row in AccessAttempt.objects.values()]
    assert len(kept) == 1
    assert not any(typed in row for row in kept)
    assert typed not in caplog.text
    assert events() == [("failed", None)]


def test_failures_and_lock_outs_are_recorded_with_person_and_address(coordinator):
    guess(LIMIT_AT_AN_ADDRESS, address="10.0.0.7")
    sign_in(address="10.0.0.7")

    assert events() == [("failed", "coordinator")] * 5 + [("locked_out", "coordinator")] * 2
    assert {event.address for event in coordinator.sign_in_events.all()} == {"10.0.0.7"}


def test_passwords_open_the_api_in_no_other_way(coordinator):
    header = {"Authorization": "Basic Y29vcmRpbmF0b3I6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="}

    assert Client(headers=header).get("/api/v1/me/").status_code == 401
