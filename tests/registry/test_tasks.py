"""Tests of registry.tasks."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from registry.celery import app
from registry.models import IdempotentAnswer
from registry.tasks import ANSWERS_ARE_KEPT_FOR, forget_answers, forget_sessions
from tests.conftest import make_person


@pytest.mark.django_db
def test_an_answer_is_forgotten_after_a_week_and_kept_until_then():
    person, now = make_person(), timezone.now()
    for key, age in (("old", ANSWERS_ARE_KEPT_FOR + timedelta(minutes=1)), ("new", ANSWERS_ARE_KEPT_FOR / 2)):
        answer = IdempotentAnswer(person=person, key=key, request_digest=b"", status=201, headers={}, body=b"")
        answer.created_at = now - age
        answer.save()

    forget_answers()

    assert list(IdempotentAnswer.objects.values_list("key", flat=True)) == ["new"]


@pytest.mark.django_db
def test_sessions_that_are_over_are_forgotten():
    for key, left in (("over", -1), ("goes on", 60)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(seconds=left))

    forget_sessions()

    assert list(Session.objects.values_list("session_key", flat=True)) == ["goes on"]


def test_every_scheduled_task_is_one_that_the_worker_knows():
    app.loader.import_default_modules()

    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert scheduled - set(app.tasks) == set()
