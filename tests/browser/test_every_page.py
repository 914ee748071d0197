"""What holds for every page: nothing that axe-core finds, nothing beside the window, at each size and in the dark."""

import pytest
from django.urls import reverse

from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved

PAGES = [
    "home",
    "account",
    "page-site-deleted",
    "page-imports",
    "page-queries",
    "page-audit",
    "page-import-new",
    "page-exports",
    "page-endpoints",
    "page-jobs",
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
NEEDED = {
    "page-person": {"username": "coordinator"},
    "page-site-deleted": {"code": "NIM"},
    "page-site-settings": {"code": "NIM"},
}
"""What stands in the addresses, where something does."""
OF_MTP_001 = {
    "page-beside-patient": {"record_id": "MTP-001", "variable": "sex"},
    "page-beside-dosing": {"record_id": "MTP-001", "instance": 1, "variable": "dose_mg"},
    "page-standing-dosing": {"record_id": "MTP-001", "instance": 1},
    "page-standing": {"record_id": "MTP-001"},
    "page-standing-site": {"code": "MTP"},
    "page-site": {"code": "MTP"},
    "page-patient": {"record_id": "MTP-001"},
    "page-entry-dosing": {"record_id": "MTP-001", "instance": 1},
}
"""Pages about the patient of MTP as a data manager has them, with what stands in their addresses."""


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(name, size, dark, at):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)
    role = make_person(Role.COORDINATOR, site="NIM", username="coordinator").memberships.get()

    tab.goto(reverse(name, kwargs={**NEEDED, "page-role": {"membership_id": role.pk}}.get(name)))

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


ENTERING = [
    "/sites/MTP/patients/new/",
    "/patients/MTP-001/patient/",
    "/patients/MTP-001/dosing/",
    "/patients/MTP-001/dosing/1/",
    "/patients/MTP-001/lesion_assessment/new/",
    "/patients/MTP-001/adverse_event/new/",
    "/patients/MTP-001/prior_treatment/",
]
"""Pages on which data are entered; of each kind of field and table one at least."""


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
def test_axe_finds_nothing_where_data_are_entered(size, dark, at):
    typist = make_person(Role.COORDINATOR, site="MTP", username="typist")
    saved("patient", {"sex": "F", "childbearing_potential": True}, by=caller_now(typist))
    saved("dosing", {"dose_mg": 15, "antithrombotic": "none"}, by=caller_now(typist), record_id="MTP-001")
    saved("adverse_event", by=caller_now(typist), record_id="MTP-001")
    tab = at(person=typist, size=size, dark=dark)

    for address in ENTERING:
        tab.goto(address)

        assert (address, violations(tab)) == (address, [])
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.goto("/patients/MTP-001/dosing/1/")
    tab.locator("#f-dose_mg").fill("99")
    tab.get_by_role("button", name="Save", exact=True).click()

    assert violations(tab) == []
