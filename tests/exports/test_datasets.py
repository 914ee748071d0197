from datetime import date, timedelta
from decimal import Decimal
from threading import Thread

import pytest
from django.conf import settings
from django.db import InternalError, connection

from crf.entry import delete_entry
from crf.fields import CheckboxField, PartialDateField, TextField
from crf.forms import all_forms, forms_by_name
from exports.cuts import Cut, Privacy
from exports.datasets import (
    ROWS_AT_A_TIME,
    columns_of,
    counted_rows,
    rows_of,
    snapshot,
)
from exports.pseudonyms import Pseudonyms
from exports.withheld import IS_FREE_TEXT, IS_IDENTIFIER, Withheld, withheld_variables
from exports.writers.workbook import Kind
from registry.acting import Door, acting
from tests.crf.examples import saved

pytestmark = pytest.mark.django_db

PATIENT, DOSING, EVENT = (forms_by_name()[name] for name in ("patient", "dosing", "adverse_event"))
EACH_FORM = pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.form_name())
EACH_LEVEL = pytest.mark.parametrize("privacy", Privacy)
NAME = "Mme Dupont"


def cut(*, sites=("MTP", "NIM"), privacy=Privacy.FULL, labels=True):
    return Cut(forms=tuple(form.form_name() for form in all_forms()), sites=sites, privacy=privacy, labels=labels)


def read(form, **options):
    """Return the rows of a form in a cut, each by column."""
    wanted = cut(**options)
    names = [column.name for column in columns_of(form, cut=wanted)]
    return [dict(zip(names, row, strict=True)) for row in rows_of(form, cut=wanted)]


@pytest.fixture
def enter(data_manager):
    """Saves a complete entry of a form with changes."""
    return lambda name, changes=None, **place: saved(name, changes, by=data_manager, **place)


@pytest.fixture
def patient(enter):
    """The patient MTP-001."""
    return enter("patient", record_id="MTP-001", site="MTP")


# Columns


def test_a_repeating_form_has_key_status_codes_with_labels_and_reasons_in_this_order():
    names = [column.name for column in columns_of(DOSING, cut=cut())]

    assert names == [
        *("site", "record_id", "instance", "status", "dose_start", "dose_end", "dose_mg"),
        *("dose_schedule", "dose_schedule_label", "dose_reason", "dose_reason_label"),
        *("dose_stop_reason", "dose_stop_reason_label", "antithrombotic", "antithrombotic_label", "missing"),
    ]


def test_labels_can_be_left_out():
    names = [column.name for column in columns_of(EVENT, cut=cut(labels=False))]

    assert names == ["site", "record_id", "instance", "status", *EVENT.variables(), "missing"]


def test_the_patient_form_has_no_instance_and_its_record_id_once():
    names = [column.name for column in columns_of(PATIENT, cut=cut(labels=False))]

    assert names == [
        "site",
        "record_id",
        "status",
        *[name for name in PATIENT.variables() if name != "record_id"],
        "missing",
    ]


@EACH_LEVEL
@EACH_FORM
def test_every_row_has_a_value_for_every_column(form, privacy, enter, patient):
    if form.repeating:
        enter(form.form_name(), record_id="MTP-001")
    wanted = cut(privacy=privacy)

    rows = list(rows_of(form, cut=wanted))

    assert [len(row) for row in rows] == [len(columns_of(form, cut=wanted))]


@EACH_LEVEL
@EACH_FORM
def test_the_columns_are_there_without_any_rows(form, privacy, sites):
    assert read(form, privacy=privacy) == []
    assert len(columns_of(form, cut=cut(privacy=privacy))) > 5


def test_the_kind_of_a_column_follows_the_variable():
    kinds = {column.name: column.kind for form in all_forms() for column in columns_of(form, cut=cut())}

    wanted = (
        "dose_start",
        "dose_mg",
        "clasi_activity",
        "ae_grade",
        "ae_grade_label",
        "ae_start",
        "ae_serious",
        "ae_term",
    )
    assert [kinds[name] for name in wanted] == [
        *(Kind.DATE, Kind.DECIMAL, Kind.INTEGER, Kind.CODE, Kind.TEXT, Kind.CODE, Kind.INTEGER, Kind.TEXT)
    ]


# Values


def test_values_are_dates_numbers_and_codes_with_their_labels(enter, patient):
    enter("dosing", {"dose_end": "2020-03-31", "dose_mg": Decimal("2.5")}, record_id="MTP-001")

    (row,) = read(DOSING)

    assert row == {
        "site": "MTP",
        "record_id": "MTP-001",
        "instance": 1,
        "status": "complete",
        "dose_start": date(2020, 1, 1),
        "dose_end": date(2020, 3, 31),
        "dose_mg": Decimal("2.50"),
        "dose_schedule": "daily",
        "dose_schedule_label": "Every day",
        "dose_reason": "initiation",
        "dose_reason_label": "Initiation",
        "dose_stop_reason": None,
        "dose_stop_reason_label": None,
        "antithrombotic": "aspirin",
        "antithrombotic_label": "Acetylsalicylic acid",
        "missing": None,
    }


