"""How messages are sent: at once or not at all, because every job is a row that is found anyway."""

import time

import pytest
from kombu.exceptions import OperationalError

from registry.celery import app


@pytest.mark.slow
def test_a_request_does_not_wait_for_a_broker_that_is_not_there():
    began = time.monotonic()

    with app.connection_for_write(url="redis://127.0.0.1:1/0") as nobody, pytest.raises(OperationalError):
        app.send_task("exports.sweep_jobs", connection=nobody)

    assert time.monotonic() - began < 30


def test_what_is_scheduled_expires_before_it_comes_again():
    for entry in app.conf.beat_schedule.values():
        schedule = entry["schedule"]
        assert entry["options"]["expires"] <= (schedule if isinstance(schedule, float) else 24 * 3600)
