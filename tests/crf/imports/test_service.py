"""Files from preview to undo."""

from datetime import date
from decimal import Decimal

import pytest
from django.apps import apps
from django.utils import timezone

from crf import locks
from crf.entry import change_entry, delete_entry
from crf.forms import forms_by_name
from crf.imports.refusals import AlreadyApplied, CannotApply, CannotUndo, NotInThisState, PreviewChanged
from crf.imports.words import CLEAR
from crf.models.dosing import Dosing
from crf.models.import_file import Import, ImportState
from crf.models.patient import Patient
from crf.refusals import NotAllowed, NotFound, ReasonNeeded
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import COMPLETE, cell, patch, saved
from tests.crf.imports.conftest import Importer, findings

pytestmark = pytest.mark.django_db

DOSE = {name: cell(value) for name, value in COMPLETE["dosing"].items()}
PATIENT = {name: cell(value) for name, value in COMPLETE["patient"].items()}


@pytest.fixture
def dose(coordinator, patient):
    return saved("dosing", by=coordinator, record_id="MTP-001")


def changed(form, record_id, instance, changes, *, by, version=1):
    with acting(by, door=Door.REST):
        return change_entry(
            forms_by_name()[form],
            record_id,
            instance,
            patch(form, changes),
            by=by,
            version=version,
            reason="seen again",
        )


def test_a_preview_says_what_is_new_changed_and_unchanged_and_saves_nothing(importer, dose):
    brought = importer.bring(
        {"record_id": "MTP-001", "instance": "1", "dose_mg": "5", "dose_schedule": "alternate_days"}
        | {"dose_end": "2020-06-30"},
        {"record_id": "MTP-001", "instance": "", **DOSE, "dose_start": "2021-01-01"} | {"dose_end": "2021-02-01"},
        {"record_id": "MTP-001", "instance": "2", **DOSE, "dose_mg": "30"},
    )

    assert [row[0] for row in findings(brought)] == ["changed", "new", "refused"]
    assert findings(brought)[0][1] == [("dose_end", "changed", None), ("dose_schedule", "changed", None)]
    assert ("dose_mg", "refused", "out_of_range") in findings(brought)[2][1]
    assert Dosing.objects.count() == 1
    assert Dosing.objects.get().version == 1


def test_what_is_applied_is_saved_once_with_its_reason_and_its_import_in_the_history(importer, patient):
    earlier = {"dose_start": "2019-01-01", "dose_end": "2019-03-01"}
    brought = importer.bring(
        {"record_id": "MTP-001", "instance": "", **DOSE}, {"record_id": "MTP-001", **DOSE, **earlier}
    )

    assert importer.apply(brought) is True
    assert importer.apply(brought) is True

    assert brought.state == ImportState.APPLIED
    assert sorted(Dosing.objects.values_list("instance", "version")) == [(1, 1), (2, 1)]
    (told,) = {
        (context["door"], context["import"], context["reason"])
        for context in apps.get_model("crf.DosingHistory").objects.values_list("pgh_context", flat=True)
    }
    assert told == ("import", brought.pk, "Charts abstracted")


def test_all_or_nothing(importer, dose):
    brought = importer.bring(
        {"record_id": "MTP-001", "instance": "1", "dose_mg": "7.5"},
        {"record_id": "MTP-001", "instance": "", **DOSE, "dose_mg": "30"},
    )

    with pytest.raises(CannotApply):
        importer.apply(brought)

    assert str(Dosing.objects.get().dose_mg) == "5.00"


def test_a_conflict_is_chosen_and_then_applied(importer, data_manager, dose):
    changed("dosing", "MTP-001", 1, {"dose_mg": Decimal("7.5"), "dose_reason": "other"}, by=data_manager)
    brought = importer.bring(
        {"record_id": "MTP-001", "instance": "1", "version": "1", **DOSE, "dose_mg": "10", "antithrombotic": "none"}
    )

    assert findings(brought) == [
        ("conflict", [("dose_mg", "conflict", "conflict"), ("antithrombotic", "changed", None)])
    ]
    told = brought.rows.get().findings[0]
    assert (told["saved"], told["file"], told["who"]) == ("7.5", "10", "data_manager.all")
    with pytest.raises(CannotApply):
        importer.apply(brought)

    brought = importer.choose(brought, {(1, "dose_mg"): "saved"})
    assert importer.apply(brought) is True

    after = Dosing.objects.get()
    assert (str(after.dose_mg), after.dose_reason, after.antithrombotic) == ("7.50", "other", "none")


