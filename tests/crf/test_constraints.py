"""PostgreSQL keeps the rules itself: what is written past the service is refused by a constraint of that name."""

from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

from crf.constraint_problems import finding_of
from crf.fields import CheckboxField, ChoiceField, DateField, NumberField, PartialDateField
from crf.forms import all_forms, forms_by_name, repeating_forms
from registry.models import Site
from tests.conftest import as_owner, seeing
from tests.crf.examples import COMPLETE, saved

VARIABLES = [(form.form_name(), name) for form in all_forms() for name in form.variables()]
CODED = [
    key for key in VARIABLES if isinstance(forms_by_name()[key[0]].variables()[key[1]], ChoiceField | CheckboxField)
]
DATED = [key for key in VARIABLES if isinstance(forms_by_name()[key[0]].variables()[key[1]], PartialDateField)]
LIMITED = [key for key in VARIABLES if isinstance(forms_by_name()[key[0]].variables()[key[1]], NumberField | DateField)]


@pytest.fixture
def rows(coordinator, patient):
    """One row of every form."""
    for name in COMPLETE:
        if name != "patient":
            saved(name, by=coordinator, record_id="MTP-001")


def execute(sql, *parameters):
    """Run one statement that sees every site; what it wrote stays only if it is accepted."""
    everywhere = ",".join(Site.objects.values_list("code", flat=True))
    with seeing(everywhere), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def put(form, column, value):
    """Write a value past the service."""
    execute(f"UPDATE {forms_by_name()[form]._meta.db_table} SET {column} = %s", value)  # noqa: S608 -- from the declaration


def refused_by(action, *arguments):
    """Return the name of the constraint that refuses the action."""
    with pytest.raises(IntegrityError) as caught:
        action(*arguments)
    return caught.value.__cause__.diag.constraint_name


@pytest.mark.parametrize(("form", "name"), CODED)
def test_every_coded_variable_holds_codes_only(form, name, rows):
    variable = forms_by_name()[form].variables()[name]
    many = isinstance(variable, CheckboxField)
    wrong = [["no_such_code"], [], [*variable.codes, "no_such_code"]] if many else ["no_such_code", "", " "]

    for code in variable.codes:
        put(form, name, [code] if many else code)
    put(form, name, None)
    for value in wrong:
        assert refused_by(put, form, name, value) == f"{name}_{'are_codes' if many else 'is_a_code'}"


@pytest.mark.parametrize(("form", "name"), LIMITED)
def test_every_limited_variable_stays_within_its_limits(form, name, rows):
    variable = forms_by_name()[form].variables()[name]
    step = timedelta(days=1) if isinstance(variable, DateField) else getattr(variable, "step", 1)

    for limit, direction in ((variable.minimum, -1), (variable.maximum, 1)):
        if limit is not None:
            if name != "dose_end":  # else the period would end before it starts
                put(form, name, limit)
            assert refused_by(put, form, name, limit + direction * step) in (
                f"{name}_in_range",
                "dose_ends_after_it_starts",
            )


@pytest.mark.parametrize(("form", "name"), DATED)
def test_every_partial_date_is_a_date_of_iso_8601(form, name, rows):
    for text in ("2023", "2023-02", "2023-02-28", None):
        put(form, name, text)
    for text in (
        "",
        "23",
        "2023-00",
        "2023-13",
        "2023-1",
        "2023-02-00",
        "2023-02-32",
        "2023-02-28T00:00",
        "2023\n",
        "٢٠٢٣",
    ):
        assert refused_by(put, form, name, text) == f"{name}_is_iso_8601"


@pytest.mark.parametrize("form", COMPLETE)
@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("status", 3, "{form}_status_is_known"),
        ("status", -1, "{form}_status_is_known"),
        ("instance", 0, "{form}_instance_counts_from_1"),
    ],
)
def test_every_entry_has_a_known_status_and_counts_from_1(form, column, value, constraint, rows):
    found = refused_by(put, form, column, value)

    assert found in {
        constraint.format(form=form),
        f"{forms_by_name()[form]._meta.db_table}_{column}_check",
        "patient_form_does_not_repeat",
    }


@pytest.mark.parametrize("form", [form.form_name() for form in repeating_forms()])
def test_an_entry_is_at_the_site_of_its_patient_and_has_one(form, rows):
    assert refused_by(put, form, "site_id", "NIM") == f"{form}_is_at_the_site_of_its_patient"
    assert refused_by(put, form, "record_id", "MTP-009") == f"{form}_is_at_the_site_of_its_patient"


@pytest.mark.parametrize("form", [form.form_name() for form in repeating_forms()])
def test_an_instance_number_is_used_once_a_patient(form, coordinator, patient):
    for instance in (1, 2):
        start = {"dose_start": "2020-01-01", "dose_end": "2020-01-01"} if instance == 1 else {}
        changes = start if form == "dosing" else {}
        changes |= {"dose_start": "2021-01-01"} if form == "dosing" and instance == 2 else {}
        saved(form, changes, by=coordinator, record_id="MTP-001")

    assert refused_by(put, form, "instance", 7) == f"{form}_instance_is_unique"


