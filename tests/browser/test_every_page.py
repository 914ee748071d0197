"""What holds for every page: nothing that axe-core finds, nothing beside the window, at each size and in the dark."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved

PAGES = ["home", "account", "page-queries", "page-audit"]
OF_MTP_001 = {
    "page-beside-patient": {"record_id": "MTP-001", "variable": "sex"},
    "page-beside-dosing": {"record_id": "MTP-001", "instance": 1, "variable": "dose_mg"},
    "page-standing-dosing": {"record_id": "MTP-001", "instance": 1},
    "page-standing": {"record_id": "MTP-001"},
    "page-standing-site": {"code": "MTP"},
}
"""Pages about the patient of MTP, with what stands in their addresses."""


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(name, size, dark, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)

    tab.goto(reverse(name))

    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
def test_axe_finds_nothing_on_the_pages_about_a_patient(size, dark, at):
    enters = caller_now(make_person(Role.COORDINATOR, site="MTP", username="enters"))
    saved("patient", by=enters, site="MTP")
    saved("dosing", {"dose_mg": 15}, by=enters, record_id="MTP-001")
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)

    for name, place in OF_MTP_001.items():
        tab.goto(reverse(name, kwargs=place))

        assert (name, violations(tab)) == (name, [])
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
