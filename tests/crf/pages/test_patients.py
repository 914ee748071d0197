"""Tests of crf.pages.patients and crf.patient_overview."""

import re

import pytest
from django.utils import timezone

from crf.forms import all_forms
from crf.models.data_query import DataQuery
from crf.pages.patients import summarised
from registry.models import AccessEvent
from registry.rights import Role
from tests.crf.examples import COMPLETE, REPEATING, saved


@pytest.fixture
def person(browser):
    """A coordinator of MTP in a browser."""
    return browser(Role.COORDINATOR, site="MTP", username="reader")


@pytest.fixture
def whole(coordinator):
    """Save a patient with an entry of every form."""
    for form in COMPLETE:
        saved(form, by=coordinator, record_id="MTP-001" if form != "patient" else None)


def text_of(response):
    """Return the words of a page."""
    words = re.sub(r"<[^>]*>", " ", response.content.decode())
    return re.sub(r"\s+", " ", words)


def test_the_head_says_who_it_is(whole, person):
    text = text_of(person.get("/patients/MTP-001/"))

    for words in ("Male", "1970-05-01", "First dose 2020-01-01", "Age at first dose 49 years", "Chronic discoid"):
        assert words in text


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_a_patient_of_its_site_and_of_no_other(whole, browser, role):
    """Negative test 1."""
    assert browser(role, site="MTP", username="here").get("/patients/MTP-001/").status_code == 200
    assert browser(role, site="NIM", username="elsewhere").get("/patients/MTP-001/").status_code == 404
    assert browser(role, site="MTP", username="too").get("/patients/MTP-002/").status_code == 404


def test_that_the_date_of_birth_was_read_is_noted(whole, person):
    """Negative test 21."""
    before = AccessEvent.objects.count()

    person.get("/patients/MTP-001/")

    noted = AccessEvent.objects.order_by("pk").last()
    assert AccessEvent.objects.count() == before + 1
    assert (noted.kind, noted.record_id, noted.details) == (
        "read_identifiers",
        "MTP-001",
        {"form": "patient", "rows": 1},
    )


def test_every_form_has_its_section_and_every_entry_its_row(whole, person):
    page = person.get("/patients/MTP-001/").content.decode()

    for form in all_forms():
        assert f'id="{form.form_name()}"' in page
    for form in REPEATING:
        assert f"/patients/MTP-001/{form}/1/delete/" in page


def test_what_identifies_is_not_in_the_tables_of_entries():
    for form in all_forms():
        shown = [form.variables()[name] for name in summarised(form)]
        assert 0 < len(shown) <= 5
        assert [variable.name for variable in shown if variable.identifier or variable.free_text] == []


def test_what_an_entry_lacks_is_named(coordinator, person):
    saved("patient", by=coordinator)
    saved("dosing", {"dose_schedule": None}, by=coordinator, record_id="MTP-001", status="incomplete")

    text = text_of(person.get("/patients/MTP-001/"))

    assert "1 entry lacks what a complete form needs Dosing 1 : Schedule" in text


def test_open_queries_stand_beside_the_entry(whole, person):
    at = {"site_id": "MTP", "patient_id": "MTP-001", "form": "dosing", "instance": 1}
    asked = {"variable": "dose_mg", "text": "Sure?", "origin": "manual", "opened_at": timezone.now()}
    DataQuery.objects.create(**at, **asked)

    text = text_of(person.get("/patients/MTP-001/"))

    assert "1 open query" in text


def test_the_course_is_drawn_and_told_in_a_table(whole, person):
    page = person.get("/patients/MTP-001/").content.decode()

    assert page.count('class="point none"') == 1  # an assessment without a clearance
    assert 'class="dose"' in page
    assert 'class="grade grade-1"' in page
    assert "The course as a table" in page
    assert ' style="' not in page  # the Content-Security-Policy forbids it


def test_a_patient_without_dates_has_no_course_but_says_when(coordinator, person):
    saved("patient", by=coordinator)

    assert "The course is drawn here as soon as" in person.get("/patients/MTP-001/").content.decode()


HOSTILE = "<script>alert(1)</script>{{ 7 }}\"'"


def test_what_people_wrote_is_text_everywhere(coordinator, person):
    """Negative test 30."""
    saved("patient", by=coordinator)
    saved("adverse_event", {"ae_term": HOSTILE}, by=coordinator, record_id="MTP-001")
    treatment = {"prior_drug": "other", "prior_drug_other": HOSTILE, "prior_start": "2019", "prior_dose": HOSTILE}
    saved("prior_treatment", treatment, by=coordinator, record_id="MTP-001")

    page = person.get("/patients/MTP-001/").content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_who_enters_no_data_is_offered_neither_deleting_nor_bringing_back(whole, browser, person):
    person.post("/patients/MTP-001/dosing/1/delete/", {"version": "1", "reason": "typo"})

    assert "/restore/" in person.get("/patients/MTP-001/").content.decode()
    page = browser(Role.MONITOR, site="MTP", username="monitor").get("/patients/MTP-001/").content.decode()
    assert "1 deleted entry" in page
    assert "/restore/" not in page
    assert "/delete/" not in page


@pytest.mark.parametrize("count", [1, 3])
def test_a_patient_takes_the_same_queries_whatever_there_is(coordinator, person, assert_round_trips, count):
    saved("patient", by=coordinator)
    for number in range(count):
        saved("adverse_event", by=coordinator, record_id="MTP-001")
        saved("lesion_assessment", {"lesion_date": f"2020-0{number + 1}-01"}, by=coordinator, record_id="MTP-001")

    with assert_round_trips(19):
        person.get("/patients/MTP-001/")


def test_a_patient_leads_to_its_outcome(whole, person):
    page = person.get("/patients/MTP-001/").content.decode()

    assert 'href="/patients/MTP-001/outcome/"' in page


def test_each_entry_leads_to_its_page_and_each_form_to_a_new_one(whole, person):
    page = person.get("/patients/MTP-001/").content.decode()

    assert 'href="/patients/MTP-001/patient/"' in page
    for form in REPEATING:
        assert f'href="/patients/MTP-001/{form}/1/"' in page
        assert f'href="/patients/MTP-001/{form}/new/"' in page
