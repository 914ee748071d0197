"""What holds for every page: nothing that axe-core finds, nothing beside the window, at each size and in the dark."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import make_person

PAGES = [
    "home",
    "account",
    "page-people",
    "page-person-new",
    "page-person",
    "page-role",
    "page-sites",
    "page-site-settings",
    "page-tokens",
    "page-health",
    "mfa_index",
]
NEEDED = {"page-person": {"username": "coordinator"}, "page-site-settings": {"code": "NIM"}}
"""What stands in the addresses, where something does."""


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(name, size, dark, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)
    role = make_person(Role.COORDINATOR, site="NIM", username="coordinator").memberships.get()

    tab.goto(reverse(name, kwargs={**NEEDED, "page-role": {"membership_id": role.pk}}.get(name)))

    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
