"""The pages in French, in a real browser."""

import pytest
from django.urls import reverse

from exports.endpoints.store import recompute_all
from registry.rights import Role
from tests.browser.conftest import violations
from tests.browser.test_every_page import ENTERING
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved
from tests.registry.test_translations import PACKAGES, catalogue, entries

SHOWN = """() => {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) found.push(walker.currentNode.textContent);
    for (const name of ["title", "aria-label", "placeholder", "alt"])
        for (const element of document.querySelectorAll(`[${name}]`)) found.push(element.getAttribute(name));
    return found.map((text) => text.trim().replace(/\\s+/g, " "));
}"""
"""Returns the texts of a page, seen and heard."""


def texts_in_english_only():
    """Return the texts that have a French of their own, and are not French themselves."""
    translated = {text: words for package in PACKAGES for (_, text, _), words in entries(catalogue(package)).items()}
    french = {word for words in translated.values() for word in words}
    return {text for text in translated if text not in french}


MANAGED = [
    "/",
    "/account/",
    "/accounts/codes/",
    "/sites/MTP/",
    "/sites/MTP/deleted/",
    "/patients/MTP-001/",
    "/patients/MTP-001/outcome/",
    "/patients/MTP-001/dosing/1/",
    "/exports/",
    "/endpoints/",
    "/endpoints/responders/",
    "/jobs/",
    "/queries/",
    "/audit/",
    "/imports/",
    "/imports/new/",
    "/people/",
    "/new-person/",
    "/people/typist/",
    "/places/",
    "/places/NIM/",
    "/tokens/",
    "/health/",
]
"""What a data manager sees."""


@pytest.fixture
def typist(sites):
    """A coordinator of MTP, who has entered a patient with an entry of each form, odd values among them."""
    person = make_person(Role.COORDINATOR, site="MTP", username="typist")
    by = caller_now(person)
    saved("patient", {"sex": "F", "childbearing_potential": True}, by=by, record_id="MTP-001")
    saved("prior_treatment", {"prior_start": "2010-03"}, by=by, record_id="MTP-001")
    saved("dosing", {"dose_mg": 15, "antithrombotic": "none"}, by=by, record_id="MTP-001")
    saved("lesion_assessment", {"lesion_clearance": 96, "lesion_new": False}, by=by, record_id="MTP-001")
    saved("adverse_event", {"ae_grade": "3"}, by=by, record_id="MTP-001")
    recompute_all()
    return person


def walk(tab, addresses):
    """Open pages and return, by address, what is left in English there, and whether a page is wider than its window."""
    english, found = texts_in_english_only(), {}
    for address in addresses:
        tab.goto(address)
        left = sorted(set(tab.evaluate(SHOWN)) & english)
        if left or tab.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found[address] = left or "too wide"
    return found


@pytest.mark.parametrize("size", ["desk", "tablet"])
def test_no_page_of_a_data_manager_has_english_left_or_is_too_wide_with_longer_words(size, typist, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, locale="fr-FR")

    assert walk(tab, MANAGED) == {}


@pytest.mark.parametrize("size", ["desk", "tablet"])
def test_no_page_on_which_data_are_entered_has_english_left_or_is_too_wide_with_longer_words(size, typist, at):
    tab = at(person=typist, size=size, locale="fr-FR")

    assert walk(tab, ENTERING) == {}
    assert violations(tab) == []


def test_a_form_is_filled_in_in_french_with_a_number_and_a_day_as_they_are_typed(typist, at):
    tab = at(person=typist, locale="fr-FR")
    tab.goto("/patients/MTP-001/dosing/1/")
    dose = tab.get_by_role("textbox", name="Dose de lénalidomide un jour de prise")
    assert dose.input_value() == "15"

    dose.fill("2.5")
    tab.get_by_label("Motif de modification").fill("ordonnance")
    tab.get_by_role("button", name="Enregistrer", exact=True).click()

    tab.get_by_text("est enregistré").wait_for()
    tab.goto("/patients/MTP-001/dosing/1/")
    assert dose.input_value() == "2.5"
    assert tab.locator("#f-dose_start").input_value() == "2020-01-01"


@pytest.mark.parametrize("size", ["desk", "tablet"])
def test_the_language_is_switched_before_signing_in_and_stays(size, at):
    tab = at(size=size, locale="en-GB")
    tab.context.clear_cookies()
    tab.goto(reverse("sign-in"))
    assert tab.locator("html").get_attribute("lang") == "en"

    tab.get_by_role("button", name="FR").click()

    tab.get_by_role("link", name="Mot de passe oublié ?").wait_for()
    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.reload()
    assert tab.locator("html").get_attribute("lang") == "fr"


def test_the_language_is_switched_on_a_page_and_back_on_the_same_page(at):
    tab = at(Role.DATA_MANAGER, site=None, locale="en-GB")
    tab.goto(reverse("account"))

    tab.get_by_role("button", name="FR").click()
    tab.get_by_role("heading", name="Ce que je peux faire").wait_for()
    assert tab.url.endswith(reverse("account"))
    tab.get_by_role("button", name="EN").click()

    tab.get_by_role("heading", name="What I may do").wait_for()
    assert tab.url.endswith(reverse("account"))


def test_a_french_browser_gets_french_without_asking(at):
    tab = at(Role.COORDINATOR, locale="fr-FR")

    tab.goto(reverse("home"))

    assert tab.locator("html").get_attribute("lang") == "fr"
    assert tab.get_by_role("link", name="Nouveau patient").first.is_visible()
    assert violations(tab) == []
