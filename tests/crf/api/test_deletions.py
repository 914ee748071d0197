"""Deleted entries over REST."""

import pytest

from registry.audit import Trail, read_trail
from registry.rights import Role
from tests.crf.examples import REPEATING, body, saved
from tests.registry.test_api import codes, problem

PATIENT = "/api/v1/patients/MTP-001/"
DOSING = f"{PATIENT}dosing/1/"
DELETED = "/api/v1/deleted/"


@pytest.fixture
def client(api, coordinator, patient):
    """A coordinator of MTP with a patient who has an entry of each form."""
    for name in REPEATING:
        saved(name, by=coordinator, record_id="MTP-001")
    return api(username="typist")


def delete(client, address=PATIENT, *, version=1):
    assert client.send("DELETE", address, If_Match=f'"{version}"', X_Change_Reason="twice").status_code == 204


def restore(client, address=PATIENT, body=b"", *, version=2, **headers):
    headers = {"If_Match": f'"{version}"', "X_Change_Reason": "was right", **headers}
    return client.send("POST", f"{address}restore/", body, **headers)


@pytest.mark.parametrize("address", [PATIENT, DOSING])
@pytest.mark.parametrize("sent", [b"", {}])
def test_what_is_brought_back_is_answered_and_there_again(address, sent, client):
    delete(client, address)
    assert client.get(address).status_code == 404

    restored = restore(client, address, sent)

    assert (restored.status_code, restored["ETag"], restored.json()["version"]) == (200, '"3"', 3)
    assert restored.json() == client.get(address).json()


def test_every_address_of_a_deleted_patient_is_a_404_until_the_patient_is_back(client):
    addresses = [PATIENT, *[f"{PATIENT}{name}/" for name in REPEATING], *[f"{PATIENT}{name}/1/" for name in REPEATING]]
    delete(client)
    assert {client.get(address).status_code for address in addresses} == {404}
    assert client.send("POST", f"{PATIENT}adverse_event/", body(of="adverse_event")).status_code == 404

    restore(client)

    assert {client.get(address).status_code for address in addresses} == {200}


def test_the_list_says_who_when_and_why_and_no_value(client):
    delete(client, DOSING)

    (found,) = client.get(DELETED).json()["results"]

    assert found.pop("deleted_at")
    assert found == {
        "form": "dosing",
        "record_id": "MTP-001",
        "instance": 1,
        "site": "MTP",
        "version": 2,
        "locked": False,
        "with_patient": False,
        "deleted_by": "typist",
        "door": "rest",
        "reason": "twice",
    }


def test_the_list_comes_in_pages_and_is_narrowed(client):
    delete(client)

    found, address = [], f"{DELETED}?limit=2"
    while address:
        page = client.get(address).json()
        found += [entry["form"] for entry in page["results"]]
        address = page["next"]

    assert sorted(found) == sorted(["patient", *REPEATING])
    assert len(client.get(f"{DELETED}?form=dosing").json()["results"]) == 1
    assert len(client.get(f"{DELETED}?record_id=MTP-001&site=MTP").json()["results"]) == 5
    assert client.get(f"{DELETED}?site=NIM").json()["results"] == []


@pytest.mark.parametrize(
    "parameter", ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=W10=", "form=x", "site=%00", "sex=M"]
)
def test_the_list_refuses_what_it_does_not_know(parameter, client):
    assert client.get(f"{DELETED}?{parameter}").status_code == 400


@pytest.mark.parametrize("how_many", [1, 3])
def test_the_queries_of_the_list_do_not_grow_with_its_entries(how_many, client, django_assert_num_queries):
    for name in REPEATING[:how_many]:
        delete(client, f"{PATIENT}{name}/1/")

    with django_assert_num_queries(3):
        assert len(client.get(DELETED).json()["results"]) == how_many


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"If_Match": ""}, 428, "version_needed"),
        ({"If_Match": '"1"'}, 412, "stale"),
        ({"If_Match": 'W/"2"'}, 412, "stale"),
        ({"X_Change_Reason": ""}, 400, "reason_needed"),
    ],
)
def test_version_and_reason_are_needed(headers, status, code, client):
    delete(client)

    response = restore(client, **headers)

    assert (response.status_code, problem(response)["code"]) == (status, code)
    assert client.get(PATIENT).status_code == 404


def test_the_deletion_and_its_undoing_can_be_repeated_with_a_key(client):
    delete(client, DOSING)

    first, again = (restore(client, DOSING, Idempotency_Key="undo-1") for _time in range(2))
    without = restore(client, DOSING)

    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.json(), again["Idempotency-Replayed"]) == (first.json(), "true")
    assert (without.status_code, problem(without)["code"]) == (409, "not_deleted")
    assert client.get(DOSING)["ETag"] == '"3"'


def test_an_entry_of_a_deleted_patient_is_a_409(client):
    delete(client)

    response = restore(client, DOSING)

    assert (response.status_code, problem(response)["code"]) == (409, "patient_deleted")


def test_a_period_that_overlaps_by_now_is_refused_with_its_code(client):
    delete(client, DOSING)
    client.send("POST", f"{PATIENT}dosing/", body(of="dosing"))

    response = restore(client, DOSING)

    assert response.status_code == 400
    assert [code for _field, code in codes(response)] == ["overlapping_period"]
    assert client.get(DOSING).status_code == 404


def test_under_a_lock_it_is_a_409(client, api):
    delete(client)
    api(Role.DATA_MANAGER).send("POST", "/api/v1/locks/", {"site": "MTP", "reason": "cleaned"})

    response = restore(client)

    assert (response.status_code, problem(response)["code"]) == (409, "locked")


def test_members_of_the_body_are_refused(client):
    delete(client)

    assert codes(restore(client, PATIENT, {"sex": "F"})) == [("sex", "unknown_field")]


def test_another_site_sees_and_undoes_nothing(client, api):
    delete(client)
    elsewhere = api(site="NIM")

    assert elsewhere.get(DELETED).json()["results"] == []
    assert restore(elsewhere).status_code == 404


@pytest.mark.parametrize(
    "call",
    {
        "patch": lambda client: client.send("PATCH", PATIENT, {}, If_Match='"1"'),
        "stale": lambda client: client.send("PATCH", PATIENT, {}, If_Match='"7"'),
        "restore": lambda client: (delete(client), restore(client)),
    }.items(),
    ids=lambda call: call[0],
)
def test_whoever_is_shown_a_patient_in_an_answer_leaves_a_trace(call, client, coordinator):
    call[1](client)

    (trace,) = read_trail(Trail(form="access"), by=coordinator)
    assert (trace.action, trace.record_id, trace.actor["username"]) == ("read_identifiers", "MTP-001", "typist")
