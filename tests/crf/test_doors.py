"""Each hard check is refused through every door with the same code at the same field, and nothing is saved."""

# ruff: noqa: RUF001 -- digits and signs of other scripts are what is tested

import csv

import pytest
from django.db import connection

from crf.forms import all_forms
from crf.imports.refusals import FileRefused
from crf.loading import INSTANCE, NotLoaded, load_folder
from registry.acting import Door, acting, the_system
from tests.crf.examples import COMPLETE, cell, saved
from tests.crf.imports.conftest import Importer

TOMORROW = "9999-12-31"

REFUSED = {
    # type
    "number: letters": ("dosing", {"dose_mg": "five"}, "dose_mg", "wrong_type"),
    "number: comma": ("dosing", {"dose_mg": "2,5"}, "dose_mg", "wrong_type"),
    "number: NaN": ("dosing", {"dose_mg": "NaN"}, "dose_mg", "wrong_type"),
    "number: Unicode digits": ("dosing", {"dose_mg": "٥"}, "dose_mg", "wrong_type"),
    "integer: letters": ("lesion_assessment", {"clasi_activity": "many"}, "clasi_activity", "wrong_type"),
    "integer: fraction": ("lesion_assessment", {"clasi_activity": 5.5}, "clasi_activity", "not_an_integer"),
    "decimals": ("dosing", {"dose_mg": 2.505}, "dose_mg", "too_many_decimals"),
    "yes/no: word": ("adverse_event", {"ae_serious": "maybe"}, "ae_serious", "wrong_type"),
    "date: not in the calendar": ("dosing", {"dose_start": "2023-02-29"}, "dose_start", "not_a_date"),
    "date: partial": ("lesion_assessment", {"lesion_date": "2023-02"}, "lesion_date", "not_a_date"),
    "date: hour 24": ("lesion_assessment", {"lesion_date": "2023-02-01T24:00"}, "lesion_date", "not_a_date"),
    "partial date": ("adverse_event", {"ae_start": "2023-13"}, "ae_start", "not_a_date"),
    "partial date: month 0": ("adverse_event", {"ae_start": "2023-00"}, "ae_start", "not_a_date"),
    "text: NUL": ("adverse_event", {"ae_term": "Rash\x00"}, "ae_term", "unprintable"),
    "text: long": ("adverse_event", {"ae_term": "x" * 1001}, "ae_term", "too_long"),
    "notes: long": ("adverse_event", {"ae_notes": "x" * 100_001}, "ae_notes", "too_long"),
    "file": ("lesion_assessment", {"lesion_photo": "photo.jpg"}, "lesion_photo", "file_not_a_value"),
    "unknown variable": ("dosing", {"dose_ml": 5}, "dose_ml", "unknown_field"),
    # range
    "number: above": ("dosing", {"dose_mg": 25.01}, "dose_mg", "out_of_range"),
    "number: below": ("dosing", {"dose_mg": -0.01}, "dose_mg", "out_of_range"),
    "integer: above": ("lesion_assessment", {"clasi_damage": 57}, "clasi_damage", "out_of_range"),
    "date: before": ("dosing", {"dose_start": "1999-12-31"}, "dose_start", "out_of_range"),
    "date: year 1": ("patient", {"birth_date": "0001-01-01"}, "birth_date", "out_of_range"),
    # code
    "code": ("patient", {"sex": "male"}, "sex", "unknown_code"),
    "code: blank beside": ("patient", {"sex": "M "}, "sex", "unknown_code"),
    "code: number": ("adverse_event", {"ae_grade": 6}, "ae_grade", "unknown_code"),
    "checkbox code": ("patient", {"cle_subtype": ["dle", "cle"]}, "cle_subtype", "unknown_code"),
    "checkbox code twice": ("patient", {"cle_subtype": ["dle", "dle"]}, "cle_subtype", "repeated_code"),
    "status": ("dosing", {"status": "done"}, "status", "unknown_code"),
    "missing reason": ("dosing", {"missing": {"dose_end": "ND"}}, "dose_end", "unknown_missing_reason"),
    "missing reason beside a value": ("dosing", {"missing": {"dose_mg": "UNK"}}, "dose_mg", "value_and_missing_reason"),
    "missing reason of nothing": ("dosing", {"missing": {"dose_ml": "UNK"}}, "dose_ml", "unknown_field"),
    # required
    "required": ("dosing", {"status": "complete", "dose_mg": None}, "dose_mg", "required"),
    "required list": ("patient", {"status": "complete", "cle_subtype": []}, "cle_subtype", "required"),
    # branching
    "hidden": ("dosing", {"dose_stop_reason": "lost"}, "dose_stop_reason", "hidden_field"),
    "hidden by sex": ("patient", {"childbearing_potential": False}, "childbearing_potential", "hidden_field"),
    "hidden with a reason": ("dosing", {"missing": {"dose_stop_reason": "UNK"}}, "dose_stop_reason", "hidden_field"),
    "criteria of what is not serious": (
        "adverse_event",
        {"ae_serious_criteria": ["death"]},
        "ae_serious_criteria",
        "hidden_field",
    ),
    # dates
    "future": ("lesion_assessment", {"lesion_date": TOMORROW}, "lesion_date", "future_date"),
    "future year": ("adverse_event", {"ae_start": "9999"}, "ae_start", "future_date"),
    "end before start: dosing": (
        "dosing",
        {"dose_start": "2021-01-02", "dose_end": "2021-01-01"},
        "dose_end",
        "end_before_start",
    ),
    "end before start: event": ("adverse_event", {"ae_end": "2020-01"}, "ae_end", "end_before_start"),
    "end before start: treatment": (
        "prior_treatment",
        {"prior_start": "2010", "prior_end": "2009"},
        "prior_end",
        "end_before_start",
    ),
    "overlapping": ("dosing", {"dose_start": "2010-06-30"}, "dose_start", "overlapping_period"),
    # what belongs together
    "grade 5 not fatal": ("adverse_event", {"ae_grade": "5"}, "ae_grade", "fatal_is_grade_5"),
    "fatal not grade 5": ("adverse_event", {"ae_outcome": "fatal"}, "ae_grade", "fatal_is_grade_5"),
    "serious without criteria": (
        "adverse_event",
        {"ae_serious": True},
        "ae_serious_criteria",
        "serious_without_criteria",
    ),
    # whose entry, and which
    "record id of another site": ("patient", {"record_id": "NIM-002", "site": "MTP"}, "record_id", "record_id_of_site"),
    "record id misspelled": ("patient", {"record_id": "MTP-2", "site": "MTP"}, "record_id", "record_id_of_site"),
    "record id in use": ("patient", {"record_id": "MTP-001", "site": "MTP"}, "record_id", "record_exists"),
    "no such site": ("patient", {"record_id": "ZZZ-001", "site": "ZZZ"}, "site", "unknown_site"),
    "no such patient": ("dosing", {"record_id": "MTP-009"}, "record_id", "patient_not_found"),
    "no such record id": ("dosing", {"record_id": "MTP-9999999"}, "record_id", "patient_not_found"),
}
"""A form, what to change in its smallest complete entry, and the field and code with which it is refused."""


