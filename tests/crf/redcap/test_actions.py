"""Delete, rename and the next identifier. Rows 39 to 43 of the checklist."""

import json

import pytest

from crf.forms import all_forms, forms_by_name
from registry.rights import Role
from tests.crf.redcap.conftest import locked

pytestmark = pytest.mark.django_db

UNKNOWN = (
    "One or more of the records provided cannot be deleted because they do not exist in the project. "
    "The following records do not exist: "
)


def ids(caller):
    return [row["record_id"] for row in caller("record", format="json", fields=["record_id"]).json]


def doses(caller):
    rows = caller("record", format="json", fields=["record_id", "dose_start"]).json
    return [(row["record_id"], row["redcap_repeat_instance"]) for row in rows if row["dose_start"]]


def test_records_are_deleted_and_counted(manager, cohort):
    """Row 39."""
    answer = manager("record", action="delete", records=["MTP-001", "NIM-001"], delete_logging="FALSE", type="flat")

    assert (answer.status, answer.text) == (200, "2")
    assert ids(manager) == ["MTP-002"]


def test_deleted_records_are_hidden_and_can_be_brought_back(manager, cohort):
    manager("record", action="delete", records=["MTP-001"])

    for form in all_forms():
        form.objects.update(deleted_at=None)

    assert ids(manager) == ["MTP-001", "MTP-002", "NIM-001"]


def test_unknown_records_are_named_and_nothing_is_deleted(manager, cohort):
    """Row 40."""
    answer = manager("record", action="delete", records=["MTP-001", "1", "MTP-777"], format="csv")

    assert (answer.status, answer.text) == (400, f"ERROR: {UNKNOWN}1, MTP-777")
    assert len(ids(manager)) == 3


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.MONITOR])
def test_who_may_not_delete_is_told_so(redcap, cohort, role):
    """Row 40."""
    answer = redcap(role, site="MTP")("record", action="delete", records=["MTP-001"], format="csv")

    assert (answer.status, answer.text) == (403, "ERROR: You do not have Delete Record privileges")


def test_a_record_of_another_site_does_not_exist(redcap, manager, cohort):
    coordinator = redcap(Role.COORDINATOR, site="MTP")

    assert coordinator("record", action="delete", records=["NIM-001"], format="json").error == (
        400,
        f"{UNKNOWN}NIM-001",
    )
    assert len(ids(manager)) == 3


@pytest.mark.parametrize("records", ["MTP-001", "", []])
def test_records_to_delete_come_as_an_array_only(manager, cohort, records):
    assert manager("record", action="delete", records=records, format="json").status == 400
    assert len(ids(manager)) == 3


def test_one_instance_is_deleted(manager, cohort):
    """Row 41."""
    asked = {"action": "delete", "instrument": "dosing", "records": ["MTP-001", "MTP-002"]}

    second = manager("record", repeat_instance="2", **asked)
    none = manager("record", repeat_instance="2", **asked)

    assert (second.text, none.text) == ("1", "0")
    assert doses(manager) == [("MTP-001", 1), ("NIM-001", 1)]
    assert manager("record", **asked).text == "1"
    assert doses(manager) == [("NIM-001", 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"repeat_instance": "1"},
        {"instrument": "nope"},
        {"instrument": "patient"},
        {"instrument": "dosing", "repeat_instance": "0"},
        {"instrument": "dosing", "repeat_instance": "32768"},
        {"instrument": "dosing", "repeat_instance": "x"},
    ],
)
def test_a_delete_that_is_not_clear_is_refused(manager, cohort, fields):
    answer = manager("record", action="delete", records=["MTP-001"], format="json", **fields)

    assert answer.status == 400
    assert len(ids(manager)) == 3


def test_a_locked_record_is_not_deleted(manager, cohort):
    locked("MTP-001", form=forms_by_name()["dosing"], instance=1, by=manager.by)

    answer = manager("record", action="delete", records=["MTP-001", "MTP-002"], format="json")

    assert answer.error == (400, 'The record "MTP-001" is locked.')
    assert len(ids(manager)) == 3


def test_a_record_is_renamed_with_all_its_forms(manager, cohort):
    """Row 42."""
    answer = manager("record", action="rename", record="MTP-001", new_record_name="mtp-0100", arm="1")

    assert (answer.status, answer.text) == (200, "1")
    assert ids(manager) == ["MTP-002", "MTP-0100", "NIM-001"]
    assert doses(manager) == [("MTP-0100", 1), ("MTP-0100", 2), ("NIM-001", 1)]
    assert manager("generateNextRecordName", dag="mtp").text == "MTP-101"


@pytest.mark.parametrize(
    ("record", "new", "words"),
    [
        ("MTP-009", "MTP-010", 'The record "MTP-009" does not exist'),
        ("1", "MTP-010", 'The record "1" does not exist'),
        ("MTP-001", "MTP-002", "There is a patient with this identifier already. Give a free one."),
        ("MTP-001", "MTP-0002", "There is a patient with this identifier already. Give a free one."),
        ("MTP-001", "NIM-009", "The new identifier is not of the form MTP-001."),
        ("MTP-001", "9", "The new identifier is not of the form MTP-001."),
        ("MTP-001", "", "The parameter 'new_record_name' is missing"),
        ("", "MTP-009", "The parameter 'record' is missing"),
    ],
)
def test_a_rename_that_cannot_be_is_refused(manager, cohort, record, new, words):
    answer = manager("record", action="rename", record=record, new_record_name=new, format="json")

    assert answer.error == (400, words)
    assert ids(manager) == ["MTP-001", "MTP-002", "NIM-001"]


def test_who_may_rename(redcap, cohort):
    asked = {"action": "rename", "format": "json", "new_record_name": "NIM-005"}

    reader = redcap(Role.INVESTIGATOR, site="NIM")("record", record="NIM-001", **asked)
    other = redcap(Role.COORDINATOR, site="MTP")("record", record="NIM-001", **asked)

    assert reader.error == (403, "You do not have Rename Record privileges")
    assert other.error == (400, 'The record "NIM-001" does not exist')


def test_a_locked_record_keeps_its_name(manager, cohort):
    locked("MTP-001", form=forms_by_name()["dosing"], by=manager.by)

    answer = manager("record", action="rename", record="MTP-001", new_record_name="MTP-009", format="json")

    assert answer.error == (400, 'The record "MTP-001" is locked.')


@pytest.mark.parametrize("form", ["csv", ""])
def test_the_next_identifier_at_the_site_of_the_token(redcap, cohort, form):
    """Row 43."""
    for site, expected in (("MTP", "MTP-003"), ("STR", "STR-001")):
        answer = redcap(Role.COORDINATOR, site=site)("generateNextRecordName", format=form)
        assert (answer.status, answer.text) == (200, expected)


def test_who_enters_at_several_sites_names_one(manager, cohort):
    assert manager("generateNextRecordName", dag="nim").text == "NIM-002"
    assert manager("generateNextRecordName", format="json").status == 400
    assert manager("generateNextRecordName", dag="xyz", format="json").status == 400


def test_a_deleted_record_leaves_its_identifier_taken(manager, redcap, cohort):
    manager("record", action="delete", records=["MTP-002"])

    data = json.dumps([{"record_id": "MTP-002", "sex": "M"}])
    answer = manager("record", format="json", data=data)

    assert redcap(Role.COORDINATOR, site="MTP")("generateNextRecordName").text == "MTP-003"
    assert "There is a patient with this identifier already" in answer.error[1]
