"""Many entries in one call (negative test 13)."""

import pytest
from django.db import connection
from django.utils import timezone

from crf.api import bulk
from crf.forms import all_forms, forms_by_name
from crf.locks import Target, lock
from crf.reading import read_json
from registry import database
from registry.acting import Door, acting
from registry.callers import create_token
from registry.models import IdempotentAnswer
from registry.rights import Role
from tests.conftest import Api, caller_now, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import COMPLETE, REPEATING, body, saved
from tests.registry.test_api import codes, problem

ENTRIES = "/api/v1/entries/"


@pytest.fixture
def client(api):
    """A coordinator of MTP."""
    return api(username="typist")


def item(form="lesion_assessment", record_id="MTP-001", changes=None, **beside):
    """Return one entry of a call: the smallest complete one."""
    return {"form": form, "record_id": record_id, "values": {**COMPLETE[form], **(changes or {})}, **beside}


def send(client, *items, **beside):
    return client.send("POST", ENTRIES, {"entries": list(items), **beside})


def rows():
    """Return how many rows each form has, and its history."""
    with connection.cursor() as cursor:
        found = []
        for form in all_forms():
            for table in (form._meta.db_table, f"{form._meta.db_table}history"):
                cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 -- from the declaration
                found.append(cursor.fetchone()[0])
    return found


NOTHING = [0] * 10
BAD = {"clasi_activity": 71}


def test_a_patient_with_every_form_comes_in_one_call_and_the_answer_is_in_order(client):
    items = [item(form) for form in [*REPEATING, "patient"]]

    response = send(client, *items)

    assert response.status_code == 201
    answer = response.json()
    assert (answer["saved"], answer["refused"]) == (5, 0)
    assert [
        (found["form"], found["record_id"], found["instance"], found["status"], found["version"])
        for found in answer["results"]
    ] == [(form, "MTP-001", 1, "complete", 1) for form in [*REPEATING, "patient"]]
    assert client.get("/api/v1/patients/MTP-001/dosing/1/").json()["dose_mg"] == 5


def test_a_bad_entry_refuses_all_and_is_named_by_its_place(client, patient):
    before = rows()

    response = send(client, item(), item(changes=BAD), item(), item(changes=BAD, record_id="MTP-002"))

    assert response.status_code == 400
    assert [
        (error["index"], error["form"], error["record_id"], error["field"], error["code"])
        for error in problem(response)["errors"]
    ] == [
        (1, "lesion_assessment", "MTP-001", "clasi_activity", "out_of_range"),
        (3, "lesion_assessment", "MTP-002", "record_id", "patient_not_found"),
    ]
    assert rows() == before


def test_without_atomic_the_good_are_saved_and_the_bad_reported_in_their_place(client, patient):
    response = send(client, item(), item(changes=BAD), {"form": "x"}, item(), atomic=False)

    assert response.status_code == 200
    answer = response.json()
    assert (answer["saved"], answer["refused"]) == (2, 2)
    first, second, third, fourth = answer["results"]
    assert (first["instance"], fourth["instance"]) == (1, 2)
    assert [error["code"] for error in second["errors"]] == ["out_of_range"]
    assert [(error["field"], error["code"]) for error in third["errors"]] == [("form", "unknown_code")]


TEXTS = [
    'He said "no"',
    "C:\\path\\n",
    "two\nlines\tand a tab",
    "null",
    "{}",
    "[1, 2]",
    "=1+1",
    "été 🌞 日本",
    "%s %% $1",
    "a b ½",
]


def test_an_entry_among_many_is_saved_like_one_alone(client, patient):
    """Many go to the database column by column; each value must come to its row as it was sent."""
    given = [
        item("adverse_event", changes={"ae_notes": text, "ae_serious": True, "ae_serious_criteria": criteria})
        for text, criteria in zip(TEXTS, [["death"], ["hospitalisation", "medically_important"]] * 5, strict=True)
    ]
    given += [
        item("dosing", changes={"dose_mg": 7.5, "dose_start": "2010-01-01", "dose_end": "2010-02-01"}),
        item("dosing", changes={"dose_mg": 10, "dose_start": "2011-01-01", "dose_end": "2011-02-01"}),
        item("adverse_event", changes={"ae_end": None, "ae_notes": None}, missing={"ae_end": "UNK"}),
        item(status="incomplete"),
        item(),
    ]

    many = send(client, *given, atomic=False)
    alone = [
        client.send("POST", f"/api/v1/patients/{other}/{one['form']}/", {**one["values"], **beside_of(one)})
        for other in [client.send("POST", "/api/v1/patients/", body(of="patient")).json()["record_id"]]
        for one in given
    ]

    assert [found.get("errors") for found in many.json()["results"]] == [None] * len(given)
    assert [response.status_code for response in alone] == [201] * len(given)
    assert [without_place(found) for found in entries_of("MTP-001", client)] == [
        without_place(response.json()) for response in sorted(alone, key=place_of)
    ]


