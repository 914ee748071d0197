"""Tests of registry.pages."""

import re

import pytest
from django.conf import settings
from django.test import Client

from registry.accounts.sessions import SEEN
from registry.models import Membership, Person, SignInEvent
from registry.rights import Role
from tests.conftest import SINCE, Browser, make_person


@pytest.fixture
def coordinator(sites):
    return make_person(Role.COORDINATOR, site="MTP", username="coordinator")


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(db):
    response = Client().get("/")

    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/")


def test_the_account_says_what_a_person_may_do_and_where(coordinator):
    client = Client()
    client.force_login(coordinator)

    page = client.get("/account/").content.decode()

    assert "Site coordinator at MTP" in page
    assert "Enter and change entries" in page
    assert "Lock and unlock" not in page
    assert "NIM" not in page


def test_home_says_whom_to_ask_for_a_role(sites):
    client = Client()
    client.force_login(make_person(username="newcomer"))

    assert "You have no role at any site yet." in client.get("/").content.decode()


def test_no_page_loads_anything_from_outside(coordinator):
    client = Client()
    client.force_login(coordinator)

    for path in ("/", "/account/", "/sign-in/", "/accounts/codes/", "/tokens/", "/api/docs/", "/api/docs/?script="):
        page = client.get(path).content.decode()
        assert "http://" not in page.replace("http://testserver", "")
        assert "https://" not in page


def test_a_right_that_holds_at_some_sites_only_says_at_which(coordinator):
    Membership.objects.create(person=coordinator, role=Role.MONITOR, site_id="NIM", starts_on=SINCE)
    client = Browser()
    client.sign_in(coordinator)

    page = client.get("/account/").content.decode()

    assert re.findall(r"<li>([^<]+) <span class=\"muted\">only at (\w+)</span>", page) == [
        ("Enter and change entries", "MTP"),
        ("Open data queries", "NIM"),
        ("Answer data queries", "MTP"),
        ("Close data queries", "NIM"),
        ("Verify against the source", "NIM"),
        ("Export the own sites, with identifiers", "MTP"),
    ]


def test_the_account_lists_the_sessions_that_go_on_and_ends_the_others(coordinator):
    here, there, theirs, over = (Client(REMOTE_ADDR=f"10.0.0.{number}") for number in range(1, 5))
    for client in (here, there, over):
        client.force_login(coordinator)
    theirs.force_login(make_person(username="other"))
    session = over.session
    session[SEEN] -= settings.SESSION_IDLE_SECONDS
    session.save()

    listed = here.get("/account/").context["sessions"]
    answer = here.post("/account/sessions/")

    assert sorted(one.is_this_one for one in listed) == [False, True]
    assert (answer.status_code, answer["Location"]) == (303, "/account/")
    assert [client.get("/account/").status_code for client in (here, there, theirs)] == [200, 302, 200]
    assert SignInEvent.objects.filter(kind="sessions_ended").count() == 1


@pytest.mark.parametrize(
    ("chosen", "attribute", "stylesheet"),
    [
        ("", '<html lang="en">', 'tokens-dark.css" media="(prefers-color-scheme: dark)">'),
        ("light", '<html lang="en" data-looks="light">', None),
        ("dark", '<html lang="en" data-looks="dark">', 'tokens-dark.css">'),
    ],
)
def test_light_or_dark_is_chosen_once_and_told_to_every_page(chosen, attribute, stylesheet, coordinator):
    client = Client()
    client.force_login(coordinator)

    answer = client.post("/account/looks/", {"looks": chosen})

    assert (answer.status_code, answer.cookies["looks"]["httponly"]) == (303, True)
    for path in ("/", "/account/", "/sign-in/", "/nothing/"):
        page = client.get(path, follow=True).content.decode()
        assert attribute in page
        assert stylesheet in page if stylesheet else "tokens-dark.css" not in page


def test_looks_that_there_are_not_are_refused_and_a_forged_cookie_is_nothing(coordinator):
    client = Client()
    client.force_login(coordinator)
    client.cookies["looks"] = '"><script>'

    assert client.post("/account/looks/", {"looks": "pink"}).status_code == 400
    assert "<script>" not in client.get("/account/").content.decode()


def test_who_must_do_something_first_may_still_choose_the_language_and_sign_out(coordinator):
    Person.objects.filter(pk=coordinator.pk).update(must_change_password=True)
    client = Client()
    client.force_login(coordinator)

    assert client.get("/account/")["Location"] == "/accounts/password/"
    assert (
        client.post("/language/", {"language": "fr", "next": "/accounts/password/"})["Location"]
        == "/accounts/password/"
    )
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
