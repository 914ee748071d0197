"""The computations as they are asked for: after changes, every night, as a job, from a shell."""

import logging
import re

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from crf.entry import change_entry, delete_entry, get_entry
from crf.forms import forms_by_name
from exports import jobs, recompute
from exports.endpoints.store import is_stale
from exports.models import CohortOutcome, Job, Kind, PatientOutcome, State
from exports.recompute import nightly_check, recompute_stale
from registry.acting import Door, acting
from tests.crf.examples import patch, saved

pytestmark = pytest.mark.django_db

RECORD_ID = "MTP-001"
TAMPERED = "tampered"
EVALUABLE = {"lesion_date": "2020-03-01", "lesion_clearance": 100, "lesion_new": False}


@pytest.fixture
def treated(data_manager):
    """MTP-001 with a row of each form, complete response at lesion assessment 1, and everything computed."""
    saved("patient", by=data_manager, record_id=RECORD_ID, site="MTP")
    saved("prior_treatment", by=data_manager, record_id=RECORD_ID)
    saved("dosing", by=data_manager, record_id=RECORD_ID)
    saved("lesion_assessment", EVALUABLE, by=data_manager, record_id=RECORD_ID)
    saved("adverse_event", by=data_manager, record_id=RECORD_ID)
    recompute_stale()


@pytest.fixture
def questions(tmp_path):
    """Returns how many statements a call sends to the server, as the protocol shows them."""

    def count(function):
        trace = tmp_path / "trace"
        with trace.open("wb") as file:
            connection.connection.pgconn.trace(file.fileno())
            function()
            connection.connection.pgconn.untrace()
        return len(re.findall(r"^(?:[^\t]*\t)?F\t\d+\t(?:Query|Execute)\b", trace.read_text(), re.MULTILINE))

    return count


def change(data_manager, form, values, *, instance=1):
    """Change an entry of MTP-001 as a door does."""
    kind = forms_by_name()[form]
    with acting(data_manager, door=Door.REST):
        version = get_entry(kind, RECORD_ID, instance, by=data_manager).version
        submission = patch(form, values)
        change_entry(kind, RECORD_ID, instance, submission, by=data_manager, version=version, reason="A typing error")


def delete(data_manager, form, *, instance=1):
    """Delete an entry of MTP-001 as a door does."""
    kind = forms_by_name()[form]
    with acting(data_manager, door=Door.REST):
        version = get_entry(kind, RECORD_ID, instance, by=data_manager).version
        delete_entry(kind, RECORD_ID, instance, by=data_manager, version=version, reason="Entered twice")


def outcome(record_id=RECORD_ID):
    return msgspec.json.decode(PatientOutcome.objects.get(record_id=record_id).outcome)


def overall():
    return CohortOutcome.objects.get().summary["overall"]


def tamper():
    """Overwrite what is stored of MTP-001, as no program of ours does."""
    PatientOutcome.objects.filter(record_id=RECORD_ID).update(outcome=f'{{"bor": "{TAMPERED}"}}', digest=b"")


# After changes


def test_when_nothing_changed_one_question_is_asked_and_nothing_written(treated, questions):
    before = PatientOutcome.objects.values().get(), CohortOutcome.objects.values().get()

    assert questions(recompute_stale) == 1
    assert (PatientOutcome.objects.values().get(), CohortOutcome.objects.values().get()) == before


def test_the_count_of_questions_sees_them(treated, questions, data_manager):
    change(data_manager, "patient", {"sex": "U"})

    assert questions(recompute_stale) > 5


def test_it_says_how_many_patients_were_computed(data_manager):
    computed = [recompute_stale()]
    for number in (1, 2, 3):
        saved("patient", by=data_manager, record_id=f"MTP-00{number}", site="MTP")
    computed += [recompute_stale(), recompute_stale()]

    assert computed == [0, 3, 0]


@pytest.mark.parametrize(
    ("form", "values", "name", "before", "after"),
    [
        ("patient", {"birth_date": "1980-05-01"}, "age_at_start", 49, 39),
        ("patient", {"last_contact_date": "2021-01-01"}, "last_contact", "2020-03-01", "2021-01-01"),
        ("prior_treatment", {"prior_route": "topical"}, "n_prior_systemic", 1, 0),
        ("dosing", {"dose_start": "2020-02-01"}, "index_date", "2020-01-01", "2020-02-01"),
        ("dosing", {"dose_mg": 0}, "treated", True, False),
        ("lesion_assessment", {"lesion_clearance": 60}, "bor", "CR", "PR"),
        ("lesion_assessment", {"lesion_clearance": None}, "bor", "CR", "NE"),
        ("adverse_event", {"ae_grade": "3"}, "grade3_ae", False, True),
    ],
)
def test_a_change_is_followed(treated, data_manager, form, values, name, before, after):
    found = [outcome()[name]]

    change(data_manager, form, values)
    recompute_stale()

    assert [*found, outcome()[name]] == [before, after]


