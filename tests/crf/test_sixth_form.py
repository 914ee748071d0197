"""A form is added by declaring it: one file in an app of its own, its migration, and no other line changed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from psycopg import sql

from crf.dictionary import COLUMNS
from registry.settings import OWNER

SETTINGS = """
from registry.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "biopsies"]
ALLOWED_HOSTS = ["testserver"]
for one in DATABASES.values():
    one["NAME"] = "{database}"
"""
FORM = '''
from typing import ClassVar

from crf.checks import Check
from crf.fields import CheckboxField, DateField, DecimalField, PartialDateField, RadioField, TextField
from crf.forms import RepeatingForm


class SkinBiopsy(RepeatingForm):
    """One biopsy of the skin."""

    order = 60

    biopsy_date = DateField("Date of biopsy", section="Biopsy", min="2000-01-01", required=True, sdtm="PR.PRSTDTC")
    biopsy_place = RadioField("Where", {"face": "Face", "trunk": "Trunk", "other": "Other"}, required=True)
    biopsy_place_other = TextField("Other place", show_if="[biopsy_place] = 'other'")
    biopsy_depth = DecimalField("Depth", places=1, max=20, unit="mm")
    biopsy_stains = CheckboxField("Stains", {"he": "Haematoxylin and eosin", "pas": "PAS"})
    biopsy_read = PartialDateField("Read on")
    place = TextField("A name that statements of ours could use for something else", sdtm="PR.PRLOC")

    hard_checks: ClassVar = [
        Check(
            code="stained_without_depth",
            at="biopsy_depth",
            message="A stained biopsy has a depth. Enter it.",
            fails=lambda biopsy, _chart: bool(biopsy["biopsy_stains"]) and biopsy["biopsy_depth"] is None,
        ),
    ]

    class Meta:
        verbose_name = "skin biopsy"
'''
PROGRAM = """
import csv, io, json, sys
from pathlib import Path

import django

django.setup()

import openpyxl
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.test import Client

from registry.accounts.second_factor import PROVEN_BY
from registry.acting import Door, acting_as_the_system
from registry.callers import create_token
from registry.models import Membership, Person
from registry.rights import Role

person = Person.objects.create_user("typist")
Membership.objects.create(person=person, role=Role.DATA_MANAGER, starts_on="2020-01-01")
api = Client(headers={"Authorization": f"Bearer {create_token(person)[0]}"})
found = {}


def send(method, path, body, **headers):
    content, kind = json.dumps(body), "application/json"
    response = api.generic(method, f"/api/v1/{path}", content, content_type=kind, headers=headers)
    return response.status_code, json.loads(response.content or "null")


def rows(sql):
    with acting_as_the_system(door=Door.COMMAND), connection.cursor() as cursor:
        cursor.execute(sql)
        return [list(row) for row in cursor.fetchall()]


place = "patients/MTP-001/skin_biopsy/"
biopsy = {"biopsy_date": "2020-01-01", "biopsy_place": "face", "biopsy_depth": 2.5}
biopsy |= {"biopsy_stains": ["pas", "he"], "biopsy_read": "2020-02"}
send("POST", "patients/", {"site": "MTP"})
send("POST", "patients/", {"site": "NIM"})
rows("DELETE FROM crf_chartchange RETURNING 1")
found["post"] = send("POST", place, biopsy)
found["charts"] = rows("SELECT record_id, site_id FROM crf_chartchange")
found["history"] = rows("SELECT pgh_label, pgh_context->>'username' FROM biopsies_skinbiopsyhistory")
found["get"] = send("GET", place + "1/", None)
found["list"] = send("GET", place, None)
found["pooled"] = send("GET", "forms/skin_biopsy/?biopsy_depth__gte=2.5&biopsy_place=face&biopsy_stains=pas", None)
found["pooled_none"] = send("GET", "forms/skin_biopsy/?biopsy_depth__gte=2.6", None)
found["refused"] = [
    send("POST", place, {**biopsy, **wrong})[1]["errors"][0]["code"]
    for wrong in (
        {"biopsy_depth": 21},
        {"biopsy_depth": None},
        {"biopsy_place": "leg"},
        {"biopsy_place_other": "leg"},
        {"biopsy_date": "9999-01-01"},
        {"status": "complete", "biopsy_place": None},
    )
]
item = {"form": "skin_biopsy", "record_id": "MTP-001", "values": biopsy}
found["bulk"] = send("POST", "entries/", {"entries": [item]})
found["patch"] = send("PATCH", place + "2/", {"biopsy_depth": 3}, **{"If-Match": '"1"', "X-Change-Reason": "r"})[0]
found["delete"] = send("DELETE", place + "2/", None, **{"If-Match": '"2"', "X-Change-Reason": "r"})[0]
try:
    rows("UPDATE biopsies_skinbiopsy SET biopsy_depth = 21 RETURNING 1")
