"""A request leaves one line that names nothing of a patient, and an id that leads to the history."""

import json
import logging
import sys

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from registry import tracing
from registry.logs import JsonLines, Lines
from tests.crf.examples import body

RECORD = "MTP-001"
SECRET = "1970-05-01"


@pytest.fixture
def lines(caplog):
    """Return a function that gives what was logged so far as the JSON lines that they are."""
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(JsonLines())
    return lambda: [json.loads(line) for line in caplog.text.splitlines()]


def access(lines):
    (line,) = [line for line in lines() if line["logger"] == "registry.access"]
    return line


def test_a_request_has_one_line_that_says_who_did_what_how_long(api, lines):
    response = api().send("post", "/api/v1/patients/", body(record_id=RECORD))

    line = access(lines)
    assert {**line, "time": None, "ms": None, "person": None} == {
        "time": None,
        "level": "INFO",
        "logger": "registry.access",
        "message": "request",
        "request": response["X-Request-ID"],
        "method": "POST",
        "route": "patients",
        "status": 201,
        "ms": None,
        "person": None,
    }
    assert line["person"] is not None
    assert line["ms"] > 0


@pytest.mark.parametrize(
    "path", [f"/api/v1/patients/{RECORD}/?birth_date={SECRET}", f"/nowhere/{RECORD}/?q={SECRET}", f"/%00/{RECORD}"]
)
def test_no_line_tells_the_address_or_the_query_string(api, caplog, path):
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(JsonLines())

    api().get(path)

    assert '"logger":"registry.access"' in caplog.text
    assert RECORD not in caplog.text
    assert SECRET not in caplog.text


def test_an_error_of_ours_is_logged_with_its_place_and_without_its_message(caplog, monkeypatch, sites):
    def fails(_request):
        raise RuntimeError(f"the patient was born {SECRET}")

    monkeypatch.setattr("registry.health.Alive.get", lambda _self, request: fails(request))
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(JsonLines())

    response = Client(raise_request_exception=False).get(f"/healthz?next={RECORD}")

    (line,) = [line for line in map(json.loads, caplog.text.splitlines()) if line["logger"] == "django.request"]
    assert response.status_code == 500
    assert line["message"] == "answered with 500 at healthz"
    assert line["exception"].startswith("builtins.RuntimeError")
    assert "in fails" in line["exception"]
    assert SECRET not in caplog.text
    assert RECORD not in caplog.text


@pytest.mark.parametrize("given", ["abcdefgh", "a" * 64, "2f1c.4-A_z9"])
def test_a_safe_id_of_the_caller_is_kept_in_the_answer_the_log_and_the_history(api, lines, given):
    response = api().send("post", "/api/v1/patients/", body(record_id=RECORD), X_Request_ID=given)

    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT pgh_context->>'request' FROM crf_patienthistory")
        in_the_history = cursor.fetchall()
    assert response["X-Request-ID"] == given
    assert access(lines)["request"] == given
    assert in_the_history == [(given,)]


@pytest.mark.parametrize(
    "given", ["abcdefg", "a" * 65, "abc defgh", 'abcdefg"', "abcdefgh\u00e9", "../../etc/passwd", ""]
)
def test_an_id_that_is_not_safe_is_replaced(db, given):
    response = Client().get("/healthz", headers={"X-Request-ID": given})

    assert response["X-Request-ID"] != given
    assert len(response["X-Request-ID"]) == 36


def test_each_request_has_an_id_of_its_own_and_leaves_none_behind(db):
    ids = {Client().get("/healthz")["X-Request-ID"] for _time in range(3)}

    assert len(ids) == 3
    assert tracing.request_id.get() is None


def record(message, *arguments, name="test", exc_info=None, **fields):
    made = logging.LogRecord(name, logging.INFO, __file__, 1, message, arguments, exc_info)
    made.fields = fields
    return made


def test_a_plain_line_says_the_same():
    token = tracing.job_id.set("some-job")
    try:
        line = Lines().format(record("done in %d ms", 5, rows=3))
    finally:
        tracing.job_id.reset(token)

    assert line.endswith(" INFO test: done in 5 ms job=some-job rows=3")


def test_what_made_an_exception_is_told_too_without_messages():
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError:
        line = Lines().format(record("broken", exc_info=sys.exc_info()))

    assert [part for part in line.splitlines() if part.startswith("builtins")] == [
        "builtins.RuntimeError",
        "builtins.ValueError",
    ]
    assert SECRET not in line


def test_a_task_that_failed_is_named_without_what_it_was_given():
    told = {
        "name": "exports.run_job",
        "id": "1",
        "description": "raised unexpected",
        "exc": SECRET,
        "traceback": SECRET,
    }

    line = json.loads(JsonLines().format(record("Task %(name)s: %(exc)s", told, name="celery.app.trace")))

    assert line["message"] == "Task exports.run_job[1] raised unexpected"
    assert SECRET not in str(line)


def test_a_line_break_in_a_message_does_not_make_a_second_json_line():
    assert len(JsonLines().format(record('one\n{"level": "forged"}')).splitlines()) == 1


def test_every_handler_of_the_settings_writes_so():
    formatters = {handler["formatter"] for handler in settings.LOGGING["handlers"].values()}

    assert {settings.LOGGING["formatters"][name]["()"] for name in formatters} <= {
        "registry.logs.Lines",
        "registry.logs.JsonLines",
    }