def beside_of(one):
    return {name: one[name] for name in ("status", "missing") if name in one}


def place_of(response):
    return response.json()["form"], response.json()["instance"]


def entries_of(record_id, client):
    found = [row for form in REPEATING for row in client.get(f"/api/v1/patients/{record_id}/{form}/").json()["results"]]
    return sorted(found, key=lambda row: (row["form"], row["instance"]))


def without_place(entry):
    return {name: value for name, value in entry.items() if name not in ("record_id", "updated_at", "warnings")}


def at_work():
    """Return whether the database was asked for something whose answer nobody has taken yet."""
    return bool(database._kept.messenger.under_way)


@pytest.mark.parametrize(("forms", "meanwhile"), [(["dosing", "adverse_event"], True), (["dosing", "patient"], False)])
def test_patients_are_looked_for_while_the_entries_are_read_unless_some_are_new(
    forms, meanwhile, client, patient, monkeypatch
):
    """New patients are numbered before others are held, at every door alike, or two calls could wait in a circle."""
    seen = []
    monkeypatch.setattr(bulk, "read_json", lambda *given, **named: seen.append(at_work()) or read_json(*given, **named))

    response = send(client, *[item(form, None if form == "patient" else "MTP-001") for form in forms])

    assert (response.status_code, seen) == (201, [meanwhile] * len(forms))


def test_patients_named_for_no_form_are_not_looked_for(client, patient, monkeypatch):
    asked = []
    monkeypatch.setattr("crf.entry.lookup_for", lambda names, **_rest: asked.append(set(names)))

    send(client, item(), item(record_id="MTP-002") | {"form": "nonsense"}, atomic=False)

    assert asked == [{"MTP-001"}]


def test_the_answer_is_written_while_the_database_saves(client, patient, monkeypatch):
    seen = []
    written = bulk._result
    monkeypatch.setattr(bulk, "_result", lambda result: seen.append(at_work()) or written(result))

    response = send(client, item(), item("dosing"))

    assert (response.status_code, seen) == (201, [True, True])


def test_without_atomic_all_may_be_refused(client):
    response = send(client, item(), atomic=False)

    assert (response.status_code, response.json()["saved"], rows()) == (200, 0, NOTHING)


def test_atomic_is_what_a_call_is_unless_it_says_otherwise(client, patient):
    assert send(client, item(changes=BAD)).status_code == 400
    assert send(client, item(changes=BAD), atomic=True).status_code == 400


def test_warnings_come_with_each_result(client, patient):
    response = send(client, item("dosing", changes={"dose_mg": 15}), item())

    first, second = response.json()["results"]
    assert [warning["code"] for warning in first["warnings"]] == ["dose_over_10_mg", "first_dose_not_5_mg"]
    assert second["warnings"] == []