def test_the_files_value_can_be_chosen(importer, data_manager, dose):
    changed("dosing", "MTP-001", 1, {"dose_mg": Decimal("7.5")}, by=data_manager)
    brought = importer.bring({"record_id": "MTP-001", "instance": "1", "version": "1", "dose_mg": "10"})

    brought = importer.choose(brought, {(1, "dose_mg"): "file"})
    importer.apply(brought)

    assert str(Dosing.objects.get().dose_mg) == "10.00"


def test_what_changed_since_the_preview_is_shown_before_it_is_applied(importer, data_manager, dose):
    brought = importer.bring({"record_id": "MTP-001", "instance": "1", "dose_mg": "10"})
    changed("dosing", "MTP-001", 1, {"dose_mg": Decimal("7.5")}, by=data_manager)

    assert importer.apply(brought) is False

    assert brought.rows.get().findings[0]["saved"] == "7.5"
    assert str(Dosing.objects.get().dose_mg) == "7.50"
    assert importer.apply(brought) is True
    assert str(Dosing.objects.get().dose_mg) == "10.00"


def test_an_import_is_undone_as_one_change(importer, dose):
    brought = importer.bring(
        {
            "record_id": "MTP-001",
            "instance": "1",
            "dose_mg": "7.5",
            "dose_end": "2020-03-01",
            "dose_stop_reason": "lost",
        },
        {"record_id": "MTP-001", "instance": "", **DOSE, "dose_start": "2021-01-01"},
    )
    importer.apply(brought)

    importer.undo(brought)
    importer.undo(brought)

    first, second = Dosing.objects.order_by("instance")
    assert (str(first.dose_mg), first.dose_end, first.dose_stop_reason, first.version) == ("5.00", None, None, 3)
    assert second.deleted_at is not None
    assert (brought.state, brought.undo_reason) == (ImportState.UNDONE, "Wrong file")


def test_a_patient_who_came_with_the_file_goes_with_all_forms(importer, patient):
    brought = importer.bring({"record_id": "MTP-007", **PATIENT}, {"record_id": "", **PATIENT})
    importer.apply(brought)
    assert sorted(Patient.objects.values_list("record_id", flat=True)) == ["MTP-001", "MTP-007", "MTP-008"]

    importer.undo(brought)

    assert [p.record_id for p in Patient.objects.filter(deleted_at=None)] == ["MTP-001"]


def test_undo_takes_nobody_elses_value_away(importer, data_manager, dose):
    brought = importer.bring({"record_id": "MTP-001", "instance": "1", "dose_mg": "7.5", "antithrombotic": "none"})
    importer.apply(brought)
    changed("dosing", "MTP-001", 1, {"dose_mg": 10}, by=data_manager, version=2)

    with pytest.raises(CannotUndo) as refused:
        importer.undo(brought)

    assert [(p.field, p.code) for p in refused.value.problems] == [("dose_mg", "changed_since")]
    assert Dosing.objects.get().antithrombotic == "none"


@pytest.mark.parametrize(
    "locked", [{"record_id": "MTP-001"}, {"record_id": "MTP-001", "form": "dosing", "instance": 2}]
)
def test_undo_meets_a_lock_and_says_where(locked, importer, data_manager, dose):
    row = {"record_id": "MTP-001", "instance": "", **DOSE, "dose_start": "2019-01-01", "dose_end": "2019-02-01"}
    brought = importer.bring(row)
    importer.apply(brought)
    place = {"record_id": None, "site": None, "form": None, "instance": None} | locked
    if place["form"]:
        place["form"] = forms_by_name()[place["form"]]
    with acting(data_manager, door=Door.REST):
        locks.lock(locks.Target(**place), reason="cleaned", by=data_manager, now=timezone.now())

    with pytest.raises(CannotUndo) as refused:
        importer.undo(brought)

    assert [(p.record_id, p.instance, p.code) for p in refused.value.problems] == [("MTP-001", 2, "locked")]
    assert Dosing.objects.filter(deleted_at=None).count() == 2


