"""The stored endpoints against the charts: whoever computes, whenever, and whoever is killed meanwhile."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from crf.forms import forms_by_name, patient_form
from crf.management.commands.generate_cohort import enter
from crf.models.chart_change import ChartChange
from crf.synthetic import synthetic_cohort
from exports.endpoints import store
from exports.endpoints.chart import Chart, PatientFacts
from exports.endpoints.outcome import EvidenceRow, evidence_of_json
from exports.endpoints.published import table_lines
from exports.endpoints.reading import ROWS_OF
from exports.endpoints.rules import outcome_of
from exports.endpoints.store import is_stale, recompute_all, recompute_changed, summarise
from exports.models import CohortOutcome, PatientOutcome
from exports.recompute import recompute_stale
from registry.acting import Door, acting, acting_as_the_system, the_system
from tests.conftest import as_owner
from tests.crf.conftest import at_once
from tests.crf.examples import saved
from tests.exports.endpoints.oracle import expected_outcome

PROJECT = Path(__file__).parents[3]
PATIENCE_SECONDS = 30

real_transactions = pytest.mark.django_db(transaction=True)
pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def cohort(patients, *, seed=1):
    """Enter a synthetic cohort."""
    by = the_system()
    with acting(by, door=Door.COMMAND):
        enter(list(synthetic_cohort(patients, seed=seed, sites=sorted(by.sites))), by=by)


def change(sql, *parameters):
    """Change data past the entry service, as another program could."""
    with acting_as_the_system(door=Door.COMMAND), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def remove_as_owner():
    """Remove every patient for good, as only the owner of the tables can."""
    with as_owner() as owner:
        owner.execute("DELETE FROM crf_patient")


def stored():
    """The stored outcomes by record id, with their evidence and what the summary needs beside them."""
    return {
        one.record_id: (
            msgspec.json.decode(one.outcome),
            evidence_of_json(one.evidence),
            one.sex,
            one.discoid,
            one.months_to_last_evaluable,
        )
        for one in PatientOutcome.objects.all()
    }


def summary():
    return CohortOutcome.objects.get().summary


def assert_as_after_one_clean_run():
    """Nothing is stale, and computing everything from nothing gives what is stored."""
    assert not is_stale()
    found = stored(), summary()
    PatientOutcome.objects.all().delete()
    recompute_all()
    assert (stored(), summary()) == found


def charts():
    """The charts of all patients, read row by row through the models."""
    rows = {}
    for form, kind in ROWS_OF.items():
        for entry in forms_by_name()[form].objects.filter(deleted_at=None).order_by("instance"):
            row = kind(*(getattr(entry, name) for name in kind.__struct_fields__))
            rows.setdefault(entry.patient_id, {}).setdefault(form, []).append(row)
    for patient in patient_form().objects.filter(deleted_at=None):
        facts = (patient.birth_date, patient.sex, patient.cle_subtype, patient.last_contact_date)
        of_patient = rows.get(patient.record_id, {})
        yield Chart(
            PatientFacts(patient.record_id, patient.site_id, *facts), *(of_patient.get(form, []) for form in ROWS_OF)
        )


# What is computed


def test_the_published_cohort_gives_the_published_table(sites):
    call_command("load_forms", str(PROJECT / "docs" / "cohort19"))

    recompute_stale()

    assert [line for line in table_lines(summary()["overall"]) if not line.matches] == []
    assert {site: figures["enrolled"] for site, figures in summary()["by_site"].items()} == {
        "MTP": 11,
        "NIM": 4,
        "STR": 4,
    }


def test_the_outcomes_of_a_random_cohort_are_those_of_a_naive_reading(sites):
    cohort(250, seed=7)

    recompute_stale()

    found = stored()
    assert found.keys() == set(patient_form().objects.values_list("record_id", flat=True))
    for chart in charts():
        outcome, evidence, *_ = found[chart.patient.record_id]
        assert outcome == expected_outcome(chart)
        assert evidence == outcome_of(chart)["evidence"]


def test_nobody_at_all_gives_a_summary_of_nobody(sites):
    assert is_stale()

    recompute_stale()

    assert (summary()["overall"]["enrolled"], summary()["by_site"]) == (0, {})
    assert not is_stale()


def test_the_figures_keep_the_order_of_the_specification(sites):
    recompute_all()

    assert list(summary()["overall"])[:4] == ["enrolled", "treated", "male", "female"]


# What is stored


def test_many_patients_are_all_stored_though_some_at_a_time(sites, monkeypatch):
    monkeypatch.setattr(store, "PATIENTS_AT_ONCE", 2)
    cohort(5)

    found = recompute_all()

    assert (found.patients, sorted(found.changed)) == (5, sorted(stored()))
    assert {record_id: outcome for record_id, (outcome, *_) in stored().items()} == {
        chart.patient.record_id: expected_outcome(chart) for chart in charts()
    }


def test_what_did_not_change_is_not_written_again(sites):
    cohort(5)
    recompute_all()
    before = dict(PatientOutcome.objects.values_list("record_id", "computed_at"))

    change("UPDATE crf_patient SET birth_date = '1950-01-01' WHERE record_id = 'NIM-001'")
    again = recompute_all()

    after = dict(PatientOutcome.objects.values_list("record_id", "computed_at"))
    assert again.changed == ["NIM-001"]
    assert {name for name in before if before[name] != after[name]} <= {"NIM-001"}


def test_a_change_that_only_the_summary_needs_is_stored(data_manager):
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001")
    recompute_stale()

    change("UPDATE crf_patient SET sex = 'F'")
    recompute_stale()

    assert (summary()["overall"]["male"], summary()["overall"]["female"]) == (0, 1)


@real_transactions
@pytest.mark.parametrize("recompute", [recompute_changed, recompute_all])
@pytest.mark.parametrize(
    "gone", [lambda: change("UPDATE crf_patient SET deleted_at = now()"), remove_as_owner], ids=["hidden", "removed"]
)
def test_a_patient_who_is_deleted_has_no_outcome_any_more(data_manager, recompute, gone):
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    recompute_stale()

    gone()
    recompute()
    summarise()

    assert stored() == {}
    assert summary()["overall"]["enrolled"] == 0


def test_a_deleted_entry_counts_no_more(data_manager):
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001")
    recompute_stale()
    treated = stored()["MTP-001"][0]["treated"]

    change("UPDATE crf_dosing SET deleted_at = now()")
    recompute_stale()

    assert (treated, stored()["MTP-001"][0]["treated"]) == (True, False)


def test_a_few_patients_at_a_time_make_the_same(sites):
    cohort(7)

    pieces = [recompute_changed(at_most=3) for _piece in range(4)]
    summarise()

    assert pieces == [3, 3, 1, 0]
    assert_as_after_one_clean_run()


def test_an_outcome_that_went_wrong_is_found_and_named(sites):
    cohort(5)
    recompute_stale()
    change("UPDATE exports_patientoutcome SET digest = '' WHERE record_id = 'NIM-001'")
    change("UPDATE crf_patient SET birth_date = '1950-01-01' WHERE record_id = 'STR-001'")

    found = recompute_all()

    assert (found.patients, sorted(found.changed), found.missed) == (5, ["NIM-001", "STR-001"], ["NIM-001"])


def test_another_version_of_the_rules_stores_everything_anew(sites, monkeypatch):
    cohort(5)
    recompute_stale()
    monkeypatch.setattr(store, "RULES", b"another version")

    assert len(recompute_all().missed) == 5
    assert recompute_all().changed == []


def test_a_row_behind_an_outcome_is_stored_though_the_outcome_stays(data_manager):
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001")
    for _event in range(2):
        saved("adverse_event", by=data_manager, record_id="MTP-001")
    recompute_stale()
    before = stored()["MTP-001"][0]

    change("UPDATE crf_adverseevent SET deleted_at = now() WHERE instance = 1")
    recompute_stale()

    outcome, evidence, *_ = stored()["MTP-001"]
    assert (outcome, evidence["any_ae"]) == (before, [EvidenceRow("adverse_event", 2)])


def test_the_progress_is_reported(sites, monkeypatch):
    monkeypatch.setattr(store, "PATIENTS_AT_ONCE", 2)
    cohort(5)
    reported = []

    recompute_all(report=reported.append)

    assert reported == [40, 80, 99]


# Stale or not


def test_a_saved_change_makes_the_figures_stale_until_they_are_computed(data_manager):
    recompute_stale()
    fresh = is_stale()

    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    changed = is_stale()
    recompute_stale()

    assert (fresh, changed, is_stale()) == (False, True, False)


def test_outcomes_without_a_new_summary_are_stale(data_manager):
    """Killed between the two, the summary is still to be made."""
    recompute_stale()
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")

    recompute_changed()

    assert (ChartChange.objects.count(), is_stale()) == (0, True)
    summarise()
    assert (summary()["overall"]["enrolled"], is_stale()) == (1, False)


def test_a_change_that_changes_no_outcome_leaves_the_summary_as_it_is(data_manager):
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    recompute_stale()
    computed_at = CohortOutcome.objects.get().computed_at

    change("UPDATE crf_patient SET race = 'ASIAN'")
    recompute_stale()

    assert not is_stale()
    assert CohortOutcome.objects.get().computed_at == computed_at


@real_transactions
def test_the_summary_is_as_of_the_first_change_that_it_does_not_hold(sites):
    cohort(3)
    recompute_all()
    change("UPDATE crf_patient SET sex = 'U' WHERE record_id = 'NIM-001'")
    recompute_changed()
    change("UPDATE crf_patient SET sex = 'U' WHERE record_id = 'STR-001'")

    summarise()

    waiting = ChartChange.objects.get()
    found = CohortOutcome.objects.get()
    assert found.data_as_of == waiting.changed_at < found.computed_at


# Several at once, changes meanwhile, and being killed


@pytest.fixture
def meanwhile(monkeypatch):
    """Has something happen, in another connection, after the charts were read and before the outcomes are saved."""
    real = store._Computing.compute

    def arrange(happening):
        def compute(computing, rows):
            monkeypatch.setattr(store._Computing, "compute", real)
            real(computing, rows)
            at_once(happening)

        monkeypatch.setattr(store._Computing, "compute", compute)

    return arrange


@real_transactions
@pytest.mark.parametrize("recompute", [recompute_changed, recompute_all])
def test_a_change_made_while_computing_stays_on_the_list(sites, meanwhile, recompute):
    cohort(4)
    meanwhile(lambda: change("UPDATE crf_patient SET birth_date = '1950-01-01' WHERE record_id = 'MTP-001'"))

    recompute()

    assert is_stale()
    assert set(ChartChange.objects.values_list("record_id", flat=True)) == {"MTP-001"}
    recompute_stale()
    assert_as_after_one_clean_run()


@real_transactions
def test_a_change_between_the_list_and_the_charts_is_not_called_missed(sites, monkeypatch):
    cohort(4)
    recompute_all()
    take = store._take

    def take_and_change(*args, **kwargs):
        taken = take(*args, **kwargs)
        at_once(lambda: change("UPDATE crf_patient SET birth_date = '1950-01-01' WHERE record_id = 'MTP-001'"))
        return taken

    monkeypatch.setattr(store, "_take", take_and_change)
    found = recompute_all()

    assert (found.changed, found.missed) == (["MTP-001"], [])


@real_transactions
@pytest.mark.parametrize("recompute", [recompute_all, recompute_changed])
def test_an_error_in_the_middle_leaves_everything_to_do(sites, monkeypatch, recompute):
    cohort(6)
    recompute_all()
    change("UPDATE crf_patient SET birth_date = '1950-01-01'")
    before, listed = stored(), ChartChange.objects.count()
    with monkeypatch.context() as broken:
        broken.setattr(store, "PATIENTS_AT_ONCE", 2)
        broken.setattr(store, "course_of", failing_after(3, store.course_of))
        with pytest.raises(ZeroDivisionError):
            recompute()
    after = stored(), ChartChange.objects.count()

    recompute_stale()

    assert after == (before, listed)
    assert stored() != before
    assert_as_after_one_clean_run()


def failing_after(times, function):
    """The function, until it was called this often."""
    left = iter(range(times))

    def call(*args):
        if next(left, None) is None:
            raise ZeroDivisionError
        return function(*args)

    return call


@real_transactions
def test_several_computations_at_once_make_the_same_as_one(sites):
    """Negative test 19."""
    cohort(40)
    recompute_all()
    change("UPDATE crf_patient SET birth_date = birth_date - 4000")

    results = at_once(recompute_all, recompute_stale, recompute_stale, recompute_all)

    assert not [result for result in results if isinstance(result, Exception)]
    assert_as_after_one_clean_run()


@real_transactions
def test_data_that_change_all_the_time_end_in_the_same(sites):
    cohort(30)
    writing = threading.Event()
    writing.set()

    def write():
        for number in range(60):
            sql = "UPDATE crf_lesionassessment SET lesion_clearance = %s WHERE instance %% 7 = %s"
            change(sql, number, number % 7)
        writing.clear()

    def compute():
        while writing.is_set():
            recompute_stale()

    def compute_all():
        while writing.is_set():
            recompute_all()

    results = at_once(write, compute, compute, compute_all)

    assert results == [None, None, None, None]
    recompute_stale()
    assert_as_after_one_clean_run()


@real_transactions
@pytest.mark.parametrize("command", ["recompute_endpoints", "stale"])
def test_a_process_killed_in_the_middle_leaves_everything_to_do(sites, tmp_path, command):
    cohort(20)
    recompute_all()
    change("UPDATE crf_patient SET birth_date = '1950-01-01'")
    before, listed = stored(), ChartChange.objects.count()

    with transaction.atomic():
        # The process comes as far as this outcome and waits for it.
        PatientOutcome.objects.select_for_update().order_by("-record_id").first()
        process = start(command, folder=tmp_path)
        try:
            wait_until_somebody_waits_for_the_outcome()
        finally:
            process.kill()
            process.wait()
    after = stored(), ChartChange.objects.count()
    recompute_stale()

    assert after == (before, listed)
    assert_as_after_one_clean_run()


COMMANDS = {
    "recompute_endpoints": ["manage.py", "recompute_endpoints"],
    "stale": ["manage.py", "shell", "-v0", "-c", "from exports.recompute import recompute_stale; recompute_stale()"],
}


def start(command, *, folder):
    """Start a process that computes on the database of the test."""
    database = connection.settings_dict
    user, password = quote(database["USER"]), quote(database["PASSWORD"])
    host = quote(database["HOST"], safe="")
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://{user}:{password}@{host}:{database['PORT']}/{database['NAME']}",
        "BROKER_URL": settings.BROKER_URL,
        "VAR_DIR": str(folder),
        "DATABASE_OWNER_URL": "none",
        "SECRET_KEY": settings.SECRET_KEY,
        "PSEUDONYM_KEY": settings.PSEUDONYM_KEY,
    }
    return subprocess.Popen([sys.executable, *COMMANDS[command]], cwd=PROJECT, env=environment)


def wait_until_somebody_waits_for_the_outcome():
    """Return when another connection waits for a row of the outcomes."""
    pause = threading.Event()
    for _time in range(PATIENCE_SECONDS * 20):
        with connection.cursor() as cursor:
            # Within a transaction the server shows the activity of the first look, unless told otherwise.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND query LIKE '%exports_patientoutcome%unnest%'"
            )
            if cursor.fetchone()[0]:
                return
        pause.wait(0.05)
    raise AssertionError("nobody came to wait for the outcome")
