"""What holds for every page: nothing that axe-core finds, nothing beside the window, at each size and in the dark."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations

PAGES = {"home": {}, "account": {}, "page-site": {"code": "MTP"}, "page-site-deleted": {"code": "MTP"}}
"""What stands in the address of each page; those that need a patient are looked at where their data are."""


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(name, size, dark, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)

    tab.goto(reverse(name, kwargs=PAGES[name]))

    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