@pytest.mark.parametrize(
    ("form", "values", "name", "before", "after"),
    [
        ("prior_treatment", {"prior_drug": "thalidomide"}, "prior_thalidomide", False, True),
        ("dosing", {"dose_start": "2019-06-01", "dose_end": "2019-06-30"}, "index_date", "2020-01-01", "2019-06-01"),
        ("lesion_assessment", {**EVALUABLE, "lesion_date": "2020-06-01", "lesion_new": True}, "relapsed", False, True),
        ("adverse_event", {"ae_special_interest": "lupus_flare"}, "lupus_flare", False, True),
    ],
)
def test_a_new_entry_is_followed(treated, data_manager, form, values, name, before, after):
    found = [outcome()[name]]

    saved(form, values, by=data_manager, record_id=RECORD_ID)
    recompute_stale()

    assert [*found, outcome()[name]] == [before, after]


@pytest.mark.parametrize(
    ("form", "name", "before", "after"),
    [
        ("prior_treatment", "n_prior_systemic", 1, 0),
        ("dosing", "treated", True, False),
        ("lesion_assessment", "bor", "CR", "NE"),
        ("adverse_event", "any_ae", True, False),
    ],
)
def test_a_deleted_entry_is_followed(treated, data_manager, form, name, before, after):
    found = [outcome()[name]]

    delete(data_manager, form)
    recompute_stale()

    assert [*found, outcome()[name]] == [before, after]


def test_a_new_patient_is_followed(treated, data_manager):
    saved("patient", by=data_manager, record_id="NIM-001", site="NIM")

    recompute_stale()

    assert (overall()["enrolled"], overall()["treated"]) == (2, 1)
    assert outcome("NIM-001")["treated"] is False


def test_a_deleted_patient_is_followed(treated, data_manager):
    delete(data_manager, "patient")

    recompute_stale()

    assert not PatientOutcome.objects.exists()
    assert (overall()["enrolled"], CohortOutcome.objects.get().summary["by_site"]) == (0, {})


def test_a_patient_who_is_brought_back_is_followed(treated, data_manager):
    delete(data_manager, "patient")
    recompute_stale()

    with connection.cursor() as cursor:
        for form in forms_by_name().values():
            cursor.execute(f"UPDATE {form._meta.db_table} SET deleted_at = NULL")  # noqa: S608 -- from the declaration
    recompute_stale()

    assert (outcome()["bor"], overall()["cr"]) == ("CR", 1)


# Every night


def test_a_night_in_which_nothing_was_missed_is_quiet(treated, caplog):
    with caplog.at_level(logging.WARNING):
        job = nightly_check()

    assert (job.state, job.requested_by, job.parameters) == (State.DONE, None, {"reason": "nightly check"})
    assert job.rows == {"outcomes": {"computed": 1, "changed": 0, "missed": 0}}
    assert caplog.messages == []


def test_an_outcome_that_is_not_what_the_chart_gives_is_corrected_counted_and_named(treated, caplog):
    right = outcome()
    tamper()

    with caplog.at_level(logging.WARNING):
        job = nightly_check()

    assert outcome() == right
    assert job.rows == {"outcomes": {"computed": 1, "changed": 1, "missed": 1}}
    assert caplog.messages == [f"1 outcomes were not what their charts give: {RECORD_ID}"]


def test_the_log_of_the_night_has_record_ids_and_no_data_of_patients(treated, data_manager, caplog):
    saved("patient", {"birth_date": "1966-06-06"}, by=data_manager, record_id="NIM-001", site="NIM")
    recompute_stale()
    tamper()

    with caplog.at_level(logging.DEBUG):
        nightly_check()

    logged = " ".join(caplog.messages)
    assert RECORD_ID in logged
    assert [value for value in (TAMPERED, "1970", "1966", "2020", "CR", "NIM-001") if value in logged] == []


def test_a_change_that_was_just_not_computed_yet_was_not_missed(treated, data_manager, caplog):
    change(data_manager, "lesion_assessment", {"lesion_clearance": 60})

    with caplog.at_level(logging.WARNING):
        job = nightly_check()

    assert job.rows == {"outcomes": {"computed": 1, "changed": 1, "missed": 0}}
    assert (outcome()["bor"], overall()["pr"], is_stale(), caplog.messages) == ("PR", 1, False, [])


def test_an_outcome_that_is_gone_or_of_nobody_is_corrected(treated):
    right = PatientOutcome.objects.get()
    PatientOutcome.objects.update(record_id="MTP-999")

    job = nightly_check()

    assert job.rows == {"outcomes": {"computed": 1, "changed": 2, "missed": 2}}
    assert (outcome()["bor"], PatientOutcome.objects.count()) == ("CR", 1)
    assert overall()["enrolled"] == 1
    assert bytes(PatientOutcome.objects.get().digest) == bytes(right.digest)


