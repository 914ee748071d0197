"""Imports over REST."""

import io

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from crf.models.import_file import Import, ImportRow
from crf.models.patient import Patient
from registry.rights import Role
from tests.crf.examples import COMPLETE, cell
from tests.registry.test_api import problem

pytestmark = pytest.mark.django_db

IMPORTS = "/api/v1/imports/"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DOSE = {name: cell(value) for name, value in COMPLETE["dosing"].items()}
FILE = b"record_id,sex,race\nMTP-001,F,WHITE\n"


@pytest.fixture
def typist(api):
    return api(username="typist")


def bring(client, content=FILE, kind="text/csv", query="", **headers):
    return client.generic("POST", f"{IMPORTS}{query}", content, content_type=kind, headers=headers)


def apply(client, brought, *, reason="Abstracted", tag=None):
    headers = {"If_Match": tag or brought.headers["ETag"], "X_Change_Reason": reason}
    return client.send("POST", f"{brought.headers['Location']}apply/", {}, **headers)


def test_a_file_is_brought_looked_at_applied_and_undone(typist, patient):
    brought = bring(typist)

    assert brought.status_code == 201
    address = brought.headers["Location"]
    assert typist.get(address).json() == brought.json()
    assert brought.json()["counts"] == {
        "new": 0, "changed": 1, "unchanged": 0, "conflict": 0, "refused": 0, "rows": 1, "cells": 2,
    }  # fmt: skip
    (row,) = typist.get(f"{address}rows/").json()["results"]
    assert (row["record_id"], row["verdict"]) == ("MTP-001", "changed")
    assert [(found["field"], found["saved"], found["file"]) for found in row["cells"]] == [
        ("sex", "M", "F"),
        ("race", None, "WHITE"),
    ]

    applied = apply(typist, brought)
    assert (applied.status_code, applied.json()["state"]) == (200, "applied")
    assert apply(typist, brought).json() == applied.json()
    assert Patient.objects.get().sex == "F"

    undone = typist.send("POST", f"{address}undo/", {}, X_Change_Reason="Wrong file")
    assert (undone.status_code, undone.json()["state"], undone.json()["undo_reason"]) == (200, "undone", "Wrong file")
    assert Patient.objects.get().sex == "M"
    assert [found["id"] for found in typist.get(IMPORTS).json()["results"]] == [brought.json()["id"]]


def test_a_file_comes_as_a_form_too(typist, patient):
    file = SimpleUploadedFile("../../my <file>.csv", FILE)

    response = typist.post(IMPORTS, {"file": file, "site": "MTP", "form": "patient"})

    assert (response.status_code, response.json()["file_name"]) == (201, "my <file>.csv")


