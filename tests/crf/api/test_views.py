"""Entries over REST: created, read, changed, deleted."""

# ruff: noqa: RUF001 -- digits and signs of other scripts are what is tested

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pytest
from django.conf import settings

from crf.forms import all_forms, forms_by_name
from registry.callers import create_token
from registry.rights import Role
from tests.conftest import Api, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import COMPLETE, REPEATING, body, cell, saved
from tests.registry.test_api import codes, problem

PATIENTS = "/api/v1/patients/"
PATIENT = f"{PATIENTS}MTP-001/"


def address(form, instance=1):
    """Return the address of an entry of MTP-001."""
    return PATIENT if form == "patient" else f"{PATIENT}{form}/{instance}/"


@pytest.fixture
def client(api):
    """A coordinator of MTP, who has entered the smallest complete entry of every form."""
    client = api(username="typist")
    for form in COMPLETE:
        path = PATIENTS if form == "patient" else f"{PATIENT}{form}/"
        assert client.send("POST", path, body(of=form)).status_code == 201
    return client


def change(client, changes, *, form="patient", version=1, reason="source document"):
    """Send a change of an entry."""
    return client.send("PATCH", address(form), changes, If_Match=f'"{version}"', X_Change_Reason=reason)


# Create and read


@pytest.mark.parametrize("form", COMPLETE)
def test_what_was_posted_is_found_at_its_location_with_its_etag(form, client):
    path = PATIENTS if form == "patient" else f"{PATIENT}{form}/"
    changes = {"dose_start": "2010-01-01", "dose_end": "2010-02-01"} if form == "dosing" else {}

    posted = client.send("POST", path, body(changes, of=form))

    assert posted.status_code == 201
    read = client.get(posted["Location"])
    assert (read.status_code, read["ETag"], read.json()) == (200, posted["ETag"], posted.json())
    assert posted["ETag"] == '"1"'


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_entry_is_saved_in_three_messages_to_the_database(client, assert_round_trips):
    first = client.send("POST", f"{PATIENT}adverse_event/", body(of="adverse_event"), Idempotency_Key="first")

    # Who calls; what is known of the patient; the row, its answer and the end. Django notes a BEGIN and a COMMIT more,
    # and sends neither.
    with assert_round_trips(3 + 2):
        second = client.send("POST", f"{PATIENT}adverse_event/", body(of="adverse_event"), Idempotency_Key="second")

    assert (first.status_code, second.status_code, second.json()["instance"]) == (201, 201, 3)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "key"}])
def test_what_only_the_database_refuses_is_told_like_what_the_checks_refuse(headers, client, count, monkeypatch):
    monkeypatch.setattr("crf.batch._existing", lambda _record_ids: set())  # as if another writer had been faster
    before = count("crf_patient"), count("registry_idempotentanswer")

    response = client.send("POST", PATIENTS, body({"record_id": "MTP-001"}), **headers)

    assert (response.status_code, codes(response)) == (409, [("record_id", "record_exists")])
    assert (count("crf_patient"), count("registry_idempotentanswer")) == before


@pytest.mark.parametrize("form", COMPLETE)
def test_an_entry_has_the_promised_members_and_every_variable(form, client):
    entry = client.get(address(form)).json()

    beside = ["record_id", "site", "form", "instance", "status", "version", "missing", "locked", "updated_at"]
    variables = [name for name in forms_by_name()[form].variables() if name != "record_id"]
    assert list(entry) == [*beside, *variables, "warnings"]
    assert {name: entry[name] for name in beside[:-1]} == {
        "record_id": "MTP-001",
        "site": "MTP",
        "form": form,
        "instance": 1,
        "status": "complete",
        "version": 1,
        "missing": {},
        "locked": False,
    }
    assert datetime.fromisoformat(entry["updated_at"]).utcoffset().total_seconds() == 0
    assert {name: entry[name] for name in variables if entry[name] is not None} == COMPLETE[form]


def test_values_have_the_json_type_of_their_variable(client):
    sent = {
        "cle_subtype": ["other", "dle"],
        "cle_subtype_other": "nodular",
        "diagnosis_date": "2003-01",
        "systemic_lupus": True,
        "race": None,
        "missing": {"race": "NASK"},
    }

    entry = client.send("POST", PATIENTS, body(sent)).json()

    assert {name: entry[name] for name in sent} == {**sent, "cle_subtype": ["dle", "other"]}
    dose = json.loads(client.get(address("dosing")).content, parse_float=str)
    assert dose["dose_mg"] == "5.00"
    assert dose["dose_end"] is None


