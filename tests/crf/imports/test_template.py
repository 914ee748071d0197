"""The template: what stands in it, and that it changes nothing when it comes back as it is."""

import io
from datetime import date, datetime

import openpyxl
import pytest

from crf.forms import all_forms, forms_by_name
from crf.imports.csv_reading import guarded, unguarded
from crf.imports.template import csv_template, workbook_template
from registry.acting import Door, acting
from tests.conftest import see_everything
from tests.crf.examples import COMPLETE, saved
from tests.crf.imports.conftest import findings

pytestmark = pytest.mark.django_db
TODAY = date(2024, 3, 12)
HOSTILE = ["=1+1", "+49", "-x", "@sum", "'quoted", "'=1", '<script>alert("x")</script> & co', "_x0041_", "  blanks  "]


@pytest.fixture
def site_with_data(coordinator, data_manager):
    """A patient with every form at MTP, one elsewhere."""
    saved("patient", {"patient_notes": "first\r\nsecond\ttab", "missing": {"race": "UNK"}}, by=coordinator)
    for form in (form.form_name() for form in all_forms() if form.repeating):
        saved(form, by=coordinator, record_id="MTP-001")
    for text in HOSTILE:
        saved("adverse_event", {"ae_term": text}, by=coordinator, record_id="MTP-001")
    saved("patient", by=data_manager, site="NIM")


def template(by, *forms, site="MTP"):
    wanted = [forms_by_name()[name] for name in forms] or list(all_forms())
    with acting(by, door=Door.REST):
        content = workbook_template(wanted, site=site, by=by, today=TODAY)
    see_everything()
    return content


def test_the_workbook_brought_back_as_it_is_changes_nothing(importer, coordinator, site_with_data):
    brought = importer.bring(content=template(coordinator), name="template.xlsx")

    assert {row[0] for row in findings(brought)} == {"unchanged"}
    assert [row[1] for row in findings(brought)] == [[]] * (5 + len(HOSTILE))


def test_a_workbook_that_another_program_saved_again_changes_nothing(importer, coordinator, site_with_data):
    book = openpyxl.load_workbook(io.BytesIO(template(coordinator)))
    again = io.BytesIO()
    book.save(again)

    brought = importer.bring(content=again.getvalue(), name="template.xlsx")

    assert {row[0] for row in findings(brought)} == {"unchanged"}


@pytest.mark.parametrize("form", list(COMPLETE))
def test_the_csv_template_brought_back_as_it_is_changes_nothing(form, importer, coordinator, site_with_data):
    with acting(coordinator, door=Door.REST):
        content = csv_template(forms_by_name()[form], site="MTP", by=coordinator)
    see_everything()

    brought = importer.bring(content=content.encode(), name="template.csv")

    assert {row[0] for row in findings(brought)} == {"unchanged"}
    assert not any(line.startswith(("=", "+", "@")) for line in content.split(","))


@pytest.mark.parametrize("text", ["", "plain", "'", "''", "'a", *HOSTILE, "'+", "'''="])
def test_what_is_guarded_from_spreadsheets_comes_back_as_it_was(text):
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@"))


def test_the_workbook_holds_the_site_and_no_other(coordinator, data_manager, site_with_data):
    for by in (coordinator, data_manager):
        book = openpyxl.load_workbook(io.BytesIO(template(by, "patient")))

        assert [cell.value for cell in book["patient"]["A"]][1:] == ["record_id", "MTP-001"]


def test_keys_are_locked_and_input_is_open(coordinator, site_with_data):
    sheet = openpyxl.load_workbook(io.BytesIO(template(coordinator, "dosing")))["dosing"]

    assert sheet.protection.sheet is True
    assert sheet.protection.password is None
    names = [cell.value for cell in sheet[2]]
    assert names[:5] == ["record_id", "instance", "version", "status", "dose_start"]
    assert [cell.protection.locked for cell in sheet[3][:5]] == [True, True, True, False, False]
    assert isinstance(sheet.cell(3, 5).value, datetime)
    assert sheet.cell(3, 5).number_format == r"yyyy\-mm\-dd"
    widths = sheet.column_dimensions
    assert [widths[letter].protection.locked for letter in "ABCDE"] == [False, True, True, False, False]


def test_codes_have_lists_and_headers_have_notes(coordinator, site_with_data):
    book = openpyxl.load_workbook(io.BytesIO(template(coordinator, "dosing")))
    sheet = book["dosing"]
    names = [cell.value for cell in sheet[2]]
    lists = {
        str(rule.sqref).split(":")[0]: rule.formula1
        for rule in sheet.data_validations.dataValidation
        if rule.type == "list"
    }

    schedule = openpyxl.utils.get_column_letter(names.index("dose_schedule") + 1)
    offered = [
        cell.value for row in book["lists"][lists[f"{schedule}3"].split("!")[1].replace("$", "")] for cell in row
    ]
    assert offered == [
        "daily = Every day",
        "alternate_days = Every other day",
        "d21_28 = 21 days of 28",
        "other = Other",
        "CLEAR",
    ]
    assert sheet[f"{schedule}3"].value == "daily = Every day"
    note = sheet.cell(2, names.index("dose_mg") + 1).comment.text
    assert note.splitlines() == [
        "Lenalidomide dose on a dosing day",
        "mg; 0 while interrupted",
        "Unit: mg",
        "Limits: 0 … 25",
        "Needed for a complete form.",
    ]
    assert book["lists"].sheet_state == "hidden"


def test_no_cell_is_a_formula(coordinator, site_with_data):
    book = openpyxl.load_workbook(io.BytesIO(template(coordinator)))

    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds


def test_a_text_too_long_for_a_cell_is_left_blank_and_named(importer, coordinator):
    saved("patient", {"patient_notes": "x" * 32_768}, by=coordinator)

    content = template(coordinator, "patient")

    told = [cell.value for cell in openpyxl.load_workbook(io.BytesIO(content))["read_me"]["A"]]
    assert "patient MTP-001 1 patient_notes" in told[-1]
    assert findings(importer.bring(content=content, name="t.xlsx")) == [("unchanged", [])]
