"""The audit trail over REST."""

import csv
import io

import pytest

from registry.rights import Role
from tests.crf.examples import saved
from tests.registry.test_audit import change

URL = "/api/v1/audit/"


@pytest.fixture
def changed(patient, coordinator):
    """A dose of a patient of MTP that was changed once."""
    dose = saved("dosing", by=coordinator, record_id=patient.record_id)
    return change(dose, {"dose_mg": 7}, by=coordinator, reason="=1+1")


@pytest.fixture
def reader(api):
    return api(Role.MONITOR)


def test_a_change_is_told_with_both_values(changed, reader, coordinator):
    first = reader.get(f"{URL}?form=dosing").json()["results"][0]

    assert first | {"at": None, "request": None} == {
        "at": None,
        "action": "changed",
        "form": "dosing",
        "record_id": changed.record_id,
        "instance": 1,
        "site": "MTP",
        "user": coordinator.username,
        "token": None,
        "door": "rest",
        "reason": "=1+1",
        "request": None,
        "import": None,
        "changes": {"dose_mg": {"from": 5, "to": 7}},
        "details": {},
    }


def test_pages_lead_through_the_whole_trail(changed, reader):
    address, seen = f"{URL}?limit=2", []
    while address:
        page = reader.get(address).json()
        seen += page["results"]
        address = page["next"]

    assert [record["action"] for record in seen if record["form"] in ("patient", "dosing")] == [
        "changed",
        "created",
        "created",
    ]


def test_the_csv_has_a_line_for_each_changed_variable_and_no_formula(changed, reader):
    text = b"".join(reader.get(f"{URL}?format=csv&variable=dose_mg").streaming_content).decode()

    latest, first = [row for row in csv.DictReader(io.StringIO(text)) if row["variable"] == "dose_mg"]

    assert (latest["from"], latest["to"], latest["reason"]) == ("5.0", "7.0", "'=1+1")
    assert (first["from"], first["to"]) == ("", "5.0")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("form=nothing", "unknown_code"),
        ("format=xml", "unknown_code"),
        ("since=yesterday", "not_a_time"),
        ("until=2024-03-12T09:30:00", "not_a_time"),
        ("limit=0", "out_of_range"),
        ("limit=1001", "out_of_range"),
        ("cursor=x", "invalid"),
        ("cursor=WzEsMiwzXQ==", "invalid"),
        ("user=%00", "unprintable"),
        ("ordering=user", "unknown_parameter"),
    ],
)
def test_what_cannot_be_asked_is_refused(reader, query, code):
    response = reader.get(f"{URL}?{query}")

    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, code)


def test_the_trail_of_people_is_for_those_who_manage_them(api):
    assert api(Role.DATA_MANAGER, site=None).get(f"{URL}?form=membership").status_code == 200
    assert api(Role.COORDINATOR).get(f"{URL}?form=membership").status_code == 400


def test_who_has_no_role_gets_nothing(api):
    assert api(None).get(URL).status_code == 403
