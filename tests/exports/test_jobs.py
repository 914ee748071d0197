import errno
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import translation

from exports import job_files, jobs
from exports.models import Job, Kind, State
from registry.callers import create_token
from registry.models import Membership, Person
from registry.rights import Right

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DIGEST = "0" * 64
OF_A_PATIENT = "born 1980-05-17"


@pytest.fixture
def job(data_manager, export_folder):
    """A job that a data manager asked for and nobody has taken."""
    return jobs.enqueue(Kind.EXPORT, parameters={}, by=data_manager, sites=["NIM", "MTP"])


@pytest.fixture
def rung(monkeypatch):
    """The numbers of the jobs that were rung for, in order."""
    heard = []
    monkeypatch.setattr(jobs.app, "send_task", lambda _name, *, kwargs, **_: heard.append(kwargs["job_id"]))
    return heard


def claimed(job, *, heartbeat_at):
    """Have another worker at the job, whose heart last beat at this time."""
    claim = uuid4()
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING, claim=claim, heartbeat_at=heartbeat_at, attempts=1)
    return claim


def deliver(work, content=b"workbook"):
    work.draft.write_bytes(content)
    work.deliver(name="export.xlsx", sha256=DIGEST, size=len(content))


def break_off(_work):
    raise RuntimeError(OF_A_PATIENT)


# A job from its request to its end


def test_a_job_waits_for_the_sites_and_the_person_it_was_asked_for(job, data_manager):
    assert (job.state, job.progress, job.attempts) == (State.WAITING, 0, 0)
    assert job.sites == ["MTP", "NIM"]
    assert job.requested_by_id == data_manager.person_id


def test_the_workers_are_told_when_the_row_is_committed_and_not_before(
    data_manager, rung, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        job = jobs.enqueue(Kind.EXPORT, parameters={}, by=data_manager, sites=[])
        assert rung == []

    assert rung == [str(job.pk)]


def test_a_job_that_was_done_has_its_file_in_place_with_its_digest(job, runner, export_folder):
    runner(deliver)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.progress, job.error, job.attempts) == (State.DONE, 100, "", 1)
    assert (job.file_name, job.sha256, job.size) == ("export.xlsx", DIGEST, 8)
    assert job.claim is None
    assert job.started_at < job.finished_at
    assert [path.name for path in export_folder.iterdir()] == [f"{job.pk}.xlsx"]


def test_a_job_without_a_file_is_done_as_well(job, runner, export_folder):
    runner(lambda work: work.report(50, rows={"patient": 1}))

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.progress, job.rows, job.file_name) == (State.DONE, 100, {"patient": 1}, "")
    assert list(export_folder.iterdir()) == []


def test_a_job_that_cannot_be_done_fails_at_once_and_says_why(job, runner, export_folder):
    def refuse(work):
        work.draft.write_bytes(b"half")
        raise jobs.JobFailed("You may not.", code="not_allowed")

    runner(refuse)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.error, job.attempts) == (State.FAILED, "You may not.", 1)
    assert list(export_folder.iterdir()) == []


def test_why_a_job_failed_is_kept_in_english_whatever_its_process_speaks(job, runner, export_folder):
    def fill_the_disk(work):
        raise OSError(errno.ENOSPC, "No space left on device")

    runner(fill_the_disk)

    with translation.override("fr"):
        jobs.run(job.pk)
        assert translation.get_language() == "fr"

    job.refresh_from_db()
    assert job.error.startswith("The server's disk is full.")


def test_a_full_disk_fails_the_job_at_once_and_leaves_no_file(job, runner, export_folder):
    def fill_the_disk(work):
        work.draft.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    runner(fill_the_disk)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.attempts) == (State.FAILED, 1)
    assert job.error == "The server's disk is full. Tell whoever runs it, and ask again when there is room."
    assert list(export_folder.iterdir()) == []


def test_an_unexpected_error_is_tried_three_times_and_then_told(job, runner):
    runner(break_off)

    states = []
    for _attempt in range(4):
        jobs.run(job.pk)
        job.refresh_from_db()
        states.append((job.state, job.attempts))

    assert states == [("waiting", 1), ("waiting", 2), ("failed", 3), ("failed", 3)]
    assert job.error.startswith("It broke off at each attempt.")


def test_neither_the_row_nor_the_log_quotes_an_unexpected_error(job, runner, caplog):
    runner(break_off)

    for _attempt in range(3):
        jobs.run(job.pk)

    job.refresh_from_db()
    assert OF_A_PATIENT not in job.error
    assert OF_A_PATIENT not in caplog.text
    assert "RuntimeError" in caplog.text


# One worker at a time


def test_a_job_that_a_living_worker_is_at_is_left_alone(job, runner):
    now = jobs.database_time()
    claim = claimed(job, heartbeat_at=now - jobs.LEASE)
    runner(deliver)

    jobs.run(job.pk, now=now)

    job.refresh_from_db()
    assert (job.state, job.claim, job.attempts) == (State.RUNNING, claim, 1)