def test_every_variable_of_every_form_comes_back_as_it_was_sent(client):
    chosen = {
        "patient": {"cle_subtype": ["other"], "sex": "F", "childbearing_potential": True, "neuropathy_history": True},
        "prior_treatment": {"prior_drug": "other"},
        "dosing": {"dose_start": "2010-01-01", "dose_end": "2010-02-01"},
        "lesion_assessment": {"lesion_response": "NE"},
        "adverse_event": {"ae_serious": True, "ae_end": "2021", "ae_start": "2020"},
    }
    hidden = {"prior_neuropathy", "lesion_photo", "record_id"}
    for form in all_forms():
        values = {**COMPLETE[form.form_name()], **chosen[form.form_name()]}
        for name, variable in form.variables().items():
            if name not in values and name not in hidden:
                codes_or_text = {"checkbox": lambda v: [next(iter(v.codes))], "yesno": lambda _v: False}
                kind = variable.field_type
                text = "2012-02-06" if "date" in variable.validation else "7" if variable.validation else "some text"
                number = 7 if variable.excel_kind in ("integer", "decimal") else text
                one = next(iter(variable.codes), None)
                values[name] = codes_or_text[kind](variable) if kind in codes_or_text else one or number
        path = PATIENTS if form.form_name() == "patient" else f"{PATIENT}{form.form_name()}/"

        entry = client.send("POST", path, values)

        assert entry.status_code == 201, entry.content
        assert {name: entry.json()[name] for name in values} == values


def test_warnings_come_with_the_entry(client):
    posted = client.send("POST", f"{PATIENT}adverse_event/", body({"ae_grade": "3"}, of="adverse_event"))

    (warning,) = posted.json()["warnings"]
    assert (warning["field"], warning["code"]) == ("ae_serious", "severe_but_not_serious")
    assert client.get(posted["Location"]).json()["warnings"] == [warning]


def test_a_post_gives_the_next_instance(client):
    found = [client.send("POST", f"{PATIENT}lesion_assessment/", body(of="lesion_assessment")) for _time in range(2)]

    assert [(entry.json()["instance"], entry["Location"]) for entry in found] == [
        (number, f"{PATIENT}lesion_assessment/{number}/") for number in (2, 3)
    ]


def test_a_record_id_or_instance_in_use_is_a_409(client):
    response = client.send("POST", PATIENTS, body(record_id="MTP-001"))

    assert (response.status_code, codes(response)) == (409, [("record_id", "record_exists")])


def test_null_absent_empty_and_blank_are_told_apart(client):
    path = f"{PATIENT}prior_treatment/"

    for value, status in ((None, 201), ("", 400), ("  ", 400), ("x", 201)):
        response = client.send("POST", path, body({"prior_dose": value}, of="prior_treatment"))
        assert response.status_code == status
        if status == 400:
            assert codes(response) == [("prior_dose", "blank")]
    assert client.send("POST", path, body(of="prior_treatment")).json()["prior_dose"] is None
    with_reason = client.send("POST", path, body({"missing": {"prior_dose": "NAV"}}, of="prior_treatment")).json()
    assert (with_reason["prior_dose"], with_reason["missing"]) == (None, {"prior_dose": "NAV"})


def test_every_problem_of_an_entry_says_whose_and_which_it_is(client):
    response = client.send("POST", f"{PATIENT}dosing/", body({"dose_mg": 26, "antithrombotic": "x"}, of="dosing"))

    assert response.status_code == 400
    found = problem(response)["errors"]
    assert [(error["form"], error["record_id"], error["field"]) for error in found] == [
        ("dosing", "MTP-001", "dose_mg"),
        ("dosing", "MTP-001", "antithrombotic"),
        ("dosing", "MTP-001", "dose_start"),
    ]


# Change


@pytest.mark.parametrize("form", COMPLETE)
def test_a_patch_sets_what_is_there_clears_what_is_null_and_keeps_what_is_absent(form, client):
    before = client.get(address(form)).json()
    variable = next(
        name
        for name, kind in forms_by_name()[form].variables().items()
        if kind.field_type == "notes" or name in ("prior_dose", "dose_end")
    )
    value = "2020-02-02" if variable == "dose_end" else "some text"

    changed = change(client, {variable: value}, form=form)
    cleared = change(client, {variable: None}, form=form, version=2)

    assert (changed.status_code, changed["ETag"], changed.json()[variable]) == (200, '"2"', value)
    assert (cleared.status_code, cleared["ETag"]) == (200, '"3"')
    moved = {"version", "updated_at", "warnings"}
    assert {k: v for k, v in cleared.json().items() if k not in moved} == {
        k: v for k, v in before.items() if k not in moved
    }
    assert client.get(address(form)).json() == cleared.json()


