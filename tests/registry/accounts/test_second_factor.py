"""The second factor: who must have it, and that there is no way around it (negative test 37)."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client

from registry.accounts.second_factor import PROVEN_BY
from registry.models import Membership
from registry.rights import Role
from tests.conftest import SINCE, Api, make_person
from tests.registry.accounts.conftest import (
    PASSWORD,
    SECRET,
    code_now,
    events,
    is_in,
    sign_in,
    signed_in,
    with_codes,
    with_password,
    wrong_code,
)

SET_UP = "/accounts/codes/set-up/"
SECOND_STEP = "/accounts/codes/sign-in/"


def at_the_second_step(username="monitor"):
    client = Client()
    assert sign_in(client, username=username)["Location"] == SECOND_STEP
    return client


def with_password_again(client):
    client.post(f"/accounts/again/?next={SET_UP}", {"password": PASSWORD})
    return client


def set_up_codes(client):
    """Go through the set-up as a browser does; returns the page that comes after it."""
    page = with_password_again(client).get(SET_UP).content.decode()
    secret = re.search(r'class="secret">([A-Z2-7]+)<', page)[1]
    return client.post(SET_UP, {"code": code_now(secret=secret)}, follow=True)


@pytest.mark.parametrize(
    ("memberships", "required"),
    [
        ([], False),
        ([(Role.COORDINATOR, "MTP")], False),
        ([(Role.COORDINATOR, "MTP"), (Role.MONITOR, "MTP")], False),
        ([(Role.COORDINATOR, "MTP"), (Role.MONITOR, "NIM")], True),
        ([(Role.INVESTIGATOR, None)], True),
    ],
)
def test_who_sees_more_than_one_site_must_have_a_second_factor(memberships, required, sites):
    person = with_password(make_person(username="somebody"))
    for role, site in memberships:
        Membership.objects.create(person=person, role=role, site_id=site, starts_on=SINCE)

    answer = signed_in("somebody").get("/account/")

    assert (answer.status_code, answer.get("Location")) == ((302, SET_UP) if required else (200, None))


@pytest.mark.parametrize(
    ("setting", "username", "required"),
    [("nobody", "monitor", False), ("several_sites", "coordinator", False), ("everybody", "coordinator", True)],
)
def test_the_setting_says_who_must(setting, username, required, monitor, coordinator, settings):
    settings.REQUIRE_TOTP = setting

    assert (signed_in(username).get("/account/").status_code == 302) is required


@pytest.mark.parametrize("path", ["/", "/accounts/codes/", "/accounts/password/", "/accounts/codes/recovery/"])
def test_until_it_is_set_up_every_page_leads_there(path, monitor):
    assert signed_in("monitor").get(path)["Location"] == SET_UP


def test_until_it_is_set_up_the_api_refuses_the_session_and_says_why(monitor):
    answer = signed_in("monitor").get("/api/v1/me/")

    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")


def test_a_token_needs_no_second_factor(api):
    client: Api = api(Role.MONITOR, site=None)

    assert client.get("/api/v1/me/").status_code == 200


def test_signing_out_is_possible_without(monitor):
    client = signed_in("monitor")

    assert client.post("/sign-out/").status_code == 302
    assert not is_in(client)


def test_setting_it_up_asks_for_the_password_again(monitor):
    answer = signed_in("monitor").get(SET_UP)

    assert answer["Location"] == f"/accounts/again/?next={SET_UP.replace('/', '%2F')}"


def test_after_the_set_up_everything_is_open_and_the_recovery_codes_are_shown_once(monitor):
    client = signed_in("monitor")

    page = set_up_codes(client).content.decode()

    assert len(re.findall(r"<code>\d{8}</code>", page)) == 10
    assert "<code>" not in client.get("/accounts/codes/recovery/").content.decode()
    assert client.get("/").status_code == client.get("/api/v1/me/").status_code == 200
    assert events("codes_set_up") == [("codes_set_up", "monitor")]


def test_the_set_up_ends_the_sessions_that_began_without_it(monitor):
    other, client = signed_in("monitor"), signed_in("monitor")

    set_up_codes(client)

    assert (is_in(client), is_in(other)) == (True, False)


def test_a_wrong_first_code_sets_nothing_up(monitor):
    client = with_password_again(signed_in("monitor"))
    client.get(SET_UP)

    page = client.post(SET_UP, {"code": "000000"}).content.decode()

    assert "This code is not right" in page
    assert not Authenticator.objects.exists()


def test_the_secret_is_kept_encrypted(monitor):
    with_codes(monitor)

    kept = [str(row) for row in Authenticator.objects.values_list("data", flat=True)]

    assert len(kept) == 2
    assert not any(SECRET in row for row in kept)


def test_the_password_alone_signs_nobody_in_who_has_a_second_factor(monitor):
    with_codes(monitor)

    client = at_the_second_step()

    assert not is_in(client)
    assert client.get("/")["Location"] == "/sign-in/?next=/"
    assert events() == []


def test_password_and_code_sign_in(monitor):
    with_codes(monitor)
    client = at_the_second_step()

    answer = client.post(SECOND_STEP, {"code": code_now()})

    assert answer["Location"] == "/"
    assert client.get("/api/v1/me/").json()["username"] == "monitor"


def test_a_code_works_once(monitor):
    with_codes(monitor)
    code = code_now()
    at_the_second_step().post(SECOND_STEP, {"code": code})
    client = at_the_second_step()

    page = client.post(SECOND_STEP, {"code": code}).content.decode()

    assert "was used before" in page
    assert not is_in(client)


def test_a_recovery_code_works_once(monitor):
    codes = with_codes(monitor)
    first, second, third = at_the_second_step(), at_the_second_step(), at_the_second_step()

    first.post(SECOND_STEP, {"code": codes[0]})
    second.post(SECOND_STEP, {"code": codes[0]})
    third.post(SECOND_STEP, {"code": codes[1]})

    assert [is_in(client) for client in (first, second, third)] == [True, False, True]
    assert events("recovery_code_used") == [("recovery_code_used", "monitor")] * 2


def test_wrong_codes_lock_out_like_wrong_passwords_and_the_right_one_is_refused_then(monitor):
    with_codes(monitor)
    client = at_the_second_step()

    guesses = [client.post(SECOND_STEP, {"code": wrong_code()}, REMOTE_ADDR="10.0.0.1") for _number in range(5)]
    right = client.post(SECOND_STEP, {"code": code_now()}, REMOTE_ADDR="10.0.0.1")

    assert [answer.status_code for answer in [*guesses, right]] == [200, 200, 200, 200, 429, 429]
    assert not is_in(client)
    assert events()[:5] == [("wrong_code", "monitor")] * 5


def test_a_new_password_by_e_mail_is_not_a_way_around(monitor, settings):
    settings.MAIL_IS_SENT = True
    with_codes(monitor)
    client = Client()
    client.post("/accounts/password/reset/", {"email": "monitor@example.org"})
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]
    form = client.get(link)["Location"]

    client.post(form, {"password1": "another long password", "password2": "another long password"})

    assert not is_in(client)
    assert sign_in(client, username="monitor", password="another long password")["Location"] == SECOND_STEP
    assert not is_in(client)


def test_the_second_step_of_one_does_not_let_another_in(monitor, coordinator):
    with_codes(monitor)
    with_codes(coordinator)
    client = at_the_second_step("coordinator")

    sign_in(client, username="monitor")
    client.post(SECOND_STEP, {"code": code_now()})

    assert client.get("/api/v1/me/").json()["username"] == "coordinator"
    assert events("signed_in") == [("signed_in", "coordinator")]


def test_what_another_proved_in_a_session_does_not_count(monitor):
    client = Client()
    client.force_login(monitor)
    session = client.session
    for key, open_to in ((monitor.pk + 1, 302), (monitor.pk, 200)):
        session[PROVEN_BY] = key
        session.save()

        assert client.get("/").status_code == open_to


def test_who_must_have_it_cannot_remove_it(monitor):
    client = signed_in("monitor")
    set_up_codes(client)

    page = client.post("/accounts/codes/remove/").content.decode()

    assert "With your roles you cannot sign in without codes." in page
    assert Authenticator.objects.filter(type="totp").exists()


def test_who_need_not_have_it_can_remove_it(coordinator):
    client = signed_in()
    set_up_codes(client)

    client.post("/accounts/codes/remove/")

    assert not Authenticator.objects.exists()
    assert events("codes_removed") == [("codes_removed", "coordinator")]


def test_new_recovery_codes_replace_the_old_ones(coordinator):
    client = signed_in()
    old = re.findall(r"<code>(\d{8})</code>", set_up_codes(client).content.decode())

    page = client.post("/accounts/codes/recovery/new/", follow=True).content.decode()

    new = re.findall(r"<code>(\d{8})</code>", page)
    assert (len(old), len(new)) == (10, 10)
    assert not set(old) & set(new)