except IntegrityError as error:
    found["constraint"] = error.__cause__.diag.constraint_name
browser = Client()
browser.force_login(person)
session = browser.session
session[PROVEN_BY] = person.pk
session.save()
table = "/patients/MTP-001/skin_biopsy/"
fields = {"biopsy_date": "12 mars 2021", "biopsy_place": "other", "biopsy_place_other": "Ear", "biopsy_depth": "2,5 mm"}
page = browser.get(table + "new/").content.decode()
found["fields"] = [name for name in (*fields, "biopsy_stains", "biopsy_read") if f'name="{name}"' in page]
found["words"] = ["Only if Where is Other" in page, "understood" in page]
found["live"] = json.loads(browser.post(table + "new/live/", {**fields, "biopsy_depth": "30"}).content)
browser.post(table + "new/", {**fields, "biopsy_stains": ["", "pas"], "go": "next"})
found["page"] = send("GET", place + "3/", None)[1]
found["table"] = "2021-03-12" in browser.get(table).content.decode()
api.generic("DELETE", f"/api/v1/{place}3/", headers={"If-Match": '"1"', "X-Change-Reason": "r"})
document = json.loads(api.get("/api/schema/").content)
found["paths"] = sorted(path for path in document["paths"] if "skin_biopsy" in path)
text = api.get("/api/v1/dictionary/?format=csv").content.decode()
found["dictionary"] = [row for row in csv.reader(io.StringIO(text)) if row[1] == "skin_biopsy"]
folder = Path(sys.argv[1])
(folder / "skin_biopsy.csv").write_text("record_id,biopsy_date,biopsy_place\\nNIM-001,2021-01-01,trunk\\n")
call_command("load_forms", str(folder), stdout=io.StringIO())
call_command("export", "--out", str(folder / "pooled.xlsx"), stdout=io.StringIO())
workbook = openpyxl.load_workbook(folder / "pooled.xlsx", read_only=True)
found["sheet"] = [[str(cell) for cell in row if cell is not None] for row in workbook["skin_biopsy"].values]
found["codebook"] = [row[1] for row in workbook["codebook"].values if row[0] == "skin_biopsy"]
workbook.close()
found["many"] = send("POST", "entries/", {"entries": [item | {"values": biopsy | {"place": "Lab"}}] * 3})[0]
found["places"] = rows("SELECT place FROM biopsies_skinbiopsyhistory ORDER BY pgh_seq DESC LIMIT 3")
print(json.dumps(found))
"""


@pytest.fixture
def scratch_database():
    """The name of an empty database on the server of the tests, dropped afterwards."""
    name = f"sixth_form_{uuid4().hex[:12]}"
    parameters = {**connections[OWNER].get_connection_params(), "dbname": "postgres"}
    for unknown_to_psycopg in ("cursor_factory", "context", "prepare_threshold", "server_side_binding"):
        parameters.pop(unknown_to_psycopg, None)
    with psycopg.connect(**parameters, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def run(tmp_path, scratch_database):
    """Runs Python in a process of its own, with the sixth form in an app outside the project."""
    (tmp_path / "biopsies").mkdir()
    (tmp_path / "biopsies" / "__init__.py").touch()
    (tmp_path / "biopsies" / "models.py").write_text(FORM)
    (tmp_path / "sixth_form_settings.py").write_text(SETTINGS.format(database=scratch_database))
    project = Path(settings.BASE_DIR)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{project}",
        "DJANGO_SETTINGS_MODULE": "sixth_form_settings",
        "VAR_DIR": str(settings.VAR_DIR),
    }

    def python(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


def files_of_the_project():
    """Return the packages' files and when each was changed."""
    folders = [Path(settings.BASE_DIR) / package for package in ("registry", "crf", "exports")]
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("migrations/*.py")}


