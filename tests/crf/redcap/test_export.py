"""Record export. Rows 15 to 29 of the checklist."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.db import connection
from lxml import etree

from crf.fields import Variable
from crf.forms import all_forms
from crf.redcap.stored import text_of
from registry.rights import Role
from tests.crf.examples import saved

pytestmark = pytest.mark.django_db

SYSTEM = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance"]
DOSING = [
    "dose_start",
    "dose_end",
    "dose_mg",
    "dose_schedule",
    "dose_reason",
    "dose_stop_reason",
    "antithrombotic",
    "dosing_complete",
]
EVERY_ROW = [
    ("MTP-001", "", ""),
    ("MTP-001", "prior_treatment", 1),
    ("MTP-001", "dosing", 1),
    ("MTP-001", "dosing", 2),
    ("MTP-001", "adverse_event", 1),
    ("MTP-002", "", ""),
    ("NIM-001", "", ""),
    ("NIM-001", "dosing", 1),
]


def keys(rows):
    return [tuple(row[name] for name in SYSTEM) for row in rows]


def test_everything_is_a_base_row_and_a_row_for_each_instance(manager, cohort):
    """Row 15: every value is a text, but the number of an instance is a number."""
    rows = manager("record", format="json").json

    assert keys(rows) == EVERY_ROW
    others = {type(value) for row in rows for name, value in row.items() if name != "redcap_repeat_instance"}
    assert others == {str}
    assert len({tuple(row) for row in rows}) == 1


def test_a_row_is_blank_but_for_its_own_form(manager, cohort):
    base, _treatment, dose = manager("record", format="json").json[:3]

    held = {name: value for name, value in base.items() if value}
    assert held == {
        "record_id": "MTP-001",
        "birth_date": "1970-05-01",
        "sex": "F",
        **{f"cle_subtype___{code}": "1" if code in ("acle", "dle") else "0" for code in CLE},
        "systemic_lupus": "0",
        "neuropathy_history": "0",
        "thrombosis_history": "0",
        "non_opposition_date": "2018-11-12",
        "patient_complete": "2",
    }
    assert {name: value for name, value in dose.items() if value} == {
        "record_id": "MTP-001",
        "redcap_repeat_instrument": "dosing",
        "redcap_repeat_instance": 1,
        "dose_start": "2020-01-01",
        "dose_end": "2020-01-31",
        "dose_mg": "5",
        "dose_schedule": "daily",
        "dose_reason": "initiation",
        "antithrombotic": "aspirin",
        "dosing_complete": "2",
    }


CLE = ["acle", "scle", "dle", "lep", "chle", "let", "other"]


def test_csv_keeps_letters_quotes_and_line_ends(manager, cohort):
    """Row 16."""
    answer = manager("record", format="csv", records=["NIM-001"], fields=["record_id", "patient_notes"])

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.text == (
        "record_id,redcap_repeat_instrument,redcap_repeat_instance,patient_notes\n"
        'NIM-001,,,"Élan, ""vital""\nligne 2"\n'
    )


def test_the_three_formats_hold_the_same(manager, cohort):
    as_json = manager("record", format="json").json

    rows = [{name: str(value) for name, value in row.items()} for row in as_json]
    assert manager("record", format="csv").csv == rows
    document = etree.fromstring(manager("record", format="xml").body)
    assert [{cell.tag: cell.text or "" for cell in item} for item in document] == rows


@pytest.mark.parametrize("text", ["a]]>b", "<b>&amp;", "x\r\ny", "\ttab ", "\\'\"", "\U0001f600", "\ufffe"])
def test_any_text_is_well_formed_in_every_format(manager, cohort, text):
    saved("adverse_event", {"ae_notes": text}, by=manager.by, record_id="MTP-002")
    asked = {"records": ["MTP-002"], "fields": ["ae_notes"]}

    (as_json,) = manager("record", format="json", **asked).json
    (as_csv,) = manager("record", format="csv", **asked).csv
    (as_xml,) = etree.fromstring(manager("record", format="xml", **asked).body)

    assert as_json["ae_notes"] == as_csv["ae_notes"] == text
    assert as_xml.findtext("ae_notes") == text.replace("\ufffe", "\ufffd")


def test_a_form_and_what_the_python_client_asks_with_it(manager, cohort):
    """Row 17: forms and fields together, in the order of the dictionary."""
    rows = manager("record", format="json", forms=["dosing"], fields=["dosing_complete", "record_id"]).json

    assert list(rows[0]) == [*SYSTEM, *DOSING]
    assert keys(rows) == [row for row in EVERY_ROW if row[1] in ("", "dosing")]


def test_without_the_record_id_only_rows_with_data_are_there(manager, cohort):
    rows = manager("record", format="json", fields=["dose_end"]).json

    assert rows == [{"dose_end": "2020-01-31"}, {"dose_end": ""}, {"dose_end": ""}]
    assert manager("record", format="json", fields=["vital_status"]).json == []


def test_the_status_alone_makes_a_row(manager, cohort):
    rows = manager("record", format="json", fields=["adverse_event_complete"]).json

    assert rows == [{"adverse_event_complete": "2"}]


def test_lists_joined_by_commas_and_words_for_no(manager, cohort):
    """Row 18."""
    answer = manager(
        "record",
        format="csv",
        records="MTP-001,NIM-001",
        fields="record_id,sex",
        forms="",
        filterLogic="",
        exportSurveyFields="FALSE",
        exportDataAccessGroups="FALSE",
        exportBlankForGrayFormStatus="FALSE",
        rawOrLabel="raw",
        rawOrLabelHeaders="raw",
        exportCheckboxLabel="FALSE",
    )

    assert answer.text.splitlines()[1:] == ["MTP-001,,,F", "NIM-001,,,M"]


def test_every_record_has_a_base_row_when_the_record_id_is_asked_for(manager, cohort):
    """Row 19: the R client counts on it."""
    ids = manager("record", format="csv", fields="record_id").csv

    rows = manager("record", format="csv", fields="record_id", forms="dosing", records="MTP-001,MTP-002,NIM-001").csv

    assert [row["record_id"] for row in ids] == ["MTP-001", "MTP-002", "NIM-001"]
    assert {row["record_id"] for row in rows} == {row["record_id"] for row in ids}


def test_labels_and_the_group_after_the_instance(manager, cohort):
    """Row 20."""
    rows = manager(
        "record",
        format="json",
        rawOrLabel="label",
        exportCheckboxLabel="TRUE",
        exportDataAccessGroups="True",
        fields=["record_id", "sex", "cle_subtype", "systemic_lupus", "patient_complete", "dose_schedule", "race"],
    ).json

    assert list(rows[0])[:5] == [*SYSTEM, "redcap_data_access_group", "sex"]
    told = {name: value for name, value in rows[0].items() if value and name not in SYSTEM}
    assert told == {
        "redcap_data_access_group": "Montpellier",
        "sex": "Female",
        "cle_subtype___acle": "Acute",
        "cle_subtype___dle": "Chronic discoid",
        "systemic_lupus": "No",
        "patient_complete": "Complete",
    }
    assert (rows[1]["redcap_repeat_instrument"], rows[1]["dose_schedule"]) == ("Dosing", "Every day")
    assert rows[3]["race"] == "Not asked"


def test_labels_of_boxes_are_checked_and_unchecked(manager, cohort):
    (row,) = manager("record", format="json", records=["MTP-002"], fields=["cle_subtype"], rawOrLabel="label").json

    assert [row[f"cle_subtype___{code}"] for code in ("dle", "acle")] == ["Checked", "Unchecked"]


def test_an_unknown_word_for_raw_or_label_means_raw(manager, cohort):
    (row,) = manager("record", format="json", records=["MTP-002"], fields=["sex"], rawOrLabel="both").json

    assert row == {"sex": "M"}


def test_groups_are_named_by_their_unique_name_and_not_told_to_their_members(manager, redcap, cohort):
    asked = {"format": "json", "fields": ["record_id"], "exportDataAccessGroups": "true"}

    groups = [row["redcap_data_access_group"] for row in manager("record", **asked).json]

    assert groups == ["mtp", "mtp", "nim"]
    assert list(redcap(Role.COORDINATOR, site="MTP")("record", **asked).json[0]) == SYSTEM


def test_headings_for_people(manager, cohort):
    """Row 21."""
    answer = manager("record", format="csv", rawOrLabelHeaders="label", fields="record_id,cle_subtype,dose_mg")

    (header,) = csv.reader(io.StringIO(answer.text.splitlines()[0]))
    assert header[:4] == [
        "Patient study identifier",
        "Repeat Instrument",
        "Repeat Instance",
        "Subtypes of cutaneous lupus erythematosus (choice=Acute)",
    ]
    assert header[-1] == "Lenalidomide dose on a dosing day"


@pytest.mark.parametrize(("form", "body"), [("json", "[]"), ("csv", "\n")])
@pytest.mark.parametrize("records", ["STR-001", "nonsense", "MTP-001' OR 1=1"])
def test_no_record_is_no_row(manager, cohort, form, body, records):
    """Row 22: unknown records are left out silently; if none is left, the answer is empty."""
    assert manager("record", format=form, records=[records]).text == body


def test_the_span_of_changes(manager, cohort, sites):
    """Row 25: both ends count, to the second."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"

    def found(**span):
        answer = manager("record", format="json", fields=["record_id"], **span)
        return [row["record_id"] for row in answer.json]

    everybody = ["MTP-001", "MTP-002", "NIM-001"]
    assert found(dateRangeBegin=f"{today} 00:00:00") == everybody
    assert found(dateRangeBegin=today, dateRangeEnd=today) == everybody
    assert found(dateRangeEnd="2020-01-01 00:00:00") == []
    assert found(dateRangeBegin=today.replace("-", "/") + "T00:00", dateRangeEnd="") == everybody
    assert found(dateRangeBegin="2999-01-01") == []


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "2024-02-30 10:00", "2024-02-01 24:01", "0000-00-00"])
def test_what_is_no_time_is_refused(manager, text):
    assert manager("record", format="json", dateRangeBegin=text).error[0] == 400


