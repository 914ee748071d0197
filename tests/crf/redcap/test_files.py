"""Files, paper, log, reports, project XML and surveys. Rows 51 to 60 of the checklist."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from lxml import etree
from pypdf import PdfReader

from crf.forms import all_forms
from crf.redcap.groups import group_id
from registry.rights import Role
from tests.crf.examples import saved
from tests.crf.photographs import halves, opened, picture
from tests.crf.redcap.conftest import locked

pytestmark = pytest.mark.django_db

NO_PHOTOGRAPH = {
    "export": "There is no file to download for this record",
    "import": "No valid file was uploaded",
    "delete": "There is no file to delete for this record",
}


# Files

PLACE = {"record": "MTP-001", "field": "lesion_photo", "repeat_instance": 1}


@pytest.fixture
def assessment(cohort, data_manager):
    """An assessment of MTP-001, complete."""
    return saved("lesion_assessment", by=data_manager, record_id="MTP-001", status="complete")


def sent(caller, content, *, name="photo.jpg", **changes):
    """Send a file as the clients do: no format, so that what is wrong comes as XML."""
    file = SimpleUploadedFile(name, content, content_type="image/jpeg")
    return caller.multipart("file", action="import", **{**PLACE, **changes}, file=file)


@pytest.mark.parametrize(("action", "words"), NO_PHOTOGRAPH.items())
def test_where_there_is_no_file_the_words_are_those_of_redcap(manager, assessment, action, words):
    """Rows 51, 52 and 53."""
    place = {"action": action, "field": "lesion_photo", "format": "json"}

    assert manager("file", record="MTP-001", **place).error == (400, words)
    assert manager("file", record="MTP-009", **place).error == (400, 'The record "MTP-009" does not exist')


@pytest.mark.parametrize("field", ["sex", "nope", ""])
@pytest.mark.parametrize("action", NO_PHOTOGRAPH)
def test_a_field_that_holds_no_files_is_refused(manager, cohort, action, field):
    """Row 54."""
    answer = manager("file", action=action, record="MTP-001", field=field, format="csv")

    assert (answer.status, answer.text) == (400, f"ERROR: The field '{field}' does not exist or is not a 'file' field")


def test_a_file_goes_in_comes_back_with_its_name_and_goes(manager, assessment):
    """Rows 51 to 53: the name stands in the type, last and quoted, and in no other header."""
    came = sent(manager, halves(), name="Marta Zwyx.jpg")
    back = manager("file", action="export", **PLACE)
    (row,) = [row for row in manager("record", format="json").json if row["lesion_photo"]]
    gone = manager("file", action="delete", **PLACE)

    assert [(answer.status, answer.body) for answer in (came, gone)] == [(200, b"")] * 2
    name = f"MTP-001_lesion_assessment_1_{row['lesion_photo']}"
    assert (back.status, back.headers["Content-Type"]) == (200, f'image/jpeg; name="{name}"')
    assert [header for header, value in back.headers.items() if "name=" in value] == ["Content-Type"]
    assert back.headers["X-Content-Type-Options"] == "nosniff"
    assert opened(back.body).size == (60, 40)
    assert manager("file", action="export", **PLACE, format="json").error == (400, NO_PHOTOGRAPH["export"])


def test_the_instance_is_the_first_unless_one_is_named(manager, assessment, data_manager):
    saved("lesion_assessment", by=data_manager, record_id="MTP-001")
    sent(manager, picture(colour="red"), repeat_instance="")
    sent(manager, picture("PNG"), repeat_instance=2)

    types = [
        manager("file", action="export", **{**PLACE, "repeat_instance": number}).headers["Content-Type"][:10]
        for number in ("", 1, 2)
    ]

    assert types == ["image/jpeg", "image/jpeg", "image/png;"]


@pytest.mark.parametrize("number", ["0", "x", "-1", "99999"])
@pytest.mark.parametrize("action", NO_PHOTOGRAPH)
def test_what_is_no_instance_is_refused(manager, assessment, action, number):
    place = {**PLACE, "repeat_instance": number}

    assert manager("file", action=action, **place, format="json").status == 400


def test_a_file_of_an_instance_that_is_not_there_is_refused(manager, assessment):
    answer = sent(manager, picture(), repeat_instance=7)

    assert answer.status == 400
    assert "has no instance 7 of lesion_assessment" in answer.text


@pytest.mark.parametrize("content", [b"\xff\xd8\xff", b"<svg/>", picture("GIF"), b""])
def test_what_is_no_photograph_is_refused_in_words(manager, assessment, content):
    """Row 52: the client sends neither format, so that the words come as XML."""
    answer = sent(manager, content)

    assert answer.status == 400
    assert "<error>No valid file was uploaded: " in answer.text


def test_a_locked_record_keeps_its_file(manager, assessment, data_manager):
    sent(manager, picture())
    locked("MTP-001", by=data_manager)

    told = [sent(manager, halves()).text, manager("file", action="delete", **PLACE).text]

    assert all('The record "MTP-001" is locked.' in text for text in told)
    assert manager("file", action="export", **PLACE).status == 200


@pytest.mark.parametrize(("role", "sees"), [(Role.MONITOR, False), (Role.INVESTIGATOR, True)])
def test_who_may_not_enter_stores_and_removes_nothing(redcap, manager, assessment, role, sees):
    sent(manager, picture())
    reader = redcap(role)

    answers = [sent(reader, halves()), reader("file", action="delete", **PLACE)]

    assert [answer.status for answer in answers] == [403, 403]
    assert (reader("file", action="export", **PLACE).status == 200) is sees


def test_the_file_of_another_site_is_not_there(redcap, manager, assessment):
    """Negative test 5."""
    sent(manager, picture())
    elsewhere = redcap(Role.COORDINATOR, site="NIM")

    told = [elsewhere("file", action=action, **PLACE, format="json").error for action in NO_PHOTOGRAPH]

    assert told == [(400, 'The record "MTP-001" does not exist')] * 3


# Paper


def words(answer):
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(answer.body)).pages]


def test_blank_forms_to_print(manager):
    """Row 55: each form begins on a page of its own."""
    answer = manager("pdf", record="", instrument="", event="")

    assert answer.body.startswith(b"%PDF-")
    assert answer.headers["Content-Type"] == 'application/pdf; name="forms_blank.pdf"'
    assert "Content-Disposition" not in answer.headers
    told = " ".join(words(answer))
    assert all(form.title() in told for form in all_forms())
    assert "[x]" not in told


def test_one_blank_form(manager):
    answer = manager("pdf", instrument="dosing", action="export")

    (page,) = words(answer)
    assert "Why this period began" in page
    assert manager("pdf", instrument="nope", format="json").error == (400, "Invalid instrument")


def test_a_filled_form_shows_what_is_saved_with_its_accents(manager, cohort):
    page = " ".join(words(manager("pdf", record="NIM-001", instrument="patient")))

    assert "NIM-001" in page
    assert "Élan" in page
    assert "[x] Male [ ] Female [ ] Unknown" in page


def test_the_instances_of_a_record(manager, cohort):
    both = words(manager("pdf", record="MTP-001", instrument="dosing"))
    second = words(manager("pdf", record="MTP-001", instrument="dosing", repeat_instance="2"))

    assert (len(both), len(second)) == (2, 1)
    assert "2.5" in second[0]


def test_a_reason_is_printed(manager, cohort):
    pages = words(manager("pdf", record="MTP-002", instrument="patient", compactDisplay="1"))

    assert "(Not asked)" in pages[0]
    assert "Tobacco" not in pages[0]


@pytest.mark.parametrize("flag", ["allRecords", "allrecords"])
def test_all_records_of_the_own_sites(redcap, cohort, flag):
    told = " ".join(words(redcap(Role.COORDINATOR, site="NIM")("pdf", **{flag: ""})))

    assert "NIM-001" in told
    assert "MTP" not in told


def test_more_records_than_a_pdf_holds_are_refused(manager, cohort, monkeypatch):
    monkeypatch.setattr("crf.redcap.pdf.MOST_RECORDS", 3)
    assert manager("pdf", allRecords="1").status == 200

    monkeypatch.setattr("crf.redcap.pdf.MOST_RECORDS", 2)
    assert manager("pdf", allRecords="1", format="json").status == 400


def test_a_record_of_another_site_is_not_printed(redcap, cohort):
    answer = redcap(Role.COORDINATOR, site="NIM")("pdf", record="MTP-001", format="json")

    assert answer.error == (400, 'The record "MTP-001" does not exist')


@pytest.mark.slow
@pytest.mark.parametrize("text", ["long " * 20_000, "w" * 100_000, "<b>not bold", "\U0001f600 ελληνικά", "a\n" * 2_000])
def test_any_text_can_be_printed(manager, cohort, text):
    saved("adverse_event", {"ae_notes": text}, by=manager.by, record_id="MTP-002")

    answer = manager("pdf", record="MTP-002", instrument="adverse_event")

    assert answer.body.startswith(b"%PDF-")


# Log


def log(caller, **fields):
    return caller("log", format="json", **fields).json


def test_the_log_has_the_newest_first(manager, cohort):
    """Row 56."""
    manager("record", format="json", data=json.dumps([{"record_id": "MTP-002", "race": "ASIAN"}]))
    manager("record", action="delete", records=["NIM-001"])

    rows = log(manager, logtype="record")

    assert list(rows[0]) == ["timestamp", "username", "action", "details", "record"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows[0]["timestamp"])
    deleted, changed = rows[1], rows[2]
    assert {(row["action"], row["record"]) for row in rows[:2]} == {
        ("Delete record (API) NIM-001", "NIM-001"),
        ("Update record (API) NIM-001", "NIM-001"),
    }
    assert deleted["username"] == changed["username"] == "manager"
    assert (changed["action"], changed["details"]) == ("Update record (API) MTP-002", "race = 'ASIAN'")
    created = next(row for row in rows if row["action"] == "Create record (API) MTP-001")
    assert "cle_subtype = 'acle|dle'" in created["details"]
    assert any("[instance = 2], dose_mg = '2.5'" in row["details"] for row in rows)


def test_the_log_by_kind_record_user_and_group(manager, redcap, cohort):
    assert len(log(manager, logtype="record_add")) == 3
    assert len(log(manager, logtype="record_edit")) == 5
    assert log(manager, logtype="record_delete") == log(manager, logtype="export") == []
    assert {row["record"] for row in log(manager, record="nim-001")} == {"NIM-001"}
    assert {row["record"] for row in log(manager, dag=str(group_id("NIM")))} == {"NIM-001"}
    assert log(manager, user="nobody") == []
    assert "Manage/Design" in {row["action"] for row in log(manager, logtype="manage")}
    assert "Add user" in {row["action"] for row in log(manager, logtype="user")}
    assert log(redcap(Role.COORDINATOR, site="MTP"), logtype="manage") == []


def test_the_log_tells_of_locks(manager, cohort):
    locked("MTP-001", form=all_forms()[0], by=manager.by)

    (row,) = log(manager, logtype="lock_record")

    assert row["action"].startswith("Lock/Unlock Record")


def test_the_log_within_a_span(manager, cohort):
    """Row 56: with and without seconds, and midnight as 24:00."""
    now = datetime.now(UTC)
    today, yesterday = f"{now:%Y-%m-%d}", f"{now - timedelta(days=1):%Y-%m-%d}"

    assert len(log(manager, logtype="record_add", beginTime=f"{today} 00:00", endTime=f"{today} 24:00")) == 3
    assert len(log(manager, logtype="record_add", endTime=f"{now:%Y-%m-%d %H:%M:%S}")) == 3
    assert log(manager, logtype="record_add", endTime=f"{yesterday} 12:00") == []
    assert manager("log", format="json", beginTime="soon").error[0] == 400


def test_an_empty_log_has_its_header(manager):
    assert manager("log", format="csv", logtype="page_view").text == "timestamp,username,action,details,record\n"
    assert etree.fromstring(manager("log", logtype="page_view").body).tag == "logs"


def test_the_log_of_a_site_is_for_that_site(redcap, cohort):
    rows = log(redcap(Role.COORDINATOR, site="NIM"))

    assert {row["record"] for row in rows} == {"NIM-001"}


# Reports


def test_there_is_a_report_for_each_form(manager, cohort):
    """Row 57."""
    rows = manager("report", report_id="3", format="csv").csv

    assert list(rows[0])[:4] == ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance", "dose_start"]
    assert [row["dose_mg"] for row in rows if row["redcap_repeat_instance"]] == ["5", "2.5", "5"]


@pytest.mark.parametrize("number", ["0", "6", "", "x", "٣"])
def test_an_unknown_report_does_not_belong_to_the_project(manager, number):
    words = f"The API request cannot complete because report_id={number} does not belong to this project."

    assert manager("report", report_id=number, format="json").error == (403, words)


# Project XML

ODM = "{http://www.cdisc.org/ns/odm/v1.3}"


@pytest.mark.parametrize("spelling", ["returnMetadataOnly", "returnMetaDataOnly"])
def test_the_design_as_odm(manager, cohort, spelling):
    """Row 58."""
    answer = manager("project_xml", **{spelling: "true"})

    root = etree.fromstring(answer.body)
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert (root.tag, root.find(f"{ODM}ClinicalData")) == (f"{ODM}ODM", None)
    forms = [form.get("OID") for form in root.iter(f"{ODM}FormDef")]
    assert forms == [f"Form.{form.form_name()}" for form in all_forms()]


def test_what_the_design_names_is_defined(manager):
    root = etree.fromstring(manager("project_xml", returnMetadataOnly="1").body)

    for kind in ("ItemGroup", "Item", "CodeList"):
        defined = {node.get("OID") for node in root.iter(f"{ODM}{kind}Def" if kind != "CodeList" else f"{ODM}CodeList")}
        named = {node.get(f"{kind}OID") for node in root.iter(f"{ODM}{kind}Ref")}
        assert named == defined


def test_design_and_data_as_odm(manager, cohort):
    root = etree.fromstring(manager("project_xml", exportDataAccessGroups="true", records=["MTP-001"]).body)

    (subject,) = root.iter(f"{ODM}SubjectData")
    assert subject.get("SubjectKey") == "MTP-001"
    forms = [(form.get("FormOID"), form.get("FormRepeatKey")) for form in subject.iter(f"{ODM}FormData")]
    assert forms[1:4] == [("Form.prior_treatment", "1"), ("Form.dosing", "1"), ("Form.dosing", "2")]
    defined = {node.get("OID") for node in root.iter(f"{ODM}ItemDef")}
    assert {node.get("ItemOID") for node in root.iter(f"{ODM}ItemData")} <= defined


# Surveys and what else is not served


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        ("participantList", {}, "The parameter 'instrument' is missing"),
        ("participantList", {"instrument": "nope"}, "Invalid instrument"),
        (
            "participantList",
            {"instrument": "patient"},
            "The instrument 'patient' has not been enabled as a survey",
        ),
        ("surveyLink", {}, "The parameter 'record' is missing"),
        ("surveyLink", {"record": "7"}, 'The record "7" does not exist'),
        ("surveyLink", {"record": "MTP-001"}, "The parameter 'instrument' is missing"),
        (
            "surveyAccessCode",
            {"record": "MTP-001", "instrument": "dosing"},
            "The instrument 'dosing' has not been enabled as a survey",
        ),
        (
            "surveyReturnCode",
            {"record": "MTP-001", "instrument": "dosing"},
            'The instrument "dosing" has not been enabled as a survey',
        ),
        ("surveyQueueLink", {"record": "MTP-001"}, "The survey queue is not enabled in this project."),
        ("externalModule", {}, 'The value of the parameter "content" is not valid'),
        ("tableau", {}, 'The value of the parameter "content" is not valid'),
    ],
)
def test_surveys_are_refused_in_clear_words(manager, cohort, content, fields, words):
    """Row 59."""
    assert manager(content, format="json", **fields).error == (400, words)


@pytest.mark.parametrize("action", ["", "list", "export", "import", "delete", "createFolder"])
def test_there_is_no_file_repository(manager, action):
    """Row 60."""
    assert manager("fileRepository", action=action, format="json").status == 400


def test_nobody_is_randomised(manager, cohort):
    assert manager("record", action="randomize", record="MTP-001", format="json").status == 400