def test_a_job_whose_worker_has_been_silent_for_longer_than_the_lease_is_taken_over(job, runner, export_folder):
    now = jobs.database_time()
    dead = claimed(job, heartbeat_at=now - jobs.LEASE - timedelta(microseconds=1))
    left_behind = job_files.folder() / f"{job.pk}.{dead}.part"
    left_behind.write_bytes(b"half")
    runner(deliver)

    jobs.run(job.pk, now=now)

    job.refresh_from_db()
    assert (job.state, job.attempts) == (State.DONE, 2)
    assert not left_behind.exists()


def test_the_result_of_a_worker_that_lost_the_job_meanwhile_counts_for_nothing(job, runner, export_folder):
    def lose(work):
        deliver(work)
        claimed(job, heartbeat_at=jobs.database_time())

    runner(lose)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.file_name) == (State.RUNNING, "")
    assert list(export_folder.iterdir()) == []


def test_a_cancelled_job_stays_cancelled_and_leaves_no_file(job, runner, export_folder):
    def be_cancelled(work):
        deliver(work)
        jobs.cancel(job.pk)

    runner(be_cancelled)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.claim) == (State.CANCELLED, None)
    assert list(export_folder.iterdir()) == []


def test_an_error_after_the_job_was_lost_changes_nothing(job, runner):
    def lose_and_break_off(_work):
        claimed(job, heartbeat_at=jobs.database_time())
        raise RuntimeError

    runner(lose_and_break_off)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert job.state == State.RUNNING


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.CANCELLED])
def test_a_job_that_has_ended_is_neither_run_nor_cancelled(job, runner, state):
    Job.objects.filter(pk=job.pk).update(
        state=state, progress=100, error="why" if state == State.FAILED else "", finished_at=LONG_AGO
    )
    runner(break_off)

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.attempts) == (state, 0)
    assert not jobs.cancel(job.pk)


def test_a_job_that_is_not_there_is_no_error(db):
    jobs.run(uuid4())


def test_a_report_stops_the_work_once_the_heart_found_the_job_lost(job):
    claimed(job, heartbeat_at=LONG_AGO)
    job.refresh_from_db()
    heart = jobs.Heart(job)
    work = jobs.Work(job, heart)
    work.report(10)
    heart.beat()
    jobs.cancel(job.pk)

    heart.beat()

    with pytest.raises(jobs.Abandoned):
        work.report(20)
    job.refresh_from_db()
    assert (job.state, job.progress) == (State.CANCELLED, 10)


# Who stands behind a job


def test_a_job_acts_with_the_rights_in_force_when_it_runs(job, data_manager):
    assert jobs.caller_behind(job).rights == data_manager.rights

    Membership.objects.all().delete()

    assert jobs.caller_behind(job).rights == {}


def test_a_job_of_a_person_who_is_no_longer_active_fails(job, runner):
    Person.objects.update(is_active=False)
    runner(lambda work: work.caller())

    jobs.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.error) == (State.FAILED, "The person who asked for this is no longer active.")
    assert (job.error_code, job.file_name) == ("not_allowed", "")


def test_a_job_asked_for_with_a_token_of_one_site_acts_there_only(job, sites):
    _text, token = create_token(job.requested_by, site=sites["MTP"])
    Job.objects.filter(pk=job.pk).update(token=token)
    job.refresh_from_db()

    caller = jobs.caller_behind(job)

    assert set(caller.rights.values()) == {frozenset({"MTP"})}
    assert caller.token_id == token.pk


def test_a_job_asked_for_with_a_narrowed_token_has_its_rights_only(job):
    _text, token = create_token(job.requested_by, rights=["read"])
    Job.objects.filter(pk=job.pk).update(token=token)
    job.refresh_from_db()

    assert jobs.caller_behind(job).rights.keys() == {Right.READ}


@pytest.mark.parametrize("gone", [{"revoked_at": LONG_AGO}, {"expires_at": LONG_AGO}])
def test_a_job_asked_for_with_a_token_that_ended_fails(job, runner, gone):
    _text, token = create_token(job.requested_by)
    type(token).objects.filter(pk=token.pk).update(**gone)
    Job.objects.filter(pk=job.pk).update(token=token)
    runner(lambda work: work.caller())

    jobs.run(job.pk)

    job.refresh_from_db()
    assert job.error == "The token that asked for this is no longer valid. Ask again with another one."


def test_a_job_of_the_system_may_everything(job, sites):
    Job.objects.filter(pk=job.pk).update(requested_by=None)
    job.refresh_from_db()

    assert jobs.caller_behind(job).username == "system"


# The sweep


@pytest.mark.parametrize(("late", "again"), [(timedelta(0), False), (timedelta(microseconds=1), True)])
def test_a_waiting_job_is_rung_for_again_after_a_while(job, rung, late, again):
    now = job.rung_at + jobs.RING_AGAIN_AFTER + late

    jobs.sweep(now=now)

    assert rung == [str(job.pk)] * again


def test_a_job_that_was_just_rung_for_is_not_rung_for_again(job, rung):
    now = job.rung_at + timedelta(minutes=1)
    jobs.sweep(now=now)

    jobs.sweep(now=now + timedelta(seconds=5))

    assert rung == [str(job.pk)]