def test_a_patch_that_changes_nothing_answers_with_what_is_there(client):
    for nothing in ({}, {"sex": "M"}):
        response = client.send("PATCH", PATIENT, nothing, If_Match='"1"')
        assert (response.status_code, response["ETag"]) == (200, '"1"')


def test_a_change_of_a_complete_form_needs_a_reason(client):
    refused = client.send("PATCH", PATIENT, {"sex": "F"}, If_Match='"1"')
    assert (refused.status_code, codes(refused)) == (400, [("X-Change-Reason", "reason_needed")])
    assert client.get(PATIENT)["ETag"] == '"1"'

    assert change(client, {"sex": "F"}).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("tag", "answer"),
    [
        *[(tag, (428, "version_needed")) for tag in (None, "", " ", "*")],
        *[(tag, (400, "invalid")) for tag in ("1", "*x", '"1', '"1"; "2"', '"1", "2"', 'w/"1"', '"a b"')],
        *[(tag, (412, "stale")) for tag in ('W/"1"', '""', '"x"', '"-1"', '"1.0"', '"01"', f'"{"9" * 5_000}"', '"١"')],
    ],
)
def test_without_the_version_that_is_saved_nothing_is_changed(method, tag, answer, client):
    headers = {} if tag is None else {"If_Match": tag.encode().decode("latin-1")}

    response = client.send(method, PATIENT, {"sex": "F"}, X_Change_Reason="correction", **headers)

    assert (response.status_code, problem(response)["code"]) == answer
    assert client.get(PATIENT)["ETag"] == '"1"'


def test_a_stale_change_is_a_412_with_both_values(client):
    change(client, {"sex": "F", "race": "WHITE"})

    response = change(client, {"sex": "U", "race": "WHITE", "diagnosis_date": "2003", "smoking_status": None})

    assert (response.status_code, response["ETag"]) == (412, '"2"')
    found = problem(response)
    assert found["code"] == "stale"
    assert found["conflicts"] == [
        {"field": "sex", "yours": "U", "current": "F"},
        {"field": "diagnosis_date", "yours": "2003", "current": None},
    ]
    current = client.get(PATIENT).json()
    current.pop("warnings")
    assert found["current"] == current


def test_a_412_tells_status_and_missing_value_reasons_that_differ(client):
    change(client, {"status": "unverified", "missing": {"race": "UNK", "smoking_status": "NAV"}})

    sent = {"status": "incomplete", "missing": {"race": "NASK", "smoking_status": "NAV", "diagnosis_date": None}}
    conflicts = problem(change(client, sent))["conflicts"]

    assert conflicts == [
        {"field": "status", "yours": "incomplete", "current": "unverified"},
        {"field": "missing", "yours": {"race": "NASK"}, "current": {"race": "UNK"}},
    ]


def test_a_stale_deletion_is_a_412(client):
    change(client, {"sex": "F"})

    response = client.send("DELETE", PATIENT, If_Match='"1"', X_Change_Reason="entered twice")

    assert (response.status_code, problem(response)["code"]) == (412, "stale")
    assert client.get(PATIENT).status_code == 200


def test_a_version_that_is_still_to_come_is_a_412(client):
    assert change(client, {"sex": "F"}, version=2).status_code == 412
    assert change(client, {"sex": "F"}, version=9_999_999_999).status_code == 412


@pytest.mark.parametrize(
    "name", ["record_id", "site", "form", "instance", "version", "locked", "updated_at", "warnings"]
)
def test_what_the_registry_keeps_is_not_changed(name, client):
    for form in COMPLETE:
        response = change(client, {name: "NIM-001"}, form=form)
        assert (response.status_code, codes(response)) == (400, [(name, "read_only")])


def test_a_refused_change_changes_nothing(client):
    response = change(client, {"sex": "F", "race": "x", "birth_date": None})

    assert (response.status_code, codes(response)) == (400, [("race", "unknown_code"), ("birth_date", "required")])
    assert client.get(PATIENT)["ETag"] == '"1"'


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_the_same_instant_one_wins_and_the_other_sees_both_values(sites):
    token, _row = create_token(make_person(Role.COORDINATOR, site="MTP"))
    Api(token).send("POST", PATIENTS, body())

    found = at_once(lambda: change(Api(token), {"race": "ASIAN"}), lambda: change(Api(token), {"race": "BLACK"}))

    assert sorted(response.status_code for response in found) == [200, 412]
    winner, loser = sorted(found, key=lambda response: response.status_code)
    (conflict,) = problem(loser)["conflicts"]
    assert conflict["current"] == winner.json()["race"] != conflict["yours"]


