"""What the two R clients send, byte for byte as they encode it, and what they need to find in the answers.

REDCapR sends urlencoded forms with lists joined by commas and looks at the status first; redcapAPI sends every call as
multipart with lists numbered from 1. Numbers are rows of the checklist of docs/redcap.md.
"""

import csv
import io
import re

import pytest
import requests

from registry.rights import Role

pytestmark = pytest.mark.slow

SYSTEM = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance"]
FLAGS_OF_AN_EXPORT = {
    "format": "csv",
    "type": "flat",
    "rawOrLabel": "raw",
    "rawOrLabelHeaders": "raw",
    "exportCheckboxLabel": "false",
    "exportSurveyFields": "FALSE",
    "exportDataAccessGroups": "FALSE",
    "filterLogic": "",
    "dateRangeBegin": "",
    "dateRangeEnd": "",
    "exportBlankForGrayFormStatus": "FALSE",
    "csvDelimiter": ",",
}


class RedcapR:
    """Sends what REDCapR sends: success is status 200, the body is UTF-8."""

    def __init__(self, address, token):
        self.address, self.token = address, token

    def post(self, **fields):
        answer = requests.post(self.address, data={"token": self.token, **fields}, timeout=30)
        assert answer.encoding == "utf-8"
        return answer.status_code, answer.text

    def frame(self, **fields):
        status, text = self.post(**fields | {"format": "csv"})
        assert status == 200, text
        return list(csv.DictReader(io.StringIO(text, newline="")))


class RedcapApi(RedcapR):
    """Sends what redcapAPI sends: multipart, and it reads the type of the content before anything else."""

    def post(self, *, address=None, **fields):
        parts = {name: (None, value) for name, value in {"token": self.token, **fields}.items()}
        answer = requests.post(address or self.address, files=parts, timeout=30)
        assert re.search(r"charset=utf-8$", answer.headers["Content-Type"])
        assert "doctype html" not in answer.text[:30].lower()
        return answer.status_code, answer.text


@pytest.fixture
def redcapr(address, token):
    """REDCapR of a data manager."""
    return RedcapR(address, token())


@pytest.fixture
def redcapapi(address, token):
    """redcapAPI of another data manager."""
    return RedcapApi(address, token(username="second"))


# REDCapR


def test_redcapr_reads_in_batches_and_misses_no_row(redcapr, cohort):
    """Rows 14, 18 and 19: five calls about the project, the identifiers, then each batch."""
    names = redcapr.frame(content="exportFieldNames")
    status, _text = redcapr.post(content="metadata", format="json")
    assert (names[0]["original_field_name"], status) == ("record_id", 200)
    assert len(redcapr.frame(content="instrument")) == 5
    (project,) = redcapr.frame(content="project")
    assert project["has_repeating_instruments_or_events"] == "1"
    assert len(redcapr.frame(content="dag", action="export")) == 3

    asked = {"content": "record", **FLAGS_OF_AN_EXPORT, "events": "", "forms": ""}
    ids = redcapr.frame(**asked | {"fields": "record_id", "records": ""})
    named = ",".join(row["record_id"] for row in ids)
    rows = redcapr.frame(**asked | {"records": named, "fields": "record_id", "forms": "dosing"})

    assert {row["record_id"] for row in ids} == {row["record_id"] for row in rows}


def test_redcapr_without_rows_gets_one_line_end(redcapr, cohort):
    """Row 22."""
    asked = FLAGS_OF_AN_EXPORT | {"filterLogic": "[sex] = 'X'"}

    assert redcapr.post(content="record", records="", fields="", forms="", events="", **asked) == (200, "\n")


def test_redcapr_writes_and_reads_the_identifiers_back(redcapr, cohort):
    """Rows 32 and 33."""
    status, exported = redcapr.post(content="record", records="", fields="", forms="", events="", **FLAGS_OF_AN_EXPORT)

    written = redcapr.post(
        content="record",
        format="csv",
        type="flat",
        data=exported,
        overwriteBehavior="overwrite",
        returnContent="ids",
        returnFormat="csv",
    )

    assert status == 200
    assert written == (200, "id\nMTP-001\nMTP-002\nNIM-001")


def test_redcapr_deletes_after_asking_for_arms(redcapr, cohort):
    """Rows 7, 39 and 40."""
    arms = redcapr.post(content="arm", format="csv")
    deleted = redcapr.post(
        **{"content": "record", "action": "delete", "records[0]": "MTP-001", "records[1]": "NIM-001"}
    )
    unknown = redcapr.post(**{"content": "record", "action": "delete", "records[0]": "7", "format": "csv"})

    assert arms == (400, "ERROR: You cannot export arms for classic projects")
    assert deleted == (200, "2")
    assert unknown[0] == 400
    assert unknown[1].endswith("The following records do not exist: 7")


def test_redcapr_meets_a_token_that_only_reads(address, token, cohort):
    """Rows 38, 40 and 44."""
    reader = RedcapR(address, token(Role.INVESTIGATOR, site="MTP", username="ines"))

    written = reader.post(content="record", format="csv", data="record_id,race\nMTP-001,ASIAN\n", returnFormat="csv")
    deleted = reader.post(**{"content": "record", "action": "delete", "records[0]": "MTP-001", "format": "csv"})
    groups = reader.post(content="dag", action="export", format="csv")

    assert written == (403, "ERROR: You do not have API Import/Update privileges")
    assert deleted == (403, "ERROR: You do not have Delete Record privileges")
    assert groups[0] == 403
    assert "do not have permission" in groups[1]