@pytest.mark.parametrize(
    ("call", "field", "code"),
    [
        ({}, "entries", "wrong_type"),
        ({"entries": None}, "entries", "wrong_type"),
        ({"entries": {}}, "entries", "wrong_type"),
        ({"entries": "x"}, "entries", "wrong_type"),
        ({"entries": [], "atomic": "false"}, "atomic", "wrong_type"),
        ({"entries": [], "atomic": None}, "atomic", "wrong_type"),
        ({"entries": [], "atomic": 0}, "atomic", "wrong_type"),
        ({"entries": [], "Atomic": True}, "Atomic", "unknown_field"),
        ({"entries": [], "x" * 1000: True}, "x" * 60, "unknown_field"),
    ],
)
def test_a_call_that_is_not_as_it_should_be_is_refused(call, field, code, client):
    response = client.send("POST", ENTRIES, call)

    assert (response.status_code, codes(response)) == (400, [(field, code)])


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        (None, None, "wrong_type"),
        ("patient", None, "wrong_type"),
        ([], None, "wrong_type"),
        ({}, "form", "unknown_code"),
        ({"form": 5}, "form", "unknown_code"),
        ({"form": ["patient"]}, "form", "unknown_code"),
        ({"form": "Patient"}, "form", "unknown_code"),
        ({"form": "site"}, "form", "unknown_code"),
        ({"form": "\ud800"}, "form", "unknown_code"),
        ({"form": "dosing", "record_id": "MTP-001"}, "values", "wrong_type"),
        (item() | {"values": []}, "values", "wrong_type"),
        (item() | {"values": None}, "values", "wrong_type"),
        (item(version=1), "version", "unknown_field"),
        (item(locked=True), "locked", "unknown_field"),
        (item(instance="1"), "instance", "wrong_type"),
        (item(instance=True), "instance", "wrong_type"),
        (item(instance=1.5), "instance", "wrong_type"),
        (item(instance=0), "instance", "out_of_range"),
        (item(instance=32_768), "instance", "out_of_range"),
        (item(instance=10**40), "instance", "out_of_range"),
        (item(record_id=5), "record_id", "patient_not_found"),
        (item(record_id=["MTP-001"]), "record_id", "patient_not_found"),
        (item(record_id="mtp-001"), "record_id", "patient_not_found"),
        (item(record_id="MTP-001\x00"), "record_id", "patient_not_found"),
        (item(record_id=None), "record_id", "patient_not_found"),
        (item(record_id="MTP-001,MTP-002"), "record_id", "patient_not_found"),
        (item(changes={"record_id": "MTP-001"}), "record_id", "read_only"),
        (item(status="done"), "status", "unknown_code"),
        (item(missing=[]), "missing", "wrong_type"),
        (item("patient", None, site=5), "site", "wrong_type"),
        (item("patient", None, site="NIM"), "site", "unknown_site"),
        (item("patient", 5), "record_id", "record_id_of_site"),
        (item("patient", "MTP-007", {"record_id": "MTP-008"}), "record_id", "read_only"),
        (item("patient", "MTP-007", instance=2), "instance", "out_of_range"),
    ],
)
@pytest.mark.parametrize("atomic", [True, False])
def test_an_entry_that_is_not_as_it_should_be_is_refused_in_its_place(wrong, field, code, atomic, client, patient):
    before = rows()

    response = send(client, wrong, atomic=atomic)

    errors = problem(response)["errors"] if atomic else response.json()["results"][0]["errors"]
    assert (field, code) in [(error["field"], error["code"]) for error in errors]
    assert response.status_code == (400 if atomic else 200)
    assert rows() == before


def test_row_37_of_100_of_another_site_refuses_all(client, patient, data_manager):
    saved("patient", by=data_manager, site="NIM")
    before = rows()
    items = [item() for _number in range(100)]
    items[36] = item(record_id="NIM-001")

    response = send(client, *items)

    (error,) = problem(response)["errors"]
    assert (response.status_code, error["index"], error["code"]) == (400, 36, "patient_not_found")
    assert rows() == before


def test_row_37_of_100_of_another_site_is_reported_alone_without_atomic(client, patient, data_manager):
    saved("patient", by=data_manager, site="NIM")
    items = [item() for _number in range(100)]
    items[36] = item(record_id="NIM-001")

    answer = send(client, *items, atomic=False).json()

    assert (answer["saved"], answer["refused"]) == (99, 1)
    assert [index for index, found in enumerate(answer["results"]) if "errors" in found] == [36]


def test_a_site_beside_an_entry_is_that_of_the_patient(client, patient):
    response = send(client, item(site="NIM"))

    assert (response.status_code, codes(response)) == (400, [("site", "record_id_of_site")])
    assert send(client, item(site="MTP")).status_code == 201


def test_what_exists_already_is_a_409_and_mixed_with_other_problems_a_400(client, patient):
    taken = item("patient")

    assert send(client, taken).status_code == 409
    assert send(client, taken, item(changes=BAD)).status_code == 400


