"""Finding one's place in a real browser: a patient by typing, the grid by filtering, and the course of a patient."""

import re

import pytest
from playwright.sync_api import expect

from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import see_everything
from tests.crf.examples import saved


@pytest.fixture
def patients(transactional_db, sites, data_manager):
    """Save twelve patients at MTP, the second with a course and the third with an incomplete dose, and one at NIM."""
    for _number in range(12):
        saved("patient", by=data_manager, site="MTP")
    saved("patient", by=data_manager, site="NIM")
    saved("dosing", {"dose_end": "2020-06-30", "dose_stop_reason": "other"}, by=data_manager, record_id="MTP-002")
    saved("prior_treatment", {"prior_start": "2018", "prior_end": "2019-05"}, by=data_manager, record_id="MTP-002")
    for day, clearance, new in (("2020-01-01", 0, False), ("2020-04-01", 60, False), ("2020-07-01", 100, True)):
        seen = {"lesion_date": day, "lesion_clearance": clearance, "lesion_new": new}
        saved("lesion_assessment", seen, by=data_manager, record_id="MTP-002")
    for term, grade in (("Fatigue", "1"), ("Thrombosis", "3")):
        event = {"ae_term": term, "ae_grade": grade, "ae_serious": grade == "3"}
        event |= {"ae_serious_criteria": ["hospitalisation"]} if grade == "3" else {}
        saved("adverse_event", event, by=data_manager, record_id="MTP-002")
    saved("dosing", {"dose_schedule": None}, by=data_manager, record_id="MTP-003", status="incomplete")
    see_everything()


@pytest.fixture
def data_manager(sites):
    from tests.conftest import caller_now, make_person  # noqa: PLC0415 -- beside the fixtures of the browser

    return caller_now(make_person(Role.DATA_MANAGER, username="enters"))


def rows(tab):
    """Return the patients of the grid."""
    return tab.locator("table.grid tbody th")


def test_a_patient_is_found_by_typing_and_opened_by_enter(patients, at):
    tab = at(Role.COORDINATOR, site="MTP")
    tab.goto("/")
    expect(rows(tab)).to_have_count(12)

    tab.get_by_label("Find").press_sequentially("01")

    expect(rows(tab)).to_have_text(["MTP-001", "MTP-010", "MTP-011", "MTP-012"])
    expect(tab.get_by_label("Find")).to_be_focused()
    assert "01" not in tab.url

    tab.get_by_label("Find").press_sequentially("1")
    expect(rows(tab)).to_have_text(["MTP-011"])
    tab.get_by_label("Find").press("Enter")

    expect(tab.get_by_role("heading", level=1)).to_have_text("MTP-011")
    assert tab.url.endswith("/patients/MTP-011/")


def test_the_grid_is_filtered_and_sorted_in_place_and_the_address_keeps_it(patients, at):
    tab = at(Role.COORDINATOR, site="MTP")
    tab.goto("/sites/MTP/")

    tab.locator("select[name=state]").select_option("incomplete")
    expect(rows(tab)).to_have_text(["MTP-003"])
    tab.reload()
    expect(rows(tab)).to_have_text(["MTP-003"])

    tab.locator("select[name=state]").select_option("")
    expect(rows(tab)).to_have_count(12)
    heading = tab.get_by_role("columnheader", name="Adverse event")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(rows(tab).first).to_have_text("MTP-002")
    assert "sort=adverse_event&order=desc" in tab.url

    tab.locator("select[name=state]").select_option("complete")
    expect(tab).to_have_url(re.compile("state=complete"))
    assert "sort=adverse_event&order=desc" in tab.url


def test_the_course_of_a_patient_is_drawn_and_can_be_read_as_a_table(patients, at):
    tab = at(Role.MONITOR, site="MTP")
    tab.goto("/sites/MTP/")
    tab.get_by_role("link", name="MTP-002", exact=True).click()

    course = tab.locator("svg.plot").first
    expect(course).to_be_visible()
    assert tab.locator("svg.plot .dose").count() == 1
    assert tab.locator("svg.plot .point").count() == 3
    assert tab.locator("svg.plot .grade").count() == 2
    tab.get_by_text("The course as a table").click()
    expect(tab.locator(".timeline table tbody tr")).to_have_count(7)
    expect(tab.get_by_role("cell", name="100 %").first).to_be_visible()


def test_a_role_sees_the_patients_of_its_site_only(patients, at):
    tab = at(Role.INVESTIGATOR, site="NIM")
    tab.goto("/")

    expect(rows(tab)).to_have_text(["NIM-001"])
    assert tab.goto("/sites/MTP/").status == 404
    assert tab.goto("/patients/MTP-002/").status == 404


def test_an_entry_is_deleted_and_brought_back_without_a_script(patients, at):
    tab = at(Role.COORDINATOR, site="MTP", java_script_enabled=False)
    tab.goto("/patients/MTP-003/")

    tab.get_by_role("link", name="Delete Dosing 1").click()
    tab.get_by_label("Reason").fill("Entered twice")
    tab.get_by_role("button", name="Delete").click()
    expect(tab.get_by_text("1 deleted entry")).to_be_visible()

    tab.get_by_text("1 deleted entry").click()
    tab.get_by_role("link", name="Bring back").click()
    tab.get_by_label("Reason").fill("It was right")
    tab.get_by_role("button", name="Bring back").click()
    expect(tab.get_by_role("link", name="Delete Dosing 1")).to_be_visible()


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
def test_axe_finds_nothing_where_there_are_patients(patients, at, size, dark):
    tab = at(Role.DATA_MANAGER, site=None, size=size, dark=dark)

    for path in ("/", "/sites/MTP/", "/patients/MTP-002/", "/patients/MTP-002/dosing/1/delete/"):
        tab.goto(path)
        assert (path, violations(tab)) == (path, [])
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