def test_yes_and_no_are_1_and_0_several_codes_are_joined_and_partial_dates_are_text(enter, patient):
    changes = {
        "ae_serious": True,
        "ae_serious_criteria": ["medically_important", "hospitalisation"],
        "ae_start": "2020-02",
    }
    enter("adverse_event", changes, record_id="MTP-001")

    (row,) = read(EVENT)

    assert (row["ae_serious"], row["ae_serious_label"]) == (1, "Yes")
    assert row["ae_serious_criteria"] == "hospitalisation|medically_important"
    assert row["ae_serious_criteria_label"] == "Hospitalisation | Medically important"
    assert row["ae_start"] == "2020-02"


def test_missing_reasons_stand_beside_the_values(enter):
    enter(
        "patient", {"race": None}, record_id="MTP-001", site="MTP", missing={"race": "NASK", "antiphospholipid": "UNK"}
    )

    (row,) = read(PATIENT)

    assert row["race"] is None
    assert set(row["missing"].split("|")) == {"race=NASK", "antiphospholipid=UNK"}


def test_rows_are_in_the_order_of_sites_patients_and_instances(enter):
    for record_id in ("NIM-001", "MTP-1000", "MTP-999", "MTP-002"):
        enter("patient", record_id=record_id, site=record_id[:3])
    for instance in (10, 2):
        enter("lesion_assessment", record_id="MTP-999", instance=instance)
    enter("lesion_assessment", record_id="MTP-002")

    patients = [row["record_id"] for row in read(PATIENT)]
    visits = [(row["record_id"], row["instance"]) for row in read(forms_by_name()["lesion_assessment"])]

    assert patients == ["MTP-002", "MTP-999", "MTP-1000", "NIM-001"]
    assert visits == [("MTP-002", 1), ("MTP-999", 2), ("MTP-999", 10)]


def test_deleted_entries_and_other_sites_are_left_out_and_not_counted(enter, patient, data_manager):
    enter("dosing", record_id="MTP-001")
    enter("patient", record_id="STR-001", site="STR")
    with acting(data_manager, door=Door.REST, reason="entered twice"):
        delete_entry(DOSING, "MTP-001", 1, by=data_manager, version=1, reason="entered twice")

    assert [row["record_id"] for row in read(PATIENT)] == ["MTP-001"]
    assert read(DOSING) == []
    assert counted_rows(cut()) == {form.form_name(): int(form is PATIENT) for form in all_forms()}


# Privacy


@EACH_FORM
def test_a_full_cut_withholds_nothing(form):
    assert withheld_variables(form, privacy=Privacy.FULL) == []


@pytest.mark.parametrize("privacy", [Privacy.LIMITED, Privacy.DEIDENTIFIED])
@EACH_FORM
def test_identifiers_and_whatever_is_typed_by_hand_are_withheld(form, privacy):
    withheld = {entry.variable for entry in withheld_variables(form, privacy=privacy)}

    variables = {name: variable for name, variable in form.variables().items() if name != "record_id"}
    assert withheld == {name for name, kind in variables.items() if kind.identifier or isinstance(kind, TextField)}
    columns = {column.name for column in columns_of(form, cut=cut(privacy=privacy))}
    assert withheld.isdisjoint(columns)
    assert variables.keys() - withheld <= columns


def test_what_is_withheld_comes_with_the_reason():
    assert withheld_variables(EVENT, privacy=Privacy.LIMITED) == [
        Withheld("adverse_event", "ae_term", IS_FREE_TEXT),
        Withheld("adverse_event", "ae_notes", IS_IDENTIFIER),
    ]


def test_a_limited_cut_has_real_record_ids_and_dates_but_no_name(enter, patient):
    enter("adverse_event", {"ae_term": NAME, "ae_notes": NAME, "ae_start": "2020-02-03"}, record_id="MTP-001")

    (row,) = read(EVENT, privacy=Privacy.LIMITED)

    assert (row["record_id"], row["ae_start"]) == ("MTP-001", "2020-02-03")
    assert NAME not in map(str, row.values())


def test_a_reason_for_a_withheld_variable_is_withheld_as_well(enter):
    changes = {"birth_date": None, "race": None}
    enter("patient", changes, record_id="MTP-001", site="MTP", missing={"birth_date": "UNK", "race": "NASK"})

    assert read(PATIENT)[0]["missing"] is not None
    assert read(PATIENT, privacy=Privacy.LIMITED)[0]["missing"] == "race=NASK"


