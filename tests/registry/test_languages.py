"""Which language an answer is in, and how numbers and dates are shown in each."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.conf import settings
from django.template import Context, Template
from django.test import Client
from django.utils import translation

from registry.rights import Role
from tests.conftest import Api, Browser, make_person
from tests.registry.test_api import problem

FRENCH = {"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8"}


def shown(text, **values):
    return Template(text).render(Context(values))


def test_a_page_is_in_the_language_that_the_browser_wishes(db):
    page = Client(headers=FRENCH).get("/sign-in/").content.decode()

    assert '<html lang="fr">' in page
    assert "Mot de passe oublié" in page


def test_who_chooses_a_language_keeps_it_whatever_the_browser_wishes(db):
    client = Client(headers={"Accept-Language": "en"})

    answer = client.post("/language/", {"language": "fr", "next": "/sign-in/"})

    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/")
    assert '<html lang="fr">' in client.get("/sign-in/").content.decode()


def test_a_browser_of_another_language_gets_english(db):
    page = Client(headers={"Accept-Language": "de"}).get("/sign-in/").content.decode()

    assert '<html lang="en">' in page


def test_a_problem_is_told_in_the_language_of_the_caller_under_the_same_code(db):
    english, french = (problem(Api("0" * 32).get("/api/v1/me/", headers=headers)) for headers in ({}, FRENCH))

    assert french["code"] == english["code"]
    assert french["detail"] == "Le jeton est inconnu, expiré ou révoqué."
    assert french["title"] == "Connectez-vous, ou envoyez un jeton valable"


@pytest.mark.parametrize("address", ["/api/schema/", "/redcap/api/"])
def test_what_programs_read_is_in_one_language(address, sites):
    browser = Browser(headers=FRENCH)
    browser.sign_in(make_person(Role.DATA_MANAGER))
    browser.cookies[settings.LANGUAGE_COOKIE_NAME] = "fr"

    answer = browser.get(address)

    assert answer["Content-Language"] == "en"
    assert translation.get_language() == "en"  # until the last byte, also of what is streamed


@pytest.mark.parametrize("language", ["en", "fr"])
def test_numbers_and_dates_are_shown_as_they_are_typed(language):
    values = {"half": 2.5, "dose": Decimal("2.50"), "many": 1234567, "day": date(2024, 3, 12)}
    moment = datetime(2024, 3, 12, 9, 30, tzinfo=UTC)

    with translation.override(language):
        assert shown("{{ half }} {{ dose }} {{ many }} {{ day }}", **values) == "2.5 2.50 1234567 2024-03-12"
        assert shown("{{ half|floatformat:1 }} {{ dose|floatformat:'2g' }}", **values) == "2.5 2.50"
        assert shown("{{ day|date }} {{ moment }} {{ moment|time }}", moment=moment, **values) == (
            "2024-03-12 2024-03-12 09:30 09:30"
        )
        assert shown("<rect x='{{ half }}' id='n{{ many }}'>", **values) == "<rect x='2.5' id='n1234567'>"
