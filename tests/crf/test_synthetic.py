from collections import Counter
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from crf.forms import all_forms, patient_form
from crf.management.commands.generate_cohort import enter
from crf.models.adverse_event import AdverseEvent
from crf.models.dosing import Dosing
from crf.models.lesion_assessment import LesionAssessment
from crf.synthetic import synthetic_cohort
from registry.acting import Door, acting, the_system

SITES = ["MTP", "NIM", "STR"]


def cohort(patients, **options):
    return list(synthetic_cohort(patients, **{"seed": 1, "sites": SITES, **options}))


def test_the_same_seed_gives_the_same_patients_and_another_seed_others():
    assert cohort(5) == cohort(5)
    assert cohort(5) != cohort(5, seed=2)


def test_a_longer_cohort_begins_with_the_shorter():
    assert cohort(8)[:5] == cohort(5)


def test_patients_are_numbered_at_each_site_from_1_or_from_the_first_free_number():
    assert [patient.record_id for patient in cohort(3, sites=["MTP"])] == ["MTP-001", "MTP-002", "MTP-003"]
    numbered = cohort(2, sites=["MTP"], first_number={"MTP": 999})
    assert [patient.record_id for patient in numbered] == ["MTP-999", "MTP-1000"]


@pytest.mark.slow
def test_the_cohort_is_plausible():
    patients = [patient.rows for patient in cohort(600)]
    outcomes = Counter(bool(rows["dosing"]) for rows in patients)
    priors = sorted(len(rows["prior_treatment"]) for rows in patients)
    women = sum(rows["patient"][0]["sex"] == "F" for rows in patients)

    assert outcomes[False] < 30
    assert (priors[0], priors[300], priors[-1]) == (2, 6, 12)
    assert 420 < women < 510


@pytest.fixture
def entered(sites):
    """600 patients, entered; the warnings of the soft checks by code."""
    by = the_system()
    with acting(by, door=Door.COMMAND):
        enter(cohort(600), by=by)


@pytest.mark.slow
@pytest.mark.django_db
def test_every_row_passes_the_hard_checks_and_is_entered(entered):
    expected = Counter(name for patient in cohort(600) for name, rows in patient.rows.items() for _row in rows)

    assert {form.form_name(): form.objects.count() for form in all_forms()} == expected


@pytest.mark.slow
@pytest.mark.django_db
def test_what_the_rules_have_to_cope_with_is_there(entered):
    assert Dosing.objects.filter(dose_mg=0).exists()
    assert Dosing.objects.filter(dose_start=None).exists()
    assert Dosing.objects.filter(dose_reason="adverse_event").exists()
    assert LesionAssessment.objects.filter(missing__lesion_clearance="UNK").exists()
    assert LesionAssessment.objects.filter(lesion_clearance=None, missing={}).exists()
    assert AdverseEvent.objects.filter(ae_action="discontinued").exists()
    assert patient_form().objects.filter(last_contact_date=None).exists()


@pytest.mark.slow
@pytest.mark.django_db
def test_the_command_enters_patients_after_those_there_are(sites):
    for _time in range(2):
        call_command("generate_cohort", patients=4, seed=1, stdout=StringIO(), stderr=StringIO())

    numbers = Counter(patient_form().objects.values_list("site_id", flat=True))
    assert sum(numbers.values()) == 8
    for site, highest in numbers.items():
        assert patient_form().objects.filter(record_id=f"{site}-{highest:03d}").exists()


@pytest.mark.slow
@pytest.mark.django_db
def test_the_files_load_to_the_same_as_the_command_enters(sites, tmp_path):
    call_command("generate_cohort", patients=20, seed=3, out=tmp_path, stdout=StringIO())
    with transaction.atomic():
        call_command("load_forms", str(tmp_path), stdout=StringIO())
        loaded = entries()
        transaction.set_rollback(True)

    call_command("generate_cohort", patients=20, seed=3, stdout=StringIO(), stderr=StringIO())

    assert entries() == loaded


def entries():
    """Every variable of every entry, and what is beside it."""
    beside = {"id", "created_at", "updated_at"}
    return {
        form.form_name(): sorted(
            (sorted((key, str(value)) for key, value in row.items() if key not in beside))
            for row in form.objects.values()
        )
        for form in all_forms()
    }


@pytest.mark.django_db
def test_a_cohort_of_nobody_is_refused(sites):
    with pytest.raises(CommandError, match="from 1"):
        call_command("generate_cohort", patients=0)
