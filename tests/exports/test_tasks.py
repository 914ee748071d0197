import pytest
from django.conf import settings

from exports import jobs
from exports.models import Job, Kind, State
from exports.tasks import run_job, sweep_jobs
from registry.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(data_manager, export_folder):
    return jobs.enqueue(Kind.EXPORT, parameters={}, by=data_manager, sites=[])


def test_the_task_of_a_job_does_it(job, runner):
    runner(lambda work: work.report(50))

    run_job(job_id=str(job.pk))

    job.refresh_from_db()
    assert job.state == State.DONE


def test_a_task_that_comes_twice_does_the_job_once(job, runner):
    done = []
    runner(lambda work: done.append(work.job.pk))

    for _time in range(2):
        run_job(job_id=str(job.pk))

    assert done == [job.pk]


def test_the_task_of_the_sweep_gives_up_what_was_tried_often_enough(job):
    Job.objects.update(attempts=jobs.MAX_ATTEMPTS)

    sweep_jobs()

    job.refresh_from_db()
    assert job.state == State.FAILED


def test_every_task_of_the_schedule_exists():
    app.loader.import_default_modules()

    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_the_doorbell_names_a_task_that_exists(job, monkeypatch):
    sent = []
    monkeypatch.setattr(app, "send_task", lambda name, **_options: sent.append(name))

    assert jobs.ring(job.pk)
    assert sent == [run_job.name]
