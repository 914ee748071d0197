"""Locks over REST."""

import pytest

from crf.models.lock import Lock
from registry.rights import Role
from tests.crf.examples import body, saved
from tests.registry.test_api import codes, problem

LOCKS = "/api/v1/locks/"
DOSING = "/api/v1/patients/MTP-001/dosing/"
PLACES = {
    "site": {"site": "MTP"},
    "patient": {"record_id": "MTP-001"},
    "form": {"record_id": "MTP-001", "form": "dosing"},
    "instance": {"record_id": "MTP-001", "form": "dosing", "instance": 1},
}


@pytest.fixture
def dose(coordinator, patient):
    """The dosing period of MTP-001."""
    return saved("dosing", by=coordinator, record_id="MTP-001")


@pytest.fixture
def client(api):
    """A data manager of MTP."""
    return api(Role.DATA_MANAGER, username="manager")


@pytest.mark.parametrize("place", PLACES)
def test_a_lock_answers_409_until_it_is_lifted(place, client, dose):
    locked = client.send("POST", LOCKS, {**PLACES[place], "reason": "cleaned"})
    assert locked.status_code == 201
    assert client.get(locked["Location"]).json() == locked.json()

    def write():
        return [
            client.send("PATCH", f"{DOSING}1/", {"dose_mg": 10}, If_Match='"1"', X_Change_Reason="source"),
            client.send("POST", DOSING, body({"dose_start": "2019-01-01", "dose_end": "2019-01-02"}, of="dosing")),
            client.send(
                "POST",
                "/api/v1/entries/",
                {
                    "entries": [
                        {
                            "form": "dosing",
                            "record_id": "MTP-001",
                            "values": {"dose_start": "2018-01-01", "dose_end": "2018-01-02"},
                        }
                    ]
                },
            ),
        ]

    refused = write()[: 1 if place == "instance" else 3]
    assert {(response.status_code, problem(response)["code"]) for response in refused} == {(409, "locked")}
    assert client.get(f"{DOSING}1/").json()["locked"] is True

    lifted = client.send("POST", f"{locked['Location']}unlock/", {"reason": "a value is wrong"})
    assert (lifted.status_code, lifted.json()["state"], lifted.json()["unlocked_by"]) == (200, "lifted", "manager")
    assert client.get(f"{DOSING}1/").json()["locked"] is False
    if place != "instance":
        assert [response.status_code for response in write()] == [200, 201, 201]


def test_the_list_is_filtered(client, dose):
    for place in PLACES.values():
        client.send("POST", LOCKS, {**place, "reason": "cleaned"})
    client.send("POST", f"{LOCKS}{Lock.objects.first().pk}/unlock/", {"reason": "late data"})

    def number(parameters):
        return len(client.get(f"{LOCKS}?{parameters}").json()["results"])

    assert [number(f"state={state}") for state in ("in_force", "lifted")] == [3, 1]
    assert [number(text) for text in ("site=MTP", "record_id=MTP-001", "form=dosing", "site=NIM")] == [4, 3, 2, 0]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, ("record_id", "required")),
        ({"site": "MTP", "form": "dosing"}, ("record_id", "required")),
        ({"record_id": "MTP-001", "instance": 1}, ("form", "required")),
        ({"record_id": "MTP-001", "reason": None}, ("reason", "wrong_type")),
        ({"record_id": "MTP-001", "form": "doses"}, ("form", "unknown_code")),
        ({"place": "MTP"}, ("place", "unknown_field")),
    ],
)
def test_a_place_that_cannot_be_read_is_a_400(asked, error, client, dose):
    assert codes(client.send("POST", LOCKS, {"reason": "cleaned", **asked})) == [error]


def test_a_place_is_locked_and_unlocked_once(client, dose):
    locked = client.send("POST", LOCKS, {**PLACES["form"], "reason": "cleaned"})
    again = client.send("POST", LOCKS, {**PLACES["form"], "reason": "cleaned"})
    assert (again.status_code, problem(again)["code"]) == (409, "already_locked")

    unlock = f"{locked['Location']}unlock/"
    client.send("POST", unlock, {"reason": "late data"})
    again = client.send("POST", unlock, {"reason": "late data"})
    assert (again.status_code, problem(again)["code"]) == (409, "already_unlocked")


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR])
def test_others_see_locks_and_place_none(role, api, client, dose):
    locked = client.send("POST", LOCKS, {**PLACES["patient"], "reason": "cleaned"})
    other = api(role, username="somebody")

    assert other.get(locked["Location"]).json() == locked.json()
    for refused in (
        other.send("POST", LOCKS, {**PLACES["form"], "reason": "x"}),
        other.send("POST", f"{locked['Location']}unlock/", {"reason": "x"}),
    ):
        assert (refused.status_code, problem(refused)["code"]) == (403, "not_allowed")


def test_locks_of_another_site_are_not_there(api, client, dose):
    locked = client.send("POST", LOCKS, {**PLACES["patient"], "reason": "cleaned"})
    other = api(Role.DATA_MANAGER, site="NIM", username="somebody")

    assert other.get(LOCKS).json()["results"] == []
    assert other.get(locked["Location"]).status_code == 404
    assert other.send("POST", f"{locked['Location']}unlock/", {"reason": "x"}).status_code == 404
    for place in PLACES.values():
        assert other.send("POST", LOCKS, {**place, "reason": "x"}).status_code == 404


def test_a_repeat_with_the_same_key_places_one_lock(client, dose):
    asked = {**PLACES["patient"], "reason": "cleaned"}

    first, again = [client.send("POST", LOCKS, asked, Idempotency_Key="k1") for _time in range(2)]

    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert Lock.objects.count() == 1
