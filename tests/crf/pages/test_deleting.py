"""Tests of crf.pages.deleting."""

import pytest

from crf import locks
from crf.deletions import deleted_entries
from crf.models.dosing import Dosing
from crf.models.patient import Patient
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import see_everything
from tests.crf.examples import saved

DOSE = "/patients/MTP-001/dosing/1/"
PATIENT = "/patients/MTP-001/"
SENT = {"version": "1", "reason": "Entered twice"}


@pytest.fixture
def dose(coordinator):
    """A dose of a new patient of MTP."""
    saved("patient", by=coordinator)
    return saved("dosing", by=coordinator, record_id="MTP-001")


@pytest.fixture
def person(browser):
    """A coordinator of MTP in a browser."""
    return browser(Role.COORDINATOR, site="MTP", username="reader")


def there():
    """Return how many doses and patients are there."""
    see_everything()
    return [model.objects.filter(deleted_at=None).count() for model in (Dosing, Patient)]


def test_an_entry_is_deleted_with_a_reason_and_brought_back_with_one(dose, person):
    page = person.get(f"{DOSE}delete/")
    deleted = person.post(f"{DOSE}delete/", SENT)

    assert (page.status_code, deleted.status_code, deleted["Location"]) == (200, 303, PATIENT)
    assert there() == [0, 1]

    page = person.get(f"{DOSE}restore/").content.decode()
    assert "Entered twice" in page
    assert 'name="version" value="2"' in page
    back = person.post(f"{DOSE}restore/", {"version": "2", "reason": "It was right"})

    assert (back.status_code, back["Location"]) == (303, PATIENT)
    assert there() == [1, 1]


def test_a_patient_is_deleted_and_brought_back_with_every_entry(dose, person, coordinator):
    deleted = person.post(f"{PATIENT}delete/", SENT)

    assert (deleted.status_code, deleted["Location"]) == (303, "/sites/MTP/")
    assert there() == [0, 0]
    (patient, _dose) = sorted(deleted_entries(by=coordinator), key=lambda entry: entry.form != "patient")
    assert patient.actor["reason"] == "Entered twice"

    back = person.post(f"{PATIENT}restore/", {"version": "2", "reason": "It was right"})

    assert (back.status_code, back["Location"]) == (303, PATIENT)
    assert there() == [1, 1]


@pytest.mark.parametrize("reason", ["", "  "])
def test_without_a_reason_nothing_happens_and_the_field_says_so(dose, person, reason):
    response = person.post(f"{DOSE}delete/", {"version": "1", "reason": reason})

    assert (response.status_code, there()) == (422, [1, 1])
    assert 'aria-invalid="true"' in response.content.decode()


@pytest.mark.parametrize("version", ["", "0", "2", "x", "9" * 30])
def test_what_somebody_changed_meanwhile_is_not_deleted(dose, person, version):
    """Negative test 11."""
    response = person.post(f"{DOSE}delete/", {"version": version, "reason": "typo"})

    assert (response.status_code, there()) == (409, [1, 1])
    assert "typo" in response.content.decode()


def test_what_is_locked_is_not_deleted(dose, person, data_manager):
    """Negative test 10."""
    with acting(data_manager, door=Door.REST):
        locks.lock(locks.Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=dose.updated_at)
    see_everything()

    for address in (DOSE, PATIENT):
        response = person.post(f"{address}delete/", SENT)
        assert response.status_code == 409
        assert "locked" in response.content.decode()
    assert there() == [1, 1]


def test_what_breaks_a_check_by_now_does_not_come_back_and_the_page_says_why(dose, person, coordinator):
    person.post(f"{DOSE}delete/", SENT)
    see_everything()
    saved("dosing", by=coordinator, record_id="MTP-001")

    response = person.post(f"{DOSE}restore/", {"version": "2", "reason": "It was right"})

    assert response.status_code == 422
    assert "already has a dose on some of these days" in response.content.decode()


def test_an_entry_does_not_come_back_without_its_patient(dose, person):
    person.post(f"{DOSE}delete/", SENT)
    person.post(f"{PATIENT}delete/", SENT)

    response = person.post(f"{DOSE}restore/", {"version": "2", "reason": "It was right"})

    assert (response.status_code, there()) == (409, [0, 0])


@pytest.mark.parametrize(
    "address", [f"{DOSE}restore/", "/patients/MTP-001/dosing/2/delete/", "/patients/MTP-009/delete/"]
)
def test_what_is_not_there_is_not_found(dose, person, address):
    assert person.get(address).status_code == 404


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.MONITOR])
@pytest.mark.parametrize("address", [f"{DOSE}delete/", f"{PATIENT}delete/", f"{DOSE}restore/"])
def test_who_enters_no_data_deletes_none_and_who_is_elsewhere_finds_none(dose, browser, role, address):
    """Negative tests 1 and 7."""
    here, elsewhere = browser(role, site="MTP", username="here"), browser(role, site="NIM", username="elsewhere")

    assert (here.get(address).status_code, here.post(address, SENT).status_code) == (403, 403)
    assert (elsewhere.get(address).status_code, elsewhere.post(address, SENT).status_code) == (404, 404)
    assert there() == [1, 1]


def test_a_second_click_deletes_nothing_twice(dose, person):
    """Negative test 12."""
    first, second = (person.post(f"{DOSE}delete/", {**SENT, "once": "one click"}) for _click in range(2))

    assert (first.status_code, first["Location"]) == (second.status_code, second["Location"])


def test_looking_changes_nothing(dose, person):
    """Negative test 35."""
    for address in (f"{DOSE}delete/", f"{PATIENT}delete/"):
        person.get(address)

    assert there() == [1, 1]