def test_a_call_has_as_many_entries_as_the_limit_and_no_more(client, patient, settings):
    settings.MAX_BULK_ENTRIES = 3

    response = send(client, *[item()] * 4)
    assert (response.status_code, problem(response)["code"]) == (413, "too_many")
    assert send(client, *[item()] * 3).status_code == 201


def test_a_repeat_of_a_bulk_call_duplicates_nothing(client, patient):
    calls = [client.send("POST", ENTRIES, {"entries": [item(), item()]}, Idempotency_Key="key-1") for _time in range(2)]

    assert [call.status_code for call in calls] == [201, 201]
    assert calls[0].content == calls[1].content
    assert len(client.get("/api/v1/forms/lesion_assessment/").json()["results"]) == 2


def test_a_bulk_call_that_reports_refusals_is_kept_as_well(client, patient):
    call = {"entries": [item(), item(changes=BAD)], "atomic": False}

    answers = [client.send("POST", ENTRIES, call, Idempotency_Key="key-1").content for _time in range(2)]

    assert answers[0] == answers[1]
    assert IdempotentAnswer.objects.count() == 1
    assert len(client.get("/api/v1/forms/lesion_assessment/").json()["results"]) == 1


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.MONITOR])
def test_who_only_reads_enters_nothing_in_bulk(role, api, patient):
    reader = api(role, username="reader")
    before = rows()

    for atomic in (True, False):
        response = send(reader, item(), item("patient", None, site="MTP"), atomic=atomic)
        assert (response.status_code, problem(response)["code"]) == (403, "not_allowed")
    assert rows() == before


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_bulk_calls_for_the_same_patients_in_opposite_orders_both_end(sites):
    token, _row = create_token(make_person(Role.COORDINATOR, site="MTP"))
    client = Api(token)
    send(client, *[item("patient", f"MTP-{number:03d}") for number in range(1, 21)])
    forwards = [item(record_id=f"MTP-{number:03d}") for number in range(1, 21)]

    for _time in range(3):
        found = at_once(lambda: send(Api(token), *forwards), lambda: send(Api(token), *reversed(forwards)))
        assert [response.status_code for response in found] == [201, 201]
    assert {
        row["instance"] for row in client.get("/api/v1/forms/lesion_assessment/?limit=1000").json()["results"]
    } == set(range(1, 7))


def test_entries_of_a_patient_that_was_refused_are_not_put_to_another_one_of_the_same_name(client):
    send(client, {"form": "patient", "record_id": "MTP-001", "values": COMPLETE["patient"]})
    before = rows()

    response = send(
        client, {"form": "patient", "record_id": "MTP-001", "values": COMPLETE["patient"]}, item(), atomic=False
    )

    found = [[error["code"] for error in result["errors"]] for result in response.json()["results"]]
    assert found == [["record_exists"], ["patient_not_found"]]
    assert rows() == before


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_bulk_calls_that_enrol_the_same_patients_in_opposite_orders_both_end(sites):
    token, _row = create_token(make_person(Role.COORDINATOR, site="MTP"))

    for start in (1000, 2000, 3000):
        forwards = [item("patient", f"MTP-{number}") for number in range(start, start + 250)]
        found = at_once(
            lambda patients=forwards: send(Api(token), *patients, atomic=False),
            lambda patients=forwards[::-1]: send(Api(token), *patients, atomic=False),
        )
        assert [response.status_code for response in found] == [200, 200]
        assert sum(response.json()["saved"] for response in found) == 250


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_the_database_refuses_in_one_call_does_not_come_back_in_the_next_on_its_connection(sites):
    client = Api(create_token(make_person(Role.COORDINATOR, site="MTP"))[0])
    by = caller_now(make_person(Role.DATA_MANAGER, site="MTP"))
    send(client, item("patient", "MTP-001"), item("patient", "MTP-002"))
    with acting(by, door=Door.COMMAND):
        lock(Target(record_id="MTP-001", form=forms_by_name()["dosing"]), by=by, reason="done", now=timezone.now())
    connection.close()  # nothing is prepared on the next

    mixed = send(client, item("dosing"), item("adverse_event"), atomic=False)
    alone = client.send("POST", "/api/v1/patients/MTP-002/adverse_event/", body(of="adverse_event"))

    assert (mixed.status_code, mixed.json()["saved"], mixed.json()["refused"]) == (200, 1, 1)
    assert alone.status_code == 201