def test_eav_has_a_row_for_each_value(manager, cohort):
    """Row 26."""
    rows = manager("record", format="json", type="eav", records=["MTP-001"]).json

    told = [(row["field_name"], row["value"], row["redcap_repeat_instance"]) for row in rows]
    assert told[:5] == [
        ("record_id", "MTP-001", ""),
        ("birth_date", "1970-05-01", ""),
        ("sex", "F", ""),
        ("cle_subtype", "acle", ""),
        ("cle_subtype", "dle", ""),
    ]
    assert ("dose_mg", "2.5", 2) in told
    assert ("dosing_complete", "2", 2) in told
    assert all(value for _name, value, _instance in told)


def test_eav_in_every_format(manager, cohort):
    as_json = manager("record", format="json", type="eav", exportDataAccessGroups="1").json
    as_csv = manager("record", format="csv", type="eav", exportDataAccessGroups="1")

    assert as_csv.text.splitlines()[0] == "record,field_name,value,redcap_repeat_instrument,redcap_repeat_instance"
    rows = [{name: str(value) for name, value in row.items()} for row in as_json]
    assert as_csv.csv == rows
    answer = manager("record", format="xml", type="eav", exportDataAccessGroups="1")
    assert [{cell.tag: cell.text or "" for cell in item} for item in etree.fromstring(answer.body)] == rows
    assert "<record>MTP-001</record>" in answer.text
    assert "<value><![CDATA[mtp]]></value>" in answer.text