@pytest.mark.slow
def test_a_long_list_of_what_was_missed_is_cut_and_counted(sites, data_manager, monkeypatch, caplog):
    monkeypatch.setattr(recompute, "MOST_NAMED", 2)
    for number in (1, 2, 3):
        saved("patient", by=data_manager, record_id=f"MTP-00{number}", site="MTP")
    recompute_stale()
    PatientOutcome.objects.update(digest=b"")

    with caplog.at_level(logging.WARNING):
        nightly_check()

    assert re.fullmatch(r"3 outcomes were not what their charts give: MTP-00\d, MTP-00\d", *caplog.messages)


# As a job


@pytest.fixture
def job(treated, data_manager):
    """A computation that waits, with a change that is not computed yet."""
    change(data_manager, "lesion_assessment", {"lesion_clearance": 60})
    return jobs.enqueue(Kind.ENDPOINTS, parameters={}, by=data_manager, sites=[])


def test_the_job_computes_everything_and_says_what_it_found(job):
    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.progress, job.attempts, job.file_name) == (State.DONE, 100, 1, "")
    assert job.rows == {"outcomes": {"computed": 1, "changed": 1, "missed": 0}}
    assert (outcome()["bor"], is_stale()) == ("PR", False)


def test_a_job_that_comes_twice_computes_once(job):
    jobs.run(job.pk)
    computed_at = CohortOutcome.objects.get().computed_at

    jobs.run(job.pk)

    job.refresh_from_db()
    assert job.attempts == 1
    assert CohortOutcome.objects.get().computed_at == computed_at


def test_a_job_of_a_worker_that_died_is_done_by_the_next(job):
    dead = {"state": State.RUNNING, "claim": job.pk, "heartbeat_at": timezone.now() - 2 * jobs.LEASE, "attempts": 1}
    Job.objects.filter(pk=job.pk).update(**dead)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.attempts, outcome()["bor"]) == (State.DONE, 2, "PR")


def test_a_job_that_was_called_off_changes_nothing(job):
    jobs.cancel(job.pk)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, outcome()["bor"], is_stale()) == (State.CANCELLED, "CR", True)


# From a shell


def test_the_command_computes_everything_and_says_what_changed(treated, data_manager, capsys):
    change(data_manager, "lesion_assessment", {"lesion_clearance": 60})

    call_command("recompute_endpoints")

    assert capsys.readouterr().out == "1 patients computed, 1 outcomes changed\n"
    assert (outcome()["bor"], is_stale()) == ("PR", False)
    assert Job.objects.get().state == State.DONE


def test_a_computation_that_fails_says_why(treated, monkeypatch):
    def fail(_work):
        raise jobs.JobFailed("No.", code="refused")

    monkeypatch.setitem(jobs.RUNNERS, Kind.ENDPOINTS, fail)

    with pytest.raises(CommandError, match=r"The computation is failed\. No\."):
        call_command("recompute_endpoints")


def test_a_table_that_was_not_computed_yet_is_an_error_that_says_what_to_do(sites, capsys):
    with pytest.raises(CommandError, match=r"not computed yet\. Run manage\.py recompute_endpoints\.") as refused:
        call_command("endpoint_table")

    assert refused.value.returncode == 1
    assert capsys.readouterr().out == ""


def test_a_table_that_is_not_the_published_one_is_printed_and_an_error(treated, capsys):
    with pytest.raises(CommandError, match=r"\d+ of 28 figures are not the published ones") as refused:
        call_command("endpoint_table")

    lines = capsys.readouterr().out.splitlines()
    assert refused.value.returncode == 1
    assert re.fullmatch(r"Patients treated +1 +19   <-- differs", lines[1])
    assert "0            0" in next(line for line in lines if line.startswith("Thrombosis"))
    assert re.fullmatch(r"as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", lines[-1])


def test_a_table_of_other_data_is_printed_and_no_error_where_that_is_said(treated, capsys):
    call_command("endpoint_table", "--other-data")

    assert "<-- differs" in capsys.readouterr().out


def test_a_table_that_data_have_overtaken_says_so(treated, data_manager, capsys):
    change(data_manager, "lesion_assessment", {"lesion_clearance": 60})

    with pytest.raises(CommandError):
        call_command("endpoint_table")

    assert capsys.readouterr().out.splitlines()[-1].endswith(" UTC (stale: data changed since)")


@pytest.mark.slow
def test_the_table_of_the_published_cohort_is_no_error(sites, capsys, settings):
    call_command("load_forms", str(settings.BASE_DIR / "docs" / "cohort19"))
    call_command("recompute_endpoints")
    capsys.readouterr()

    call_command("endpoint_table")

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 30
    assert [line for line in lines if "differs" in line] == []
