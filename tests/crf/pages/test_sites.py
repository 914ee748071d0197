"""Tests of crf.pages.sites."""

import re

import pytest

from crf.overview import Asked, CellState
from crf.pages.sites import read_asked
from registry.rights import Role
from tests.crf.examples import saved

HTMX = {"HX-Request": "true"}


def ids(response):
    """Return the record ids of the grid of an answer."""
    return re.findall(r'<th scope="row"><a href="/patients/([A-Z0-9-]+)/">', response.content.decode())


@pytest.fixture
def three(coordinator):
    """Save three patients: without a dose, with an incomplete one, with a complete one."""
    for _number in range(3):
        saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-002", status="incomplete")
    saved("dosing", by=coordinator, record_id="MTP-003")


@pytest.fixture
def person(browser):
    """A coordinator of MTP in a browser."""
    return browser(Role.COORDINATOR, site="MTP", username="reader")


def test_a_site_shows_its_patients_by_forms_in_words_too(three, person):
    page = person.get("/sites/MTP/")

    assert ids(page) == ["MTP-001", "MTP-002", "MTP-003"]
    text = page.content.decode()
    for words in ("Dosing: none", "Dosing: incomplete", "Dosing: complete"):
        assert words in text


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_the_patients_of_its_site_and_no_other(browser, data_manager, role):
    """Negative test 1."""
    saved("patient", by=data_manager, site="MTP")
    saved("patient", by=data_manager, site="NIM")
    person = browser(role, site="NIM", username="reader")

    assert ids(person.get("/sites/NIM/")) == ["NIM-001"]
    assert person.get("/sites/MTP/").status_code == 404
    assert person.post("/sites/MTP/", {"search": "MTP"}).status_code == 404


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("?sort=record_id&order=desc", ["MTP-003", "MTP-002", "MTP-001"]),
        ("?sort=dosing", ["MTP-001", "MTP-002", "MTP-003"]),
        ("?state=none&form=dosing", ["MTP-001"]),
        ("?state=incomplete", ["MTP-002"]),
        ("?state=signed", []),
    ],
)
def test_the_address_says_what_is_sorted_and_filtered(three, person, asked, expected):
    assert ids(person.get(f"/sites/MTP/{asked}")) == expected


def test_htmx_gets_the_grid_alone_and_the_address_that_belongs_to_it(three, person):
    part = person.post("/sites/MTP/", {"search": "003", "state": "complete"}, headers=HTMX)

    assert ids(part) == ["MTP-003"]
    assert "<html" not in part.content.decode()
    assert part["HX-Replace-Url"] == "/sites/MTP/?state=complete"


def test_the_name_of_one_patient_opens_it(three, person):
    for text in ("mtp-002", "MTP-002", "2", "002"):
        response = person.post("/sites/MTP/", {"search": text})
        assert (response.status_code, response["Location"]) == (303, "/patients/MTP-002/")


def test_a_search_that_names_no_one_patient_shows_those_that_match(three, person):
    assert ids(person.post("/sites/MTP/", {"search": "MTP-00"})) == ["MTP-001", "MTP-002", "MTP-003"]


def test_a_search_without_a_match_says_how_to_go_on(three, person):
    assert "No patient matches." in person.post("/sites/MTP/", {"search": "999"}).content.decode()


def test_a_filter_without_a_search_goes_to_its_address(three, person):
    response = person.post("/sites/MTP/", {"search": "", "state": "none", "form": "dosing"})

    assert (response.status_code, response["Location"]) == (303, "/sites/MTP/?state=none&form=dosing")


def test_no_search_is_read_from_an_address_or_written_into_one(three, person):
    """No record id in a query string."""
    page = person.get("/sites/MTP/?search=MTP-001")
    found = person.post("/sites/MTP/", {"search": "MTP-00"}).content.decode()

    assert len(ids(page)) == 3
    assert re.findall(r'href="[^"]*\?[^"]*MTP-0', found) == []


def test_what_no_grid_asks_for_is_left_out():
    """Negative tests 8 and 33: nothing but known names reaches the statement."""
    hostile = {"sort": "birth_date", "order": "x", "state": "'; --", "form": "registry", "page": "-1", "search": "x"}

    assert read_asked(hostile) == Asked()
    assert read_asked({"page": "٣"}) == read_asked({"page": "1e9"}) == Asked()
    assert read_asked({"state": "locked", "form": "dosing", "sort": "queries", "order": "desc", "page": "2"}) == Asked(
        sort="queries", descending=True, state=CellState.LOCKED, form="dosing", page=2
    )


@pytest.mark.parametrize("text", ["\x00", "\u202e", "'", "%", "x" * 1000])
def test_hostile_searches_find_nothing(three, person, text):
    """Negative tests 16 and 33."""
    for headers in ({}, HTMX):
        response = person.post("/sites/MTP/", {"search": text}, headers=headers)
        assert response.status_code in (200, 400)
        assert ids(response) == []


def test_a_page_beyond_the_last_says_so(three, person):
    assert "No patient matches." in person.get("/sites/MTP/?page=9").content.decode()


def test_an_empty_site_says_what_to_do_next(browser):
    page = browser(Role.MONITOR, site="MTP").get("/sites/MTP/").content.decode()

    assert "There are no patients here yet." in page


def test_what_was_deleted_is_listed_with_who_and_why(three, person):
    reason = {"version": "1", "reason": "Entered <twice>"}
    assert person.post("/patients/MTP-002/delete/", reason).status_code == 303

    page = person.get("/sites/MTP/deleted/").content.decode()

    assert "reader" in page
    assert "Entered &lt;twice&gt;" in page
    assert "/patients/MTP-002/restore/" in page
    assert person.get("/sites/NIM/deleted/").status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_a_site_takes_the_same_queries_whatever_there_is(coordinator, person, django_assert_num_queries, count):
    for _number in range(count):
        record_id = saved("patient", by=coordinator, status="incomplete").record_id
        saved("dosing", by=coordinator, record_id=record_id, status="incomplete")

    with django_assert_num_queries(12):
        person.get("/sites/MTP/")
    with django_assert_num_queries(6):
        person.get("/sites/MTP/?sort=dosing&state=incomplete", headers=HTMX)
