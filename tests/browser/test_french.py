"""The pages in French, in a real browser."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations
from tests.browser.test_every_page import PAGES
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


@pytest.mark.parametrize("size", ["desk", "tablet"])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_english_left_or_is_cut_off_by_longer_words(name, size, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, locale="fr-FR")

    tab.goto(reverse(name))

    assert set(tab.evaluate(SHOWN)) & texts_in_english_only() == set()
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


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
    tab.get_by_role("heading", name="Ce que vous pouvez faire").wait_for()
    assert tab.url.endswith(reverse("account"))
    tab.get_by_role("button", name="EN").click()

    tab.get_by_role("heading", name="What you may do").wait_for()
    assert tab.url.endswith(reverse("account"))


def test_a_french_browser_gets_french_without_asking(at):
    tab = at(Role.COORDINATOR, locale="fr-FR")

    tab.goto(reverse("home"))

    assert tab.locator("html").get_attribute("lang") == "fr"
    assert tab.get_by_role("heading", level=1).inner_text() == "Patients"
    assert violations(tab) == []