@pytest.mark.slow
def test_a_sixth_form_is_found_everywhere_without_another_line(run, tmp_path):
    before, manage = files_of_the_project(), str(Path(settings.BASE_DIR) / "manage.py")
    files = tmp_path / "files"
    files.mkdir()

    run(manage, "makemigrations", "biopsies")
    run(manage, "makemigrations", "--check")
    run(manage, "migrate", "-v0")
    found = json.loads(run("-c", PROGRAM, str(files)))

    assert files_of_the_project() == before

    status, entry = found["post"]
    assert status == 201
    assert {name: entry[name] for name in ("form", "record_id", "instance", "status", "version")} == {
        "form": "skin_biopsy",
        "record_id": "MTP-001",
        "instance": 1,
        "status": "complete",
        "version": 1,
    }
    assert {name: value for name, value in entry.items() if name.startswith("biopsy")} == {
        "biopsy_date": "2020-01-01",
        "biopsy_place": "face",
        "biopsy_place_other": None,
        "biopsy_depth": 2.5,
        "biopsy_stains": ["he", "pas"],
        "biopsy_read": "2020-02",
    }
    assert found["get"] == [200, entry]
    entry.pop("warnings")
    page = [200, {"next": None, "previous": None, "results": [entry]}]
    assert (found["list"], found["pooled"], found["pooled_none"][1]["results"]) == (page, page, [])

    assert found["history"] == [["insert", "typist"]]
    assert found["charts"] == [["MTP-001", "MTP"]]
    assert found["refused"] == [
        "out_of_range",
        "stained_without_depth",
        "unknown_code",
        "hidden_field",
        "future_date",
        "required",
    ]
    assert found["constraint"] == "biopsy_depth_in_range"
    assert found["bulk"][0] == 201
    assert (found["patch"], found["delete"]) == (200, 204)

    assert found["fields"] == [name for name in found["page"] if name.startswith("biopsy")]
    assert found["words"] == [True, True]
    assert found["live"]["errors"].keys() == {"biopsy_depth"}
    assert found["live"]["understood"]["biopsy_date"] == "12 March 2021"
    assert [found["page"][name] for name in found["fields"]] == ["2021-03-12", "other", "Ear", 2.5, ["pas"], None]
    assert found["table"]

    of_patient = "/api/v1/patients/{record_id}/skin_biopsy/"
    one = f"{of_patient}{{instance}}/"
    assert found["paths"] == ["/api/v1/forms/skin_biopsy/", of_patient, one, f"{one}restore/"]
    assert (found["many"], found["places"]) == (201, [["Lab"]] * 3)
    names = [
        "biopsy_date",
        "biopsy_place",
        "biopsy_place_other",
        "biopsy_depth",
        "biopsy_stains",
        "biopsy_read",
        "place",
    ]
    assert [row[0] for row in found["dictionary"]] == names
    first = dict(zip(COLUMNS, found["dictionary"][0], strict=True))
    assert {column: told for column, told in first.items() if told} == {
        "field_name": "biopsy_date",
        "form_name": "skin_biopsy",
        "section_header": "Biopsy",
        "field_type": "text",
        "field_label": "Date of biopsy",
        "text_validation_type_or_show_slider_number": "date_ymd",
        "text_validation_min": "2000-01-01",
        "text_validation_max": "today",
        "required_field": "y",
        "field_annotation": "@SDTM=PR.PRSTDTC",
    }
    assert found["dictionary"][3][7:10] == ["number_1dp", "0", "20"]

    assert set(names) <= set(found["codebook"])
    header, *rows = found["sheet"]
    assert [name for name in header if name in names] == names
    assert len(rows) == 2
    assert {"MTP-001", "2.5", "face", "he|pas"} <= set(rows[0])
    assert {"NIM-001", "trunk"} <= set(rows[1])