# Delete


@pytest.mark.parametrize("form", COMPLETE)
def test_a_deletion_hides_the_entry(form, client):
    response = client.send("DELETE", address(form), If_Match='"1"', X_Change_Reason="entered twice")

    assert (response.status_code, response.content) == (204, b"")
    assert client.get(address(form)).status_code == 404
    assert client.get(f"/api/v1/forms/{form}/").json()["results"] == []
    assert change(client, {}, form=form).status_code == 404


def test_a_deletion_needs_a_reason(client):
    response = client.send("DELETE", PATIENT, If_Match='"1"')

    assert (response.status_code, codes(response)) == (400, [("X-Change-Reason", "reason_needed")])
    assert client.get(PATIENT).status_code == 200


def test_a_deleted_patient_takes_every_form_out_of_every_list(client):
    client.send("DELETE", PATIENT, If_Match='"1"', X_Change_Reason="entered twice")

    for form in REPEATING:
        assert client.get(f"{PATIENT}{form}/").status_code == 404
        assert client.get(f"/api/v1/forms/{form}/").json()["results"] == []
        assert client.send("POST", f"{PATIENT}{form}/", body(of=form)).status_code == 404


def test_a_locked_entry_answers_409(client, api):
    manager = api(Role.DATA_MANAGER, username="manager")
    locked = manager.send("POST", "/api/v1/locks/", {"record_id": "MTP-001", "form": "dosing", "reason": "cleaned"})
    assert locked.status_code == 201

    changed = change(client, {"dose_mg": 10}, form="dosing")
    deleted = client.send("DELETE", address("dosing"), If_Match='"1"', X_Change_Reason="entered twice")

    assert [(response.status_code, problem(response)["code"]) for response in (changed, deleted)] == [
        (409, "locked")
    ] * 2
    assert client.get(address("dosing")).json()["locked"] is True


# Who may


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("site", ["MTP", None])
def test_each_role_creates_changes_and_deletes_or_is_refused(role, site, client, api):
    caller = api(role, site=site, username="caller")
    allowed = role in (Role.COORDINATOR, Role.DATA_MANAGER)

    found = {
        "read": caller.get(PATIENT),
        "create": caller.send("POST", PATIENTS, body(site="MTP")),
        "add": caller.send("POST", f"{PATIENT}lesion_assessment/", body(of="lesion_assessment")),
        "bulk": caller.send(
            "POST",
            "/api/v1/entries/",
            {
                "entries": [
                    {"form": "lesion_assessment", "record_id": "MTP-001", "values": COMPLETE["lesion_assessment"]}
                ]
            },
        ),
        "change": change(caller, {"sex": "F"}),
        "delete": caller.send("DELETE", address("dosing"), If_Match='"1"', X_Change_Reason="entered twice"),
    }

    expected = {"read": 200, "create": 201, "add": 201, "bulk": 201, "change": 200, "delete": 204}
    if not allowed:
        expected = {"read": 200} | dict.fromkeys(list(expected)[1:], 403)
    assert {name: response.status_code for name, response in found.items()} == expected


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.COORDINATOR, Role.DATA_MANAGER)])
def test_who_may_not_enter_is_told_so_and_not_whether_the_entry_would_be_right(role, client, api):
    caller = api(role, username="caller")

    for values in ({}, {"dose_mg": 26}):
        response = caller.send("POST", f"{PATIENT}dosing/", body(values, of="dosing"))
        assert (response.status_code, codes(response)) == (403, [("record_id", "not_allowed")])


# The dictionary


def test_the_dictionary_is_the_agreed_one_as_csv_and_as_json(client):
    agreed = (Path(settings.BASE_DIR) / "docs" / "data-dictionary.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(agreed, newline="")))

    as_csv = client.get("/api/v1/dictionary/?format=csv")
    as_json = client.get("/api/v1/dictionary/")

    assert as_csv["Content-Type"] == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(as_csv.content.decode(), newline=""))) == rows
    assert [list(row.values()) for row in as_json.json()] == rows[1:]
    assert client.get("/api/v1/dictionary/?format=json").content == as_json.content


@pytest.mark.parametrize("wanted", ["CSV", "xml", "", "json,csv"])
def test_the_dictionary_has_two_formats(wanted, client):
    assert codes(client.get(f"/api/v1/dictionary/?format={wanted}")) == [("format", "unknown_code")]


def test_the_codes_of_the_examples_are_written_for_cells_as_well(coordinator):
    assert cell(["dle", "scle"]) == "dle|scle"
    assert saved("patient", by=coordinator).record_id == "MTP-001"