def test_a_deidentified_cut_has_pseudonyms_and_dates_that_moved_together(enter, patient):
    enter("dosing", {"dose_start": "2020-01-01", "dose_end": "2020-03-31"}, record_id="MTP-001")
    enter("lesion_assessment", {"lesion_date": "2020-02-01"}, record_id="MTP-001")
    enter("adverse_event", {"ae_start": "2020-02-03"}, record_id="MTP-001")
    secret = Pseudonyms(settings.PSEUDONYM_KEY)
    back = timedelta(days=secret.days_back("MTP-001"))

    (dose,) = read(DOSING, privacy=Privacy.DEIDENTIFIED)
    (visit,) = read(forms_by_name()["lesion_assessment"], privacy=Privacy.DEIDENTIFIED)
    (event,) = read(EVENT, privacy=Privacy.DEIDENTIFIED)

    assert {row["record_id"] for row in (dose, visit, event)} == {secret.of("MTP-001")}
    assert dose["dose_start"] == date(2020, 1, 1) - back
    assert dose["dose_end"] - dose["dose_start"] == timedelta(days=90)
    assert visit["lesion_date"] - dose["dose_start"] == timedelta(days=31)
    assert event["ae_start"] == f"{(date(2020, 2, 3) - back).year}"


@EACH_FORM
def test_no_original_date_or_record_id_is_in_a_deidentified_cut(form, enter, patient):
    if form.repeating:
        enter(form.form_name(), record_id="MTP-001")
    originals = {str(value) for row in read(form, labels=False) for value in row.values() if _is_telling(value)}

    (row,) = read(form, privacy=Privacy.DEIDENTIFIED)

    assert originals
    assert originals.isdisjoint(str(value) for value in row.values())


def _is_telling(value):
    return isinstance(value, date) or (isinstance(value, str) and (value.startswith("MTP-") or "-" in value))


def test_deidentified_rows_are_together_by_patient_in_an_order_that_is_not_that_of_the_record_ids(enter):
    record_ids = [f"MTP-{number:03d}" for number in range(1, 11)]
    for record_id in record_ids:
        enter("patient", record_id=record_id, site="MTP")
        enter("lesion_assessment", record_id=record_id)
        enter("lesion_assessment", record_id=record_id)
    secret = Pseudonyms(settings.PSEUDONYM_KEY)
    in_order = [secret.of(record_id) for record_id in record_ids]

    patients = [row["record_id"] for row in read(PATIENT, privacy=Privacy.DEIDENTIFIED)]
    visits = [row["record_id"] for row in read(forms_by_name()["lesion_assessment"], privacy=Privacy.DEIDENTIFIED)]

    assert sorted(patients) == sorted(in_order)
    assert patients != in_order
    assert visits == [one for one in patients for _visit in range(2)]


def test_every_kind_of_variable_that_needs_a_conversion_is_in_a_form():
    kinds = {type(variable) for form in all_forms() for variable in form.variables().values()}

    assert {CheckboxField, PartialDateField} <= kinds


# The snapshot


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_all_forms_are_of_one_moment_while_others_write(enter, patient, data_manager):
    def write():
        enter("patient", record_id="MTP-002", site="MTP")
        enter("dosing", record_id="MTP-001")
        connection.close()

    with snapshot(data_manager) as taken_at:
        writer = Thread(target=write)
        writer.start()
        writer.join()
        counted = counted_rows(cut())
        during = [len(read(form)) for form in (PATIENT, DOSING)]

    assert during == [1, 0]
    assert (counted["patient"], counted["dosing"]) == (1, 0)
    assert [len(read_now(form, by=data_manager)) for form in (PATIENT, DOSING)] == [2, 1]
    assert taken_at.utcoffset() == timedelta(0)


def read_now(form, *, by):
    with snapshot(by):
        return read(form)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_nothing_can_be_written_in_a_snapshot(data_manager):
    with pytest.raises(InternalError, match="read-only"), snapshot(data_manager), connection.cursor() as cursor:
        cursor.execute("UPDATE registry_site SET name = name")


def test_rows_come_a_part_at_a_time(enter, patient, monkeypatch):
    for _instance in range(5):
        enter("lesion_assessment", record_id="MTP-001")
    monkeypatch.setattr("exports.datasets.ROWS_AT_A_TIME", 2)

    assert [row["instance"] for row in read(forms_by_name()["lesion_assessment"])] == [1, 2, 3, 4, 5]
    assert ROWS_AT_A_TIME > 100
