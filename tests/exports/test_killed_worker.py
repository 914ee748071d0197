"""A worker that is killed in the middle of a job, with the real programs around it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.conf import settings
from django.db import connection, transaction
from python_calamine import CalamineWorkbook

from exports import job_files, jobs
from exports.cuts import Cut, Privacy
from exports.endpoints.store import is_stale, recompute_all
from exports.models import Job, Kind, PatientOutcome, State
from registry.acting import the_system
from registry.celery import app
from tests.crf.examples import saved

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PROJECT = Path(__file__).parents[2]
ROWS = 30_000
LEASE_SECONDS = 2
PATIENCE_SECONDS = 90
BROKER = urlsplit(settings.BROKER_URL)._replace(path="/15").geturl()
"""A database of its own on the broker, so that no other worker hears of these jobs."""


@pytest.fixture
def worker(export_folder, tmp_path):
    """Starts real workers on the test database; whatever happens, none is left."""
    started = []

    def start():
        command = [sys.executable, "-m", "celery", "-A", "registry.celery", "worker", "--concurrency", "1"]
        with (tmp_path / "worker.log").open("ab") as log:
            # A group of its own: a worker is several processes, and they are killed together.
            process = subprocess.Popen(
                command, cwd=PROJECT, env=_environment(tmp_path), stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        return process

    with app.connection_for_write(BROKER) as broker:
        broker.default_channel.client.flushdb()
    yield start
    for process in started:
        kill(process)
    with app.connection_for_write(BROKER) as broker:
        broker.default_channel.client.flushdb()


def _environment(folder):
    database = connection.settings_dict
    user, password = quote(database["USER"]), quote(database["PASSWORD"])
    host = quote(database["HOST"], safe="")
    address = f"postgresql://{user}:{password}@{host}:{database['PORT']}/{database['NAME']}"
    return os.environ | {
        "DATABASE_URL": address,
        "BROKER_URL": BROKER,
        "VAR_DIR": str(folder),
        "DATABASE_OWNER_URL": "none",
        "SECRET_KEY": settings.SECRET_KEY,
        "PSEUDONYM_KEY": settings.PSEUDONYM_KEY,
        "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
    }


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def long_export(data_manager):
    """A job with so many rows that it can be met in the middle; nobody was told of it."""
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO crf_lesionassessment"
            " (record_id, site_id, instance, status, version, missing, locked, lesion_date)"
            " SELECT 'MTP-001', 'MTP', number, 0, 1, '{}', false, '2020-01-01' FROM generate_series(1, %s) number",
            [ROWS],
        )
    cut = Cut(forms=("patient", "lesion_assessment"), sites=("MTP",), privacy=Privacy.FULL)
    return jobs.enqueue(Kind.EXPORT, parameters=cut.parameters(), by=the_system(), sites=cut.sites, doorbell=False)


def until(happened, *, job):
    """Wait for the job with the sweep of a scheduler going on."""
    end = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    with app.connection_for_write(BROKER) as broker:
        while time.monotonic() < end:
            job.refresh_from_db()
            if happened():
                return
            app.send_task("exports.sweep_jobs", connection=broker, expires=1)
            pause.wait(0.2)
    raise AssertionError(f"The job is {job.state} at {job.progress} %, attempt {job.attempts}: {job.error}")


def test_a_worker_killed_in_the_middle_of_an_export_only_delays_it(worker, long_export):
    """Negative test 29."""
    first = worker()
    until(lambda: long_export.state == State.RUNNING and 5 < long_export.progress < 90, job=long_export)
    kill(first)
    (left_behind,) = job_files.folder().glob("*.part")

    worker()
    until(lambda: long_export.has_ended, job=long_export)

    assert (long_export.state, long_export.attempts, long_export.error) == (State.DONE, 2, "")
    assert long_export.rows["lesion_assessment"] == {"counted": ROWS, "written": ROWS}
    assert not left_behind.exists()
    assert list(job_files.folder().iterdir()) == [job_files.file_of(long_export)]
    sheet = CalamineWorkbook.from_path(job_files.file_of(long_export)).get_sheet_by_name("lesion_assessment")
    assert len(sheet.to_python()) == ROWS + 1


def test_a_job_that_kills_each_of_its_workers_fails_after_the_third(worker, long_export):
    for attempt in (1, 2, 3):
        process = worker()
        until(lambda: long_export.state == State.RUNNING and long_export.attempts == attempt, job=long_export)  # noqa: B023 -- asked at once
        kill(process)

    worker()
    until(lambda: long_export.has_ended, job=long_export)

    assert long_export.state == State.FAILED
    assert long_export.error.startswith("It broke off at each attempt.")
    assert Job.objects.get().claim is None
    until(lambda: not list(job_files.folder().iterdir()), job=long_export)


@pytest.fixture
def recomputation(data_manager):
    """A computation that finds an outcome to store anew; nobody was told of it."""
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001")
    recompute_all()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crf_patient SET birth_date = '1950-01-01'")
    return jobs.enqueue(Kind.ENDPOINTS, parameters={}, by=the_system(), sites=("MTP",), doorbell=False)


def somebody_waits_for_a_row():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


def test_a_worker_killed_in_the_middle_of_a_recompute_only_delays_it(worker, recomputation):
    """Negative test 19."""
    before = PatientOutcome.objects.get().outcome
    with transaction.atomic():
        # The worker comes as far as storing this outcome, and waits for it.
        PatientOutcome.objects.select_for_update().get()
        first = worker()
        until(lambda: recomputation.state == State.RUNNING and somebody_waits_for_a_row(), job=recomputation)
        kill(first)
    left_behind = PatientOutcome.objects.get().outcome

    worker()
    until(lambda: recomputation.has_ended, job=recomputation)

    assert left_behind == before
    assert (recomputation.state, recomputation.attempts, recomputation.error) == (State.DONE, 2, "")
    assert PatientOutcome.objects.get().outcome != before
    assert not is_stale()
