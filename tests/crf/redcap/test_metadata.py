"""What the project consists of. Rows 6 to 14 and 50 of the checklist."""

import csv
from pathlib import Path

import pytest
from lxml import etree

from crf.forms import all_forms
from crf.redcap.columns import suffix_of
from registry.rights import Role

pytestmark = pytest.mark.django_db

DICTIONARY = Path(__file__).parents[3] / "docs" / "data-dictionary.csv"
CLASSIC = {
    "arm": "You cannot export arms for classic projects",
    "event": "You cannot export events for classic projects",
    "formEventMapping": "You cannot export form/event mappings for classic projects",
}
FORMS = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]


@pytest.mark.parametrize(("content", "text"), CLASSIC.items())
def test_a_classic_project_says_so_in_the_exact_words(manager, content, text):
    """Rows 6, 7 and 8."""
    csv_answer, json_answer = manager(content, format="csv", arms=""), manager(content, format="json")

    assert (csv_answer.status, csv_answer.text) == (400, f"ERROR: {text}")
    assert json_answer.error == (400, text)


@pytest.mark.parametrize("content", ["metadata", *CLASSIC])
def test_the_design_cannot_be_imported(manager, content):
    """Row 50."""
    answer = manager(content, format="json", action="import", data="[]")

    assert answer.error == (400, "This method cannot be used while the project is in Production status.")
    assert manager("metadata", format="json", data="[]").error == answer.error


def test_the_metadata_are_the_dictionary(manager):
    """Row 9: 18 columns, the record id first, texts only."""
    with DICTIONARY.open(encoding="utf-8", newline="") as file:
        agreed = list(csv.reader(file))

    as_json, as_csv = manager("metadata", format="json").json, manager("metadata", format="csv")

    assert [list(row.values()) for row in as_json] == agreed[1:]
    assert (len(as_json[0]), as_json[0]["field_name"]) == (18, "record_id")
    assert as_csv.csv == as_json
    assert "\r" not in as_csv.text


def test_metadata_of_some_fields_and_forms(manager):
    """Row 9: lists with numbers from 0 and from 1; unknown names select nothing."""
    of_fields = manager.multipart("metadata", format="json", fields=["dose_mg", "sex"]).json
    of_form = manager("metadata", format="json", forms=["dosing"], fields=["sex"]).json

    assert [row["field_name"] for row in of_fields] == ["sex", "dose_mg"]
    assert {row["form_name"] for row in of_form} == {"patient", "dosing"}
    assert manager("metadata", format="json", fields=["nope"]).json == []


def test_metadata_as_xml(manager):
    root = etree.fromstring(manager("metadata").body)

    assert (root.tag, {item.tag for item in root}) == ("records", {"item"})
    assert root[0].findtext("field_name") == "record_id"


def test_the_export_field_names_are_the_columns_of_an_export(manager, cohort):
    """Rows 10 and 14: checkboxes one a choice, statuses, no files; the record id first."""
    rows = manager("exportFieldNames", format="json").json

    header = manager("record", format="csv").text.splitlines()[0].split(",")
    system = ["redcap_repeat_instrument", "redcap_repeat_instance", "lesion_photo"]
    assert [row["export_field_name"] for row in rows] == [name for name in header if name not in system]
    assert rows[0] == {"original_field_name": "record_id", "choice_value": "", "export_field_name": "record_id"}
    assert rows[4] == {
        "original_field_name": "cle_subtype",
        "choice_value": "acle",
        "export_field_name": "cle_subtype___acle",
    }


def test_the_export_field_names_of_one_field(manager):
    """Row 10."""
    rows = manager("exportFieldNames", format="csv", field="ae_serious_criteria").csv

    assert len(rows) == 6
    assert manager("exportFieldNames", format="json", field="nope").error == (400, "Invalid field")
    root = etree.fromstring(manager("exportFieldNames", field="sex").body)
    assert (root.tag, root[0].tag, root[0].findtext("choice_value")) == ("fields", "field", "")


@pytest.mark.parametrize(
    ("code", "suffix"), [("-9", "_9"), ("A.b", "a_b"), ("d21_28", "d21_28"), ("Ä!x", "x"), ("a-b.c", "a_b_c")]
)
def test_a_code_in_the_name_of_a_column(code, suffix):
    assert suffix_of(code) == suffix


def test_the_suffixes_of_a_checkbox_tell_its_codes_apart():
    for form in all_forms():
        for name, variable in form.variables().items():
            assert len({suffix_of(code) for code in variable.codes}) == len(variable.codes), name


def test_the_instruments(manager):
    """Row 11."""
    rows = manager("instrument", format="csv").csv

    assert [row["instrument_name"] for row in rows] == FORMS
    assert rows[2]["instrument_label"] == "Dosing"


def test_the_repeating_instruments(manager):
    """Row 12."""
    rows = manager("repeatingFormsEvents", format="json").json

    assert rows == [{"form_name": name, "custom_form_label": ""} for name in FORMS[1:]]
    assert manager("repeatingFormsEvents", format="json", data="[]").status == 400


def test_the_project(manager, cohort):
    """Row 13: one object, not a list; flags are numbers."""
    told = manager("project", format="json").json

    assert len(told) == 26
    assert (told["is_longitudinal"], told["has_repeating_instruments_or_events"]) == (0, 1)
    assert told["missing_data_codes"] == "UNK, Unknown | NASK, Not asked | NAV, Not available | NA, Not applicable"
    (row,) = manager("project", format="csv").csv
    assert row == {name: str(value) for name, value in told.items()}
    assert etree.fromstring(manager("project").body).findtext("in_production") == "1"


def test_a_project_cannot_be_made(manager):
    assert manager("project", format="json", data="{}").status == 403
    assert manager("project_settings", format="json", data="{}").status == 400


@pytest.mark.parametrize(
    "content", ["metadata", "exportFieldNames", "instrument", "repeatingFormsEvents", "project", "version"]
)
@pytest.mark.parametrize("role", Role)
def test_everybody_with_a_role_may_read_what_the_project_consists_of(redcap, role, content):
    assert redcap(role, site="MTP")(content, format="csv").status == 200
