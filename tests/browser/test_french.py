"""The pages in French, in a real browser."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations


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
