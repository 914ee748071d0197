"""How sessions begin and end (negative test 39)."""

import time

import pytest
from django.conf import settings as now_set
from django.contrib.sessions.models import Session
from django.test import Client

from registry.accounts.sessions import BEGAN, POLL, SEEN, SEEN_IS_KEPT_TO, is_over
from registry.models import Person
from tests.registry.accounts.conftest import PASSWORD, events, is_in, sign_in, signed_in

IDLE, LIMIT = now_set.SESSION_IDLE_SECONDS, now_set.SESSION_LIMIT_SECONDS


def age(client, *, key, seconds):
    """Move a moment of the client's session into the past."""
    session = client.session
    session[key] -= seconds
    session.save()


def test_signing_in_changes_the_key_of_the_session(coordinator):
    client = Client()
    client.get("/sign-in/")
    planted = client.session
    planted["planted"] = True
    planted.save()
    client.cookies[now_set.SESSION_COOKIE_NAME] = planted.session_key

    sign_in(client)

    assert is_in(client)
    assert client.session.session_key != planted.session_key
    assert not Session.objects.filter(session_key=planted.session_key).exists()


def test_a_key_that_the_server_did_not_make_is_not_taken_over(coordinator):
    client = Client()
    client.cookies[now_set.SESSION_COOKIE_NAME] = "chosen0by0an0attacker00000000000"

    sign_in(client)

    assert client.session.session_key != "chosen0by0an0attacker00000000000"


@pytest.mark.parametrize(("seconds", "over"), [(IDLE - 1, False), (IDLE, True)])
def test_a_session_ends_after_thirty_minutes_without_a_request(seconds, over):
    assert is_over({BEGAN: 1000.0, SEEN: 1000.0}, at=1000.0 + seconds) is over


@pytest.mark.parametrize(("seconds", "over"), [(LIMIT - 1, False), (LIMIT, True)])
def test_a_session_ends_after_twelve_hours_whatever_happens_in_it(seconds, over):
    assert is_over({BEGAN: 1000.0, SEEN: 1000.0 + seconds}, at=1000.0 + seconds) is over


@pytest.mark.parametrize(("key", "seconds"), [(SEEN, IDLE), (BEGAN, LIMIT)])
def test_after_it_the_next_request_is_nobody_s_and_the_page_says_why(key, seconds, coordinator):
    client = signed_in()
    age(client, key=key, seconds=seconds)

    page = client.get("/", follow=True)

    assert page.redirect_chain == [("/sign-in/?next=/", 302)]
    assert "You were signed out because nothing happened for a while." in page.content.decode()
    assert not is_in(client)
    assert events("timed_out") == [("timed_out", "coordinator")]


def test_a_request_keeps_the_session_alive(coordinator):
    client = signed_in()
    age(client, key=SEEN, seconds=SEEN_IS_KEPT_TO)

    client.get("/")

    assert time.time() - client.session[SEEN] < SEEN_IS_KEPT_TO


def test_what_a_page_asks_for_by_itself_does_not_keep_it_alive(coordinator):
    client = signed_in()
    age(client, key=SEEN, seconds=SEEN_IS_KEPT_TO)
    seen, row = client.session[SEEN], Session.objects.get().expire_date

    polled = client.get("/", headers={POLL: "1"})

    assert polled.status_code == 302  # to the site: it is answered, as somebody
    assert (client.session[SEEN], Session.objects.get().expire_date) == (seen, row)


def test_the_row_of_the_session_expires_with_it_and_the_cookie_with_the_browser(coordinator):
    client = signed_in()

    assert client.session.get_expiry_age() == IDLE
    assert client.cookies[now_set.SESSION_COOKIE_NAME]["max-age"] == ""
    assert client.cookies[now_set.SESSION_COOKIE_NAME]["httponly"] is True


def test_signing_out_ends_the_other_sessions_too(coordinator):
    here, there = signed_in(), signed_in()

    here.post("/sign-out/")

    assert (is_in(here), is_in(there)) == (False, False)
    assert events("signed_out") == [("signed_out", "coordinator")]


def test_signing_out_ends_nobody_else_s_sessions(coordinator, monitor, settings):
    settings.REQUIRE_TOTP = "nobody"
    here, theirs = signed_in(), signed_in("monitor")

    here.post("/sign-out/")

    assert is_in(theirs)


def test_a_new_password_ends_the_other_sessions(coordinator):
    here, there = signed_in(), signed_in()
    new = {"oldpassword": PASSWORD, "password1": "another long password", "password2": "another long password"}

    answer = here.post("/accounts/password/", new)

    assert answer["Location"] == "/"
    assert (is_in(here), is_in(there)) == (True, False)
    assert events("password_changed") == [("password_changed", "coordinator")]


def test_a_deactivated_person_s_session_ends_at_the_next_request_and_does_not_come_back(coordinator):
    client = signed_in()

    Person.objects.update(is_active=False)
    assert not is_in(client)
    Person.objects.update(is_active=True)

    assert not is_in(client)


def test_only_a_post_signs_out(coordinator):
    client = signed_in()

    assert client.get("/sign-out/").status_code == 405
    assert is_in(client)