def through_rest(name, changes, *, api, **_unused):
    changes = dict(changes)
    record_id = "" if name == "patient" else f"{changes.pop('record_id', 'MTP-001')}/{name}/"
    return api.send("POST", f"/api/v1/patients/{record_id}", {**COMPLETE[name], **changes}).json()["errors"]


def in_bulk(name, changes, *, api, **_unused):
    values = {**COMPLETE[name], **changes}
    place = {"record_id": None if name == "patient" else "MTP-001"}
    place |= {key: values.pop(key) for key in ("record_id", "site", "status", "missing") if key in values}
    entry = {"form": name, "values": values, **place}
    return api.send("POST", "/api/v1/entries/", {"entries": [entry]}).json()["errors"]


def from_files(name, changes, *, folder, **_unused):
    row = {"record_id": "MTP-002", "site": "MTP"} if name == "patient" else {"record_id": "MTP-001", INSTANCE: "2"}
    row |= {key: cell(value) for key, value in {**COMPLETE[name], **changes}.items() if key != "missing"}
    if "missing" in changes:
        row["missing"] = "|".join(f"{key}={value}" for key, value in changes["missing"].items())
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    by = the_system()
    with pytest.raises(NotLoaded) as caught, acting(by, door=Door.COMMAND):
        load_folder(folder, by=by)
    return [{"field": problem.column, "code": problem.code} for problem in caught.value.problems]