def test_eav_labels(manager, cohort):
    rows = manager("record", format="json", type="eav", rawOrLabel="label", records=["MTP-001"], fields=["cle_subtype"])

    assert [row["value"] for row in rows.json] == ["Acute", "Chronic discoid"]


def test_what_the_second_r_client_sends_batch_by_batch(manager, cohort):
    """Rows 27 and 28: multipart, lists with numbers from 1, survey fields asked for."""
    fixed = {"format": "csv", "type": "flat", "csvDelimiter": ",", "returnFormat": "csv", "exportSurveyFields": "true"}

    ids = manager.multipart("record", fields=["record_id"], **fixed).csv
    answer = manager.multipart(
        "record",
        fields=["record_id", "dose_mg", "lesion_photo"],
        records=[row["record_id"] for row in ids],
        exportDataAccessGroups="true",
        **fixed,
    )

    assert answer.text.splitlines()[0] == ",".join([*SYSTEM, "redcap_data_access_group", "dose_mg", "lesion_photo"])
    assert [row["dose_mg"] for row in answer.csv] == ["", "5", "2.5", "", "", "5"]


def test_unknown_fields_and_forms_are_refused(manager, cohort):
    """Row 29: also the columns of a checkbox and what starts with redcap_."""
    refused = manager("record", format="json", fields=["nope", "sex", "cle_subtype___dle", "redcap_repeat_instance"])

    names = "'nope', 'cle_subtype___dle', 'redcap_repeat_instance'"
    assert refused.error == (400, f'The following values in the parameter "fields" are not valid: {names}')
    text = "The following values in the parameter \"forms\" are not valid: 'nope'"
    assert manager("record", format="json", forms=["nope"]).error == (400, text)


