"""Choosing, changing and resetting passwords."""

import re

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry.models import Person
from tests.conftest import make_person
from tests.registry.accounts.conftest import PASSWORD, events, is_in, seen, sign_in, signed_in, with_password

RESET = "/accounts/password/reset/"
NEW = "another long password"


@pytest.fixture(autouse=True)
def _mail_is_sent(settings):
    settings.MAIL_IS_SENT = True


def change(client, *, old=PASSWORD, new=NEW, again=None):
    fields = {"oldpassword": old, "password1": new, "password2": new if again is None else again}
    return client.post("/accounts/password/", fields)


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("twelve chars", True),
        ("eleven char", False),
        ("987654321098", False),
        ("coordinator1", False),
        ("qwerty123456", False),
    ],
)
def test_a_password_is_long_and_not_easily_guessed(password, accepted, coordinator):
    client = signed_in()

    answer = change(client, new=password)

    assert (answer.status_code == 302) is accepted
    assert Person.objects.get().check_password(password) is accepted


def test_what_is_wrong_is_said_at_the_field(coordinator):
    page = change(signed_in(), old="wrong", again="something else").content.decode()

    assert re.findall(r'<p class="error" id="id_(\w+)_error">([^<]+)</p>', page) == [
        ("oldpassword", "This is not your present password. Check it and try again."),
        ("password2", "You must type the same password each time."),
    ]
    assert 'aria-describedby="id_oldpassword_error"' in page


def test_guessing_the_present_password_from_a_lent_session_locks_out(coordinator):
    client = signed_in()

    statuses = [change(client, old=f"guess {number}").status_code for number in range(5)]

    assert statuses == [200, 200, 200, 200, 429]


def test_somebody_known_and_somebody_unknown_get_the_same_answer_and_only_one_an_e_mail(coordinator):
    known = Client().post(RESET, {"email": "Coordinator@Example.org"}, follow=True)
    unknown = Client().post(RESET, {"email": "nobody@example.org"}, follow=True)

    assert known.redirect_chain == unknown.redirect_chain == [(f"{RESET}sent/", 302)]
    assert seen(known) == seen(unknown)
    assert [message.to for message in mail.outbox] == [["coordinator@example.org"]]


def test_asking_takes_the_same_steps_whether_there_is_somebody_or_not(coordinator):
    counts = []
    for email in ("coordinator@example.org", "nobody@example.org"):
        with CaptureQueriesContext(connection) as queries:
            Client().post(RESET, {"email": email})
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_the_link_sets_a_password_once_signs_nobody_in_and_ends_sessions(coordinator):
    there, client = signed_in(), Client()
    client.post(RESET, {"email": "coordinator@example.org"})
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]
    form = client.get(link)["Location"]

    answer = client.post(form, {"password1": NEW, "password2": NEW}, follow=True)

    assert "Your password is changed" in answer.content.decode()
    assert not is_in(client)
    assert not is_in(there)
    assert sign_in(password=NEW).status_code == 302
    assert "does not work any more" in Client().get(link, follow=True).content.decode()
    assert events("password_reset") == [("password_reset", "coordinator")]


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "!no password"}])
def test_no_link_for_who_may_not_sign_in_or_has_no_password(change, coordinator):
    Person.objects.update(**change)

    Client().post(RESET, {"email": "coordinator@example.org"})

    assert mail.outbox == []


def test_the_link_holds_for_one_person_and_not_after_the_address_changed(coordinator):
    with_password(make_person(username="other"))
    Client().post(RESET, {"email": "coordinator@example.org"})
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]

    Person.objects.filter(username="coordinator").update(email="new@example.org")

    assert "does not work any more" in Client().get(link, follow=True).content.decode()


def test_where_no_e_mail_is_sent_the_page_says_whom_to_ask(coordinator, settings):
    settings.MAIL_IS_SENT = False

    pages = [Client().get(RESET), Client().post(RESET, {"email": "coordinator@example.org"})]

    for page in pages:
        assert "Ask the data manager of your study for a new password" in page.content.decode()
    assert mail.outbox == []


def test_who_signs_in_without_a_password_is_told_so(coordinator):
    client = signed_in()
    coordinator.set_unusable_password()
    coordinator.save()
    client.force_login(coordinator)

    page = client.get("/accounts/password/", follow=True).content.decode()

    assert "there is none to change" in page
