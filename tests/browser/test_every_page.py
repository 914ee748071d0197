"""What holds for every page: nothing that axe-core finds, nothing beside the window, at each size and in the dark."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations

PAGES = ["home", "account", "page-imports", "page-import-new"]


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(name, size, dark, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)

    tab.goto(reverse(name))

    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