@pytest.mark.parametrize(
    ("sent", "delimiter"), [("tab", "\t"), ("\t", "\t"), (";", ";"), ("|", "|"), ("^", "^"), ("x", ",")]
)
def test_the_delimiter_is_the_one_asked_for(manager, cohort, sent, delimiter):
    answer = manager("record", format="csv", fields="record_id,sex", records="MTP-001", csvDelimiter=sent)

    assert answer.text.splitlines()[1] == delimiter.join(["MTP-001", "", "", "F"])


def test_the_decimal_mark_is_the_one_asked_for(manager, cohort):
    rows = manager("record", format="json", fields=["dose_mg"], decimalCharacter=",").json

    assert rows[1] == {"dose_mg": "2,5"}


def test_a_reason_stands_in_the_cell_and_in_each_column_of_a_checkbox(manager, cohort):
    reasons = {"cle_subtype": "UNK", "birth_date": "NAV"}
    changes = dict.fromkeys(reasons) | {"sex": "M"}
    saved("patient", changes, by=manager.by, record_id="MTP-003", site="MTP", missing=reasons, status="incomplete")

    (row,) = manager("record", format="json", records=["MTP-003"], fields=["birth_date", "cle_subtype"]).json
    eav = manager("record", format="json", type="eav", records=["MTP-003"], fields=["birth_date", "cle_subtype"]).json

    assert row == {"birth_date": "NAV"} | {f"cle_subtype___{code}": "UNK" for code in CLE}
    assert [(fact["field_name"], fact["value"]) for fact in eav] == [("birth_date", "NAV"), ("cle_subtype", "UNK")]


# Who sees what


def test_a_token_of_one_site_sees_that_site_only(redcap, cohort):
    coordinator = redcap(Role.COORDINATOR, site="NIM")
    everywhere_for_one_site = redcap(Role.DATA_MANAGER, token_site="NIM", username="narrow")

    for caller in (coordinator, everywhere_for_one_site):
        for kind in ("flat", "eav"):
            assert "MTP" not in caller("record", format="csv", type=kind).text
        assert keys(caller("record", format="json").json) == EVERY_ROW[6:]
        assert caller("record", format="json", records=["MTP-001"]).json == []
        assert "MTP" not in caller("record", format="odm").text


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.COORDINATOR, True), (Role.INVESTIGATOR, True), (Role.DATA_MANAGER, True), (Role.MONITOR, False)],
)
@pytest.mark.parametrize("content", ["record", "report", "project_xml", "pdf"])
def test_who_may_export_identifiers_may_export(redcap, cohort, role, may, content):
    answer = redcap(role, site="MTP")(content, format="json", returnFormat="json", report_id="1")

    assert answer.status == (200 if may else 403)
    if not may:
        assert answer.json == {"error": "You do not have API Export privileges"}


def test_deleted_entries_are_not_exported(manager, cohort):
    manager("record", action="delete", records=["MTP-001"])

    assert keys(manager("record", format="json").json) == EVERY_ROW[5:]


# How it is made


def test_every_kind_of_variable_is_spelled_by_the_database_as_by_itself(cohort):
    for form in all_forms():
        names = [name for name in form.variables() if name != "record_id"]
        spelled = ", ".join(text_of(name, form.variables()[name]) for name in names)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {spelled} FROM {form._meta.db_table} ORDER BY id")  # noqa: S608 -- from the declaration
            told = cursor.fetchall()
        for entry, row in zip(form.objects.order_by("id"), told, strict=True):
            for name, text in zip(names, row, strict=True):
                variable: Variable = form.variables()[name]
                joined = "|".join(text) if isinstance(text, list) else text or ""
                assert joined == variable.to_text(getattr(entry, name)), name
