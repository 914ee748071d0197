"""Tests of crf.pages.home."""

import pytest

from registry.rights import Role
from tests.crf.examples import saved

QUERIES = 10
"""Session, person, begin, totals, sites, three lists of work, drafts, end."""


def test_a_person_of_one_site_is_sent_to_that_site(browser):
    response = browser(Role.COORDINATOR, site="NIM").get("/")

    assert (response.status_code, response["Location"]) == (302, "/sites/NIM/")


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.DATA_MANAGER, Role.MONITOR])
def test_a_person_of_all_sites_sees_each_with_its_counts(browser, data_manager, role):
    saved("patient", by=data_manager, site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001", status="incomplete")

    page = browser(role, site=None, username="reader").get("/").content.decode()

    assert [code in page for code in ("MTP", "NIM", "STR")] == [True] * 3
    cells = "".join(f'<td class="amount">{number}</td>' for number in (1, 2, 1, 1, 0))
    assert cells in page


def test_who_has_no_role_is_told_whom_to_ask_and_sees_no_site(browser, data_manager):
    saved("patient", by=data_manager, site="MTP")

    page = browser(None).get("/").content.decode()

    assert "You have no role at any site yet." in page
    assert "MTP" not in page


def test_typing_a_record_id_opens_the_patient(browser, data_manager):
    saved("patient", by=data_manager, site="STR")

    response = browser(Role.MONITOR, site=None).post("/", {"search": " str-001 "})

    assert (response.status_code, response["Location"]) == (303, "/patients/STR-001/")


@pytest.mark.parametrize("text", ["NIM-001", "MTP-002", "7", "", "\x00", "<b>"])
def test_what_names_no_patient_or_one_of_another_site_is_told_the_same(browser, data_manager, text):
    """Negative tests 1 and 30: no difference that betrays another site, and nothing is markup."""
    saved("patient", by=data_manager, site="NIM")
    saved("patient", by=data_manager, site="MTP")

    response = browser(Role.COORDINATOR, site="MTP").post("/", {"search": text})

    page = response.content.decode()
    assert response.status_code == 422
    assert "among those you may see" in page
    assert "<b>" not in page


def test_a_number_alone_opens_the_one_patient_with_it(browser, data_manager):
    saved("patient", by=data_manager, site="NIM")
    saved("patient", by=data_manager, site="MTP")

    response = browser(Role.COORDINATOR, site="MTP").post("/", {"search": "1"})

    assert response["Location"] == "/patients/MTP-001/"


def test_a_draft_is_offered_to_its_author_alone(browser, data_manager):
    saved("patient", by=data_manager, site="MTP")
    author, other = browser(username="author"), browser(username="other")
    typed = author.post("/patients/MTP-001/dosing/new/live/", {"dose_mg": "5"})
    assert typed.status_code == 200

    assert 'class="tag">draft<' in author.get("/sites/MTP/").content.decode()
    assert 'class="tag">draft<' not in other.get("/sites/MTP/").content.decode()


@pytest.mark.parametrize("count", [1, 3])
def test_home_takes_the_same_queries_whatever_there_is(browser, data_manager, django_assert_num_queries, count):
    for _number in range(count):
        saved("patient", by=data_manager, site="MTP", status="incomplete")
    person = browser(Role.DATA_MANAGER, site=None, username="reader")

    with django_assert_num_queries(QUERIES):
        person.get("/")