def test_a_repeat_with_the_same_key_brings_nothing_twice(typist, patient):
    first = bring(typist, **{"Idempotency-Key": "one"})
    again = bring(typist, **{"Idempotency-Key": "one"})
    other = bring(typist, FILE + b"MTP-002,F,WHITE\n", **{"Idempotency-Key": "one"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json() == again.json()
    assert Import.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "kind", "query", "status", "code"),
    [
        (FILE, "application/json", "", 415, "unknown_file"),
        (FILE, "text/csv", "?site=NIM", 400, "unknown_site"),
        (FILE, "text/csv", "?form=none", 400, "unknown_form"),
        (FILE, "text/csv", "?encoding=utf-7", 400, "unknown_code"),
        (FILE, "text/csv", "?sight=MTP", 400, "unknown_parameter"),
        (FILE, XLSX, "", 400, "not_what_it_says"),
        (b"PK\x03\x04", XLSX, "", 400, "not_xlsx"),
        (b"x" * 10_000_001, "text/csv", "", 413, "too_large"),
        (b"--x\r\n", "multipart/form-data; boundary=x", "", 400, "required"),
        (b"", "multipart/form-data", "", 415, "unknown_file"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_and_not_kept(content, kind, query, status, code, typist, patient):
    response = bring(typist, content, kind, query)

    found = problem(response)
    assert (response.status_code, {found["code"], *(error["code"] for error in found["errors"])} - {"invalid"}) == (
        status,
        {code},
    )
    assert not Import.objects.exists()


def test_who_enters_data_at_several_sites_names_one(api, patient):
    manager = api(Role.DATA_MANAGER, site=None)

    assert problem(bring(manager))["errors"][0]["code"] == "required"
    assert bring(manager, query="?site=MTP").status_code == 201


def test_an_import_of_another_site_does_not_exist(api, typist, patient):
    address = bring(typist).headers["Location"]
    other = api(site="NIM", username="other")

    assert other.get(IMPORTS).json()["results"] == []
    for call in ("", "rows/", "apply/", "undo/", "choices/"):
        method = "get" if call in ("", "rows/") else "post"
        response = other.send(method, f"{address}{call}", {}, If_Match='"x"', X_Change_Reason="r")
        assert (response.status_code, problem(response)["code"]) == (404, "not_found")


@pytest.mark.parametrize("role", [Role.MONITOR, Role.INVESTIGATOR])
def test_who_may_only_read_neither_sees_nor_applies_an_import(role, api, typist, patient):
    brought = bring(typist)
    reader = api(role, username="reader")

    statuses = [
        bring(reader).status_code,
        reader.get(IMPORTS).status_code,
        reader.get(brought.headers["Location"]).status_code,
        apply(reader, brought).status_code,
        reader.get(f"{IMPORTS}template/").status_code,
    ]

    assert statuses == [403] * 5
    assert Patient.objects.get().sex == "M"


def test_applying_needs_the_preview_that_was_seen_and_a_reason(typist, patient):
    brought = bring(typist)

    without = typist.send("POST", f"{brought.headers['Location']}apply/", {}, X_Change_Reason="r")
    other = apply(typist, brought, tag='"other"')
    unsaid = typist.send("POST", f"{brought.headers['Location']}apply/", {}, If_Match=brought.headers["ETag"])

    assert [(found.status_code, problem(found)["code"]) for found in (without, other, unsaid)] == [
        (428, "version_needed"),
        (412, "stale"),
        (400, "reason_needed"),
    ]


def test_what_changed_since_the_preview_is_told_and_the_new_preview_kept(typist, patient):
    brought = bring(typist)
    typist.send("PATCH", "/api/v1/patients/MTP-001/", {"sex": "U"}, If_Match='"1"', X_Change_Reason="r")

    refused = apply(typist, brought)

    assert (refused.status_code, problem(refused)["code"]) == (409, "preview_changed")
    assert apply(typist, brought, tag=refused.headers["ETag"]).status_code == 200
    assert Patient.objects.get().sex == "F"


def test_a_conflict_is_settled_by_a_choice(typist, patient):
    typist.send("PATCH", "/api/v1/patients/MTP-001/", {"sex": "U"}, If_Match='"1"', X_Change_Reason="r")
    brought = bring(typist, b"record_id,version,sex\nMTP-001,1,F\n")
    address = brought.headers["Location"]

    refused = apply(typist, brought)
    wrong = typist.send("POST", f"{address}choices/", {"choices": [{"row": 1, "field": "race", "take": "file"}]})
    settled = typist.send("POST", f"{address}choices/", {"choices": [{"row": 1, "field": "sex", "take": "file"}]})

    assert (refused.status_code, problem(refused)["code"]) == (409, "cannot_be_applied")
    assert wrong.status_code == 404
    assert settled.json()["counts"]["changed"] == 1
    assert apply(typist, settled_at(settled, address)).status_code == 200
    assert Patient.objects.get().sex == "F"


def settled_at(response, address):
    response.headers["Location"] = address
    return response


def test_an_undo_that_meets_a_later_change_names_it(typist, patient):
    brought = bring(typist)
    apply(typist, brought)
    typist.send("PATCH", "/api/v1/patients/MTP-001/", {"sex": "U"}, If_Match='"2"', X_Change_Reason="r")

    refused = typist.send("POST", f"{brought.headers['Location']}undo/", {}, X_Change_Reason="r")

    assert (refused.status_code, problem(refused)["code"]) == (409, "cannot_be_undone")
    assert [(found["record_id"], found["field"], found["code"]) for found in refused.json()["errors"]] == [
        ("MTP-001", "sex", "changed_since")
    ]
    assert Patient.objects.get().race == "WHITE"


def test_a_preview_is_thrown_away_with_the_copy_of_the_file(typist, patient):
    brought = bring(typist)

    assert typist.delete(brought.headers["Location"]).status_code == 204
    assert typist.delete(brought.headers["Location"]).status_code == 409
    assert problem(apply(typist, brought))["code"] == "wrong_import_state"
    assert not ImportRow.objects.exists()


def test_the_template_comes_back_unchanged(typist, patient):
    response = typist.get(f"{IMPORTS}template/")

    assert response.headers["Content-Disposition"].startswith('attachment; filename="ecrf-MTP-')
    assert openpyxl.load_workbook(io.BytesIO(response.content)).sheetnames[1] == "patient"
    assert bring(typist, response.content, XLSX).json()["counts"]["unchanged"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [("?format=csv", "form"), ("?format=pdf", "format"), ("?form=none", "form"), ("?site=NIM", "site")],
)
def test_a_template_that_is_none_is_refused(query, field, typist):
    assert problem(typist.get(f"{IMPORTS}template/{query}"))["errors"][0]["field"] == field


def test_rows_are_filtered_and_paged(typist, patient):
    content = b"record_id,sex\nMTP-001,F\n" + b"MTP-009,F\n" * 2 + b"NIM-001,F\n"
    address = bring(typist, content).headers["Location"]

    refused = typist.get(f"{address}rows/?verdict=refused&limit=1").json()

    assert [row["row"] for row in refused["results"]] == [3]
    assert [row["row"] for row in typist.get(refused["next"]).json()["results"]] == [4]
    assert problem(typist.get(f"{address}rows/?verdict=good"))["errors"][0]["code"] == "unknown_code"


def test_what_a_preview_shows_and_a_template_takes_along_is_noted(typist, patient, count):
    before = count("registry_accessevent")

    typist.get(f"{bring(typist).headers['Location']}rows/")
    assert count("registry_accessevent") == before + 1
    typist.get(f"{IMPORTS}template/?form=patient")
    assert count("registry_accessevent") == before + 2


def test_rows_of_a_preview_take_as_many_queries_however_many_they_are(
    typist, patient, coordinator, django_assert_num_queries
):
    for rows in (1, 3):
        address = bring(
            typist, b"record_id,sex\n" + b"".join(b"MTP-00%d,F\n" % number for number in range(2, 2 + rows))
        ).headers["Location"]
        with django_assert_num_queries(4):
            typist.get(f"{address}rows/")
