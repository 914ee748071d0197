"""The workbook in real hands: downloaded, filled in with another program, brought back, looked at, applied, undone."""

import openpyxl
import pytest
from django.urls import reverse

from crf.entry import change_entry
from crf.forms import forms_by_name
from crf.models.adverse_event import AdverseEvent
from crf.models.import_file import Import
from crf.models.patient import Patient
from registry.acting import Door, acting
from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import caller_now, make_person, see_everything
from tests.crf.examples import patch, saved

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def of_mtp(sites):
    """A coordinator of MTP, with two patients, an adverse event and a data manager who changes things."""
    person = make_person(Role.COORDINATOR, site="MTP")
    by = caller_now(person)
    for _number in range(2):
        saved("patient", {"race": "WHITE"}, by=by)
    saved("adverse_event", {"ae_notes": "<b>not bold</b>"}, by=by, record_id="MTP-001")
    return person


def download(tab, tmp_path):
    tab.goto(reverse("page-imports"))
    with tab.expect_download() as downloading:
        tab.get_by_role("button", name="Excel workbook").click()
    path = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(path)
    return path


def fill(path, changes):
    """Put values into cells of a workbook, by sheet, row and column name, as a person with another program would."""
    book = openpyxl.load_workbook(path)
    for (sheet, row, column), value in changes.items():
        names = [cell.value for cell in book[sheet][2]]
        book[sheet].cell(row, names.index(column) + 1).value = value
    book.save(path)


def bring(tab, path):
    tab.goto(reverse("page-imports"))
    tab.get_by_role("link", name="Bring a file").click()
    tab.get_by_label("File", exact=True).set_input_files(path)
    tab.get_by_role("button", name="Show the preview").click()


def changed_meanwhile(form, record_id, changes):
    by = caller_now(make_person(Role.DATA_MANAGER, username="datamanager"))
    with acting(by, door=Door.REST):
        change_entry(forms_by_name()[form], record_id, 1, patch(form, changes), by=by, version=1, reason="seen again")
    see_everything()


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False}], ids=["with scripts", "without"])
def test_a_workbook_goes_out_and_comes_back_and_is_undone(at, of_mtp, tmp_path, options):
    tab = at(person=of_mtp, **options)
    path = download(tab, tmp_path)
    fill(
        path,
        {
            ("patient", 3, "race"): "ASIAN = Asian",
            ("patient", 4, "vital_status"): "alive = Alive",
            ("adverse_event", 3, "ae_notes"): "<img src=x onerror=alert(1)>",
            ("adverse_event", 4, "record_id"): "MTP-002",
            ("adverse_event", 4, "ae_term"): "Rash",
        },
    )

    bring(tab, path)

    preview = tab.get_by_role("table")
    assert preview.get_by_text("Asian").is_visible()
    assert preview.get_by_text("<b>not bold</b>").is_visible()
    assert preview.get_by_text("<img src=x onerror=alert(1)>").is_visible()
    assert tab.get_by_role("link", name="New 1").is_visible()
    tab.get_by_label("Reason for the change").fill("Abstracted offline")
    tab.get_by_role("button", name="Apply 4 cells").click()
    tab.get_by_text("The import was applied.").wait_for()
    assert Patient.objects.get(record_id="MTP-001").race == "ASIAN"
    assert AdverseEvent.objects.get(patient_id="MTP-002").ae_term == "Rash"

    tab.get_by_text("Undo this import").click()
    tab.get_by_label("Reason for undoing it").fill("Wrong patient")
    tab.get_by_role("button", name="Undo", exact=True).click()
    tab.get_by_text("The import was undone").wait_for()
    assert Patient.objects.get(record_id="MTP-001").race == "WHITE"
    assert AdverseEvent.objects.get(patient_id="MTP-002").deleted_at is not None


def test_a_newer_value_is_shown_and_chosen(at, of_mtp, tmp_path):
    tab = at(person=of_mtp)
    path = download(tab, tmp_path)
    fill(path, {("patient", 3, "race"): "ASIAN", ("patient", 3, "vital_status"): "dead"})
    changed_meanwhile("patient", "MTP-001", {"race": "BLACK"})

    bring(tab, path)

    tab.get_by_text("Changed by datamanager").wait_for()
    assert tab.get_by_role("button", name="Apply").count() == 0
    tab.get_by_label("the saved one").check()
    tab.get_by_role("button", name="Keep these choices").click()
    tab.get_by_label("Reason for the change").fill("Abstracted offline")
    tab.get_by_role("button", name="Apply 1 cell").click()
    tab.get_by_text("The import was applied.").wait_for()
    after = Patient.objects.get(record_id="MTP-001")
    assert (after.race, after.vital_status) == ("BLACK", "dead")


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
def test_axe_finds_nothing_on_a_preview_with_everything(at, of_mtp, tmp_path, size, dark):
    tab = at(person=of_mtp, size=size, dark=dark)
    path = download(tab, tmp_path)
    fill(
        path,
        {
            ("patient", 3, "race"): "ASIAN",
            ("patient", 3, "birth_date"): "1.2.1970",
            ("patient", 4, "sex"): "F = Female",
            ("adverse_event", 4, "record_id"): "MTP-002",
            ("adverse_event", 4, "ae_term"): "Rash",
            ("adverse_event", 4, "ae_grade"): "9",
        },
    )
    changed_meanwhile("patient", "MTP-001", {"race": "BLACK"})

    bring(tab, path)

    tab.get_by_text("Changed by datamanager").wait_for()
    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert Import.objects.get().counts["refused"] == 2