@pytest.mark.parametrize("changes", [{"dose_mg": 10}, None])
def test_undo_leaves_what_was_created_and_then_changed_or_deleted(changes, importer, data_manager, dose):
    row = {"record_id": "MTP-001", "instance": "", **DOSE, "dose_start": "2019-01-01", "dose_end": "2019-02-01"}
    brought = importer.bring(row)
    importer.apply(brought)
    if changes:
        changed("dosing", "MTP-001", 2, changes, by=data_manager)
    else:
        with acting(data_manager, door=Door.REST):
            delete_entry(forms_by_name()["dosing"], "MTP-001", 2, by=data_manager, version=1, reason="twice")

    with pytest.raises(CannotUndo) as refused:
        importer.undo(brought)

    assert [(p.instance, p.code) for p in refused.value.problems] == [(2, "changed_since")]


def test_undo_leaves_a_patient_to_whom_somebody_added_an_entry(importer, data_manager):
    brought = importer.bring({"record_id": "MTP-007", **PATIENT})
    importer.apply(brought)
    saved("dosing", by=data_manager, record_id="MTP-007")

    with pytest.raises(CannotUndo) as refused:
        importer.undo(brought)

    assert [(p.form, p.instance, p.code) for p in refused.value.problems] == [("dosing", 1, "changed_since")]
    assert Patient.objects.get().deleted_at is None


def test_undo_leaves_later_changes_of_other_values(importer, data_manager, dose):
    brought = importer.bring({"record_id": "MTP-001", "instance": "1", "dose_mg": "7.5"})
    importer.apply(brought)
    changed("dosing", "MTP-001", 1, {"antithrombotic": "none"}, by=data_manager, version=2)

    importer.undo(brought)

    after = Dosing.objects.get()
    assert (str(after.dose_mg), after.antithrombotic) == ("5.00", "none")


def test_blank_keeps_and_clear_takes_away_and_a_reason_stands_in_its_place(importer, coordinator, patient):
    brought = importer.bring(
        {
            "record_id": "MTP-001",
            "birth_date": "",
            "sex": CLEAR,
            "race": "",
            "race__missing": "UNK",
            "systemic_lupus__missing": "NAV",
            "status": "incomplete",
        }
    )

    importer.apply(brought)

    after = Patient.objects.get()
    assert (after.birth_date, after.sex, after.missing) == (
        date(1970, 5, 1),
        None,
        {"race": "UNK", "systemic_lupus": "NAV"},
    )


def test_rows_of_another_site_are_not_there(data_manager, patient):
    saved("patient", by=data_manager, site="NIM")
    importer = Importer(data_manager)

    brought = importer.bring(
        {"record_id": "NIM-001", "instance": "", **DOSE}, {"record_id": "NIM-002", "instance": "", **DOSE}
    )

    assert [row[1][-1] for row in findings(brought)] == [("record_id", "refused", "patient_not_found")] * 2


@pytest.mark.parametrize(("site", "error"), [("NIM", NotFound), ("ZZZ", NotFound)])
def test_a_file_is_brought_only_to_a_site_of_ones_own(site, error, coordinator, patient):
    with pytest.raises(error):
        Importer(coordinator, site).bring({"record_id": "MTP-001", "sex": "F"})


def test_who_may_read_only_brings_nothing(patient):
    reader = caller_now(make_person(Role.MONITOR, site="MTP"))

    with pytest.raises(NotAllowed):
        Importer(reader).bring({"record_id": "MTP-001", "sex": "F"})


def test_a_file_that_was_applied_is_not_brought_again_before_it_is_undone(importer, patient):
    row = {"record_id": "MTP-001", "instance": "", **DOSE}
    brought = importer.bring(row)
    importer.apply(brought)

    with pytest.raises(AlreadyApplied):
        importer.bring(row)

    importer.undo(brought)
    assert importer.bring(row).state == ImportState.PREVIEWED


def test_a_reason_and_the_preview_that_was_seen_are_needed(importer, patient):
    brought = importer.bring({"record_id": "MTP-001", "sex": "F"})

    with pytest.raises(ReasonNeeded):
        importer.apply(brought, reason=None)
    with pytest.raises(PreviewChanged):
        importer.apply(brought, preview="another")
    assert Import.objects.get().state == ImportState.PREVIEWED


def test_what_was_not_applied_cannot_be_undone(importer, patient):
    brought = importer.bring({"record_id": "MTP-001", "sex": "F"})

    with pytest.raises(NotInThisState):
        importer.undo(brought)


def test_an_entry_stands_in_a_file_once(importer, patient):
    brought = importer.bring({"record_id": "MTP-001", "sex": "F"}, {"record_id": "MTP-001", "sex": "U"})

    assert findings(brought)[1][1] == [("sex", "changed", None), (None, "refused", "repeated_row")]