def test_a_job_of_a_dead_worker_is_rung_for_and_one_of_a_living_worker_is_not(job, data_manager, rung):
    now = job.rung_at + timedelta(minutes=1)
    claimed(job, heartbeat_at=now - jobs.LEASE - timedelta(seconds=1))
    alive = jobs.enqueue(Kind.EXPORT, parameters={}, by=data_manager, sites=[])
    claimed(alive, heartbeat_at=now - jobs.LEASE)

    jobs.sweep(now=now)

    assert rung == [str(job.pk)]


def test_a_job_whose_workers_died_three_times_fails_and_says_so(job, rung):
    claimed(job, heartbeat_at=LONG_AGO)
    Job.objects.filter(pk=job.pk).update(attempts=3)

    jobs.sweep(now=jobs.database_time())

    job.refresh_from_db()
    assert (job.state, job.claim, rung) == (State.FAILED, None, [])
    assert job.error.startswith("It broke off at each attempt.")


def test_without_a_broker_the_sweep_stops_ringing_and_keeps_the_jobs_due(job, data_manager, monkeypatch):
    jobs.enqueue(Kind.EXPORT, parameters={}, by=data_manager, sites=[])
    calls = []

    def refuse(*_, **__):
        calls.append(1)
        raise ConnectionRefusedError

    monkeypatch.setattr(jobs.app, "send_task", refuse)

    jobs.sweep(now=job.rung_at + timedelta(minutes=1))

    assert len(calls) == 1
    assert not Job.objects.exclude(rung_at__lt=job.rung_at + timedelta(seconds=30)).exists()


def test_what_a_dead_attempt_left_is_removed_and_what_a_living_one_writes_is_not(job, rung):
    now = jobs.database_time()
    alive = claimed(job, heartbeat_at=now)
    writing = job_files.folder() / f"{job.pk}.{alive}.part"
    dead = job_files.folder() / f"{job.pk}.{uuid4()}.part"
    foreign = job_files.folder() / "demo.xlsx"
    for path in (writing, dead, foreign):
        path.touch()

    jobs.sweep(now=now)

    assert set(job_files.folder().iterdir()) == {writing, foreign}


@pytest.mark.parametrize(("late", "kept"), [(timedelta(0), True), (timedelta(microseconds=1), False)])
def test_a_file_is_kept_for_a_week(job, runner, rung, late, kept):
    runner(deliver)
    jobs.run(job.pk)
    job.refresh_from_db()

    jobs.sweep(now=job.finished_at + job_files.FILES_ARE_KEPT + late)

    assert job_files.file_of(job).exists() is kept


def test_a_file_that_was_put_in_place_just_before_its_job_is_done_stays(job, rung):
    claimed(job, heartbeat_at=jobs.database_time())
    job_files.file_of(job).touch()

    jobs.sweep(now=jobs.database_time())

    assert job_files.file_of(job).exists()


# What the database refuses


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("job_kind_is_known", {"kind": "import"}),
        ("job_state_is_known", {"state": "lost"}),
        ("job_progress_is_a_percentage", {"progress": 101}),
        ("job_is_claimed_while_it_runs", {"state": "running"}),
        ("job_is_claimed_while_it_runs", {"claim": uuid4()}),
        ("job_has_an_end_when_it_ended", {"state": "cancelled"}),
        ("job_has_an_end_when_it_ended", {"finished_at": LONG_AGO}),
        ("job_that_failed_says_why", {"state": "failed", "finished_at": LONG_AGO}),
        ("job_that_is_done_is_whole", {"state": "done", "progress": 99, "finished_at": LONG_AGO}),
        ("job_file_has_its_digest", {"file_name": "export.xlsx"}),
        ("job_file_has_its_digest", {"sha256": DIGEST, "size": 1, "file_name": "export.xlsx"}),
    ],
)
def test_the_database_refuses_a_job_that_cannot_be(job, constraint, fields):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**fields)


# Against the clock and in real transactions


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_heart_beats_and_saves_the_progress_while_the_work_fills_its_own_transaction(job, runner, monkeypatch):
    monkeypatch.setattr(jobs, "LEASE", timedelta(seconds=0.07))
    seen = []

    def work_in_one_transaction(work):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            work.report(40, rows={"patient": 7})
            cursor.execute("SELECT pg_sleep(0.1)")
        seen.append(Job.objects.values("progress", "rows").get(pk=job.pk))

    runner(work_in_one_transaction)

    jobs.run(job.pk)

    assert seen == [{"progress": 40, "rows": {"patient": 7}}]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_job_whose_database_connection_is_cut_off_is_tried_again_and_ends_right(job, runner):
    """Negative test 29."""
    attempts = []

    def be_cut_off_once(work):
        attempts.append(work.job.attempts)
        if len(attempts) == 1:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    runner(be_cut_off_once)

    jobs.run(job.pk)
    between = Job.objects.get(pk=job.pk).state
    jobs.run(job.pk)

    job.refresh_from_db()
    assert (between, job.state, attempts) == (State.WAITING, State.DONE, [1, 2])