@pytest.fixture
def door(request, api, tmp_path):
    """Hands an entry in through the door that the test is for; returns the errors."""
    api = api(username="typist")
    return lambda name, changes: request.param(name, changes, api=api, folder=tmp_path)


def rows():
    """Return every row of every form, with how many history rows there are."""
    found = {}
    with connection.cursor() as cursor:
        for form in all_forms():
            cursor.execute(f"SELECT * FROM {form._meta.db_table} ORDER BY id")  # noqa: S608 -- from the declaration
            found[form] = cursor.fetchall()
            cursor.execute(f"SELECT count(*) FROM {form._meta.db_table}history")  # noqa: S608 -- from the declaration
            found[form].append(cursor.fetchone())
    return found


@pytest.mark.parametrize("door", [through_rest, in_bulk, from_files], indirect=True, ids=lambda door: door.__name__)
@pytest.mark.parametrize(("name", "changes", "field", "code"), REFUSED.values(), ids=list(REFUSED))
def test_what_a_hard_check_refuses_is_refused_through_every_door(
    name, changes, field, code, door, coordinator, patient
):
    saved("dosing", {"dose_start": "2010-01-01", "dose_end": "2010-06-30"}, by=coordinator, record_id="MTP-001")
    before = rows()

    errors = door(name, changes)

    assert [(error["field"], error["code"]) for error in errors] == [(field, code)]
    assert rows() == before


IN_A_PREVIEW = {case: values for case, values in REFUSED.items() if values[3] != "record_exists"}
"""An import changes the patient who is there already."""


@pytest.mark.parametrize(("name", "changes", "field", "code"), IN_A_PREVIEW.values(), ids=list(IN_A_PREVIEW))
def test_what_a_hard_check_refuses_is_refused_in_the_preview_of_an_import(
    name, changes, field, code, coordinator, patient
):
    """Negative test 9."""
    saved("dosing", {"dose_start": "2010-01-01", "dose_end": "2010-06-30"}, by=coordinator, record_id="MTP-001")
    before = rows()

    errors = in_a_preview(name, changes, by=coordinator)

    assert [(error["field"], error["code"]) for error in errors] == [(field, code)]
    assert rows() == before


def in_a_preview(name, changes, *, by):
    row = {"record_id": "", "site": "MTP"} if name == "patient" else {"record_id": "MTP-001", "instance": "2"}
    row |= {key: cell(value) for key, value in {**COMPLETE[name], **changes}.items() if key != "missing"}
    row |= {f"{key}__missing": why for key, why in changes.get("missing", {}).items()}
    try:
        brought = Importer(by).bring(row, form=name)
    except FileRefused as refused:  # a column of no variable
        return [{"field": next(iter(changes.get("missing", changes))), "code": refused.code}]
    told = [found for found in brought.rows.get().findings if found["verdict"] == "refused"]
    return [{"field": found["field"], "code": found["code"]} for found in told]


@pytest.mark.parametrize("door", [through_rest, in_bulk], indirect=True, ids=lambda door: door.__name__)
def test_a_coordinator_is_told_nothing_of_a_patient_of_another_site(door, data_manager, patient):
    saved("patient", by=data_manager, site="NIM")

    for record_id in ("NIM-001", "NIM-002"):
        errors = door("dosing", {"record_id": record_id})

        assert [(error["field"], error["code"]) for error in errors] == [("record_id", "patient_not_found")]


def test_every_hard_check_of_every_form_is_among_the_examples():
    declared = {(form.form_name(), check.code) for form in all_forms() for check in form.hard_checks}
    implied = {"wrong_type", "out_of_range", "unknown_code", "required", "hidden_field", "future_date"}

    assert declared <= {(name, code) for name, _changes, _field, code in REFUSED.values()}
    assert implied <= {code for _name, _changes, _field, code in REFUSED.values()}