@pytest.mark.parametrize("form", COMPLETE)
def test_no_entry_is_removed_by_the_application(form, rows):
    table = forms_by_name()[form]._meta.db_table

    with pytest.raises(ProgrammingError, match=f"permission denied for table {table}"):
        execute(f"DELETE FROM {table}")  # noqa: S608 -- a name


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_patient_with_entries_is_not_removed_by_the_owner_either(rows):
    table = forms_by_name()["patient"]._meta.db_table

    with as_owner() as owner, pytest.raises(psycopg.IntegrityError) as caught:
        owner.execute(f"DELETE FROM {table}")  # noqa: S608 -- a name

    assert caught.value.diag.constraint_name.endswith("_is_at_the_site_of_its_patient")


def test_a_site_with_patients_is_not_removed(rows):
    remove = "DELETE FROM registry_site WHERE code = 'MTP'; SET CONSTRAINTS ALL IMMEDIATE"

    assert "site" in refused_by(execute, remove)


def test_a_record_id_is_given_once_and_starts_with_its_site(coordinator, patient):
    saved("patient", by=coordinator)
    second = "UPDATE crf_patient SET {} = %s WHERE record_id = 'MTP-002'"

    assert refused_by(execute, second.format("record_id"), "MTP-001") == "record_id_is_unique"
    assert refused_by(execute, second.format("record_id"), "NIM-002") == "record_id_starts_with_its_site"
    assert refused_by(execute, second.format("number"), 1) == "patient_number_is_given_once"
    assert refused_by(execute, second.format("instance"), 2) == "patient_form_does_not_repeat"


def test_a_record_id_of_a_site_whose_code_starts_like_another_is_told_apart(coordinator, patient):
    Site.objects.create(code="MT", name="A site whose code begins that of another")

    with pytest.raises(IntegrityError):
        execute("UPDATE crf_patient SET site_id = 'MT'")


def test_a_period_does_not_end_before_it_starts(rows):
    end = "UPDATE crf_dosing SET dose_end = %s"

    execute(end, "2020-01-01")
    assert refused_by(execute, end, "2019-12-31") == "dose_ends_after_it_starts"


@pytest.mark.parametrize(
    ("start", "end", "overlaps"),
    [
        ("2019-01-01", "2019-12-31", False),
        ("2019-01-01", "2020-01-01", True),
        ("2019-01-01", None, True),
        ("2020-06-30", None, True),
        ("2020-07-01", None, False),
        (None, None, False),
    ],
)
def test_the_dosing_periods_of_a_patient_do_not_overlap(start, end, overlaps, coordinator, patient):
    saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id="MTP-001")
    insert = (
        "INSERT INTO crf_dosing (record_id, site_id, instance, status, version, missing, locked, dose_start, dose_end)"
        " VALUES ('MTP-001', 'MTP', 2, 0, 1, '{}', false, %s, %s)"
    )

    if overlaps:
        assert refused_by(execute, insert, start, end) == "dosing_periods_do_not_overlap"
    else:
        execute(insert, start, end)


def test_periods_of_two_patients_and_deleted_periods_may_share_days(coordinator, patient):
    saved("patient", by=coordinator)
    for record_id in ("MTP-001", "MTP-002"):
        saved("dosing", by=coordinator, record_id=record_id)
    insert = (
        "INSERT INTO crf_dosing"
        " (record_id, site_id, instance, status, version, missing, locked, dose_start, deleted_at)"
        " VALUES ('MTP-001', 'MTP', 2, 0, 1, '{}', false, '2020-01-01', %s)"
    )

    execute(insert, "2021-01-01T00:00:00Z")
    assert (
        refused_by(execute, "UPDATE crf_dosing SET deleted_at = NULL WHERE instance = 2")
        == "dosing_periods_do_not_overlap"
    )


@pytest.mark.parametrize(("form", "name"), CODED + DATED + LIMITED)
def test_a_violated_constraint_of_a_variable_has_the_code_of_its_check(form, name, rows):
    variable = forms_by_name()[form].variables()[name]
    code, value = "unknown_code", "x"
    if isinstance(variable, CheckboxField):
        value = ["x"]
    elif isinstance(variable, PartialDateField):
        code = "not_a_date"
    elif isinstance(variable, NumberField):
        code, value = "out_of_range", -1
    elif isinstance(variable, DateField):
        code, value = "out_of_range", "1800-01-01"

    with pytest.raises(IntegrityError) as caught:
        put(form, name, value)

    found = finding_of(caught.value)
    assert (found.field, found.code) in {(name, code), ("dose_end", "end_before_start")}
    assert forms_by_name()[form].variables()[found.field].label in found.message


def test_a_violation_that_is_none_of_a_form_is_raised_as_it_is(sites):
    with pytest.raises(IntegrityError) as caught:
        execute("INSERT INTO registry_site (code, name) VALUES ('MTP', 'twice')")

    with pytest.raises(IntegrityError):
        finding_of(caught.value)


def test_a_number_too_long_for_its_column_is_refused_even_without_a_constraint(rows):
    with pytest.raises(DatabaseError):
        put("dosing", "dose_mg", "1000000")