def test_redcapr_reads_the_log_to_midnight(redcapr, cohort):
    """Row 56."""
    rows = redcapr.frame(
        content="log",
        logtype="record_add",
        user="",
        record="",
        beginTime="2020-01-01 00:00",
        endTime="2999-12-31 24:00",
    )

    assert [row["action"][:13] for row in rows] == ["Create record"] * 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", row["timestamp"]) for row in rows)


def test_redcapr_parses_rights_to_forms(redcapr, cohort):
    """Row 47."""
    for row in redcapr.frame(content="user"):
        assert all(re.fullmatch(r"\w+:\d{1,3}", right) for right in row["forms"].split(","))


def test_redcapr_downloads_a_form_under_its_name(address, token, cohort):
    """Row 55: everything after `name=` of every header is the name."""
    fields = {"token": token(), "content": "pdf", "record": "MTP-001", "instrument": "", "event": ""}

    answer = requests.post(address, data=fields, timeout=30)

    named = [value for value in answer.headers.values() if "name=" in value]
    assert named == ['application/pdf; name="forms_MTP-001.pdf"']
    assert answer.content.startswith(b"%PDF-")


def test_redcapr_is_told_that_there_are_no_surveys_and_which_field_holds_no_file(redcapr, cohort):
    """Rows 54 and 59."""
    link = redcapr.post(content="surveyLink", record="MTP-001", instrument="patient", event="", format="csv")
    file = redcapr.post(content="file", action="export", record="MTP-001", field="sex", event="", returnFormat="csv")

    assert link == (400, "ERROR: The instrument 'patient' has not been enabled as a survey")
    assert file == (400, "ERROR: The field 'sex' does not exist or is not a 'file' field")


# redcapAPI


def test_redcapapi_connects_with_and_without_the_slash(redcapapi, address):
    """Rows 3 and 4."""
    for at in (address, address.rstrip("/")):
        assert redcapapi.post(address=at, content="version", format="csv") == (200, "14.5.0")
    redcapapi.token = "0" * 32
    assert redcapapi.post(content="version", format="csv") == (
        403,
        "ERROR: You do not have permissions to use the API",
    )


def test_redcapapi_exports_typed_records(redcapapi, cohort):
    """Rows 27 and 28."""
    fixed = {
        "content": "record",
        "format": "csv",
        "type": "flat",
        "exportSurveyFields": "true",
        "exportDataAccessGroups": "true",
        "csvDelimiter": ",",
        "returnFormat": "csv",
        "outputFormat": "csv",
    }
    status, ids = redcapapi.post(**fixed, **{"fields[1]": "record_id"})
    names = [line.split(",")[0] for line in ids.splitlines()[1:]]
    fields = {f"fields[{n}]": name for n, name in enumerate(["record_id", "dose_mg", "lesion_photo"], start=1)}

    _status, text = redcapapi.post(
        **fixed, **fields, **{f"records[{n}]": name for n, name in enumerate(names, start=1)}
    )

    assert (status, names) == (200, ["MTP-001", "MTP-002", "NIM-001"])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [*SYSTEM, "redcap_data_access_group", "dose_mg", "lesion_photo"]
    assert [row["dose_mg"] for row in rows] == ["", "5", "2.5", "", "", "5"]


def test_redcapapi_imports_and_gets_a_frame_of_ids(redcapapi, cohort):
    """Row 34."""
    answer = redcapapi.post(
        content="record",
        format="csv",
        type="flat",
        overwriteBehavior="normal",
        forceAutoNumber="false",
        returnContent="ids",
        returnFormat="csv",
        dateFormat="YMD",
        data='"record_id","race"\n"MTP-001","ASIAN"\n"MTP-002","BLACK"',
    )

    assert answer == (200, "id\nMTP-001\nMTP-002")


def test_redcapapi_gets_bare_values(redcapapi, cohort):
    """Rows 2, 39, 42, 43 and 45: these calls name no format."""
    assert redcapapi.post(content="version") == (200, "14.5.0")
    assert redcapapi.post(content="dag", action="switch", dag="nim") == (200, "1")
    assert redcapapi.post(content="generateNextRecordName") == (200, "NIM-002")
    renamed = redcapapi.post(content="record", action="rename", record="NIM-001", new_record_name="NIM-009")
    assert renamed == (200, "1")
    assert redcapapi.post(**{"content": "record", "action": "delete", "records[1]": "NIM-009"}) == (200, "1")
    assert redcapapi.post(content="dag", action="switch", dag="")[0] == 200


def test_redcapapi_meets_the_errors_that_it_takes_for_empty(redcapapi, cohort):
    """Rows 8, 60: it compares whole bodies."""
    bodies = [redcapapi.post(content=content, format="csv") for content in ("event", "formEventMapping", "mycap")]

    assert bodies == [
        (400, "ERROR: You cannot export events for classic projects"),
        (400, "ERROR: You cannot export form/event mappings for classic projects"),
        (400, 'ERROR: The value of the parameter "content" is not valid'),
    ]
    assert redcapapi.post(content="fileRepository", action="list", format="csv", returnFormat="csv")[0] == 400


def test_redcapapi_saves_the_project_as_xml(redcapapi, cohort):
    """Row 58."""
    status, text = redcapapi.post(content="project_xml", returnMetaDataOnly="false", exportFiles="false")

    assert status == 200
    assert text.rstrip().endswith("</ODM>")
