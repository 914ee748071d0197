"""Health pages: what is degraded is said, and data entry goes on (negative test 43)."""

import json
import socket
from collections import namedtuple
from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection
from django.test import Client

from registry import health, vital_signs
from registry.heartbeats import beat, beat_of_the_scheduler
from registry.models import Heart
from tests.conftest import as_owner
from tests.crf.examples import body

Room = namedtuple("Room", "total used free")
NAMES = [
    "database",
    "writing",
    "migrations",
    "role",
    "clock",
    "scheduler",
    "worker",
    "oldest_waiting_job",
    "broker",
    "disk",
]


@pytest.fixture(autouse=True)
def asked_anew():
    """Forgets the answer of the test before."""
    health.kept.forget()
    yield
    health.kept.forget()


@pytest.fixture
def everything_lives(db, monkeypatch):
    """Everything stands well."""
    for heart in Heart:
        beat(heart)
    monkeypatch.setattr(vital_signs.shutil, "disk_usage", lambda _path: Room(100, 50, 50))
    monkeypatch.setattr(vital_signs, "LEAST_FREE_BYTES", 5)


def readiness():
    health.kept.forget()
    response = Client().get("/readyz")
    return response.status_code, response.json()


def states(answer):
    return {name: check["status"] for name, check in answer["checks"].items()}


def test_who_is_alive_says_so_without_asking_anybody(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        response = Client().get("/healthz")

    assert (response.status_code, response.content) == (200, b"alive\n")


def test_when_all_is_well_every_check_says_so(everything_lives):
    status, answer = readiness()

    assert (status, answer["status"]) == (200, "ok")
    assert states(answer) == dict.fromkeys(NAMES, "ok")


def test_the_page_tells_no_versions_and_names(everything_lives):
    text = json.dumps(readiness()[1])

    for secret in (connection.settings_dict["NAME"], connection.settings_dict["USER"], "18.", "5.2", "127.0.0.1"):
        assert secret not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reading_is_answered(db, path):
    assert Client().post(path).status_code == 405


def test_whoever_asks_again_within_a_second_costs_the_database_nothing(everything_lives, django_assert_num_queries):
    readiness()

    with django_assert_num_queries(0):
        response = Client().get("/readyz")

    assert response.json()["status"] == "ok"


@pytest.mark.parametrize(("seconds", "status"), [(29, "ok"), (31, "degraded")])
@pytest.mark.parametrize("kind", ["scheduler", "worker"])
def test_a_program_silent_for_more_than_half_a_minute_degrades(everything_lives, kind, seconds, status):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_heartbeat SET at = clock_timestamp() - make_interval(secs => %s) WHERE kind = %s",
            [seconds, kind],
        )

    code, answer = readiness()

    assert (code, answer["status"], answer["checks"][kind]["status"]) == (200, status, status)


def test_a_program_that_was_never_seen_degrades(everything_lives):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM registry_heartbeat")

    answer = readiness()[1]

    assert states(answer) == dict.fromkeys(NAMES, "ok") | {"scheduler": "degraded", "worker": "degraded"}


@pytest.mark.parametrize(("free", "status"), [(4, "degraded"), (5, "ok")])
def test_a_disk_with_less_than_5_percent_free_degrades(everything_lives, monkeypatch, free, status):
    monkeypatch.setattr(vital_signs.shutil, "disk_usage", lambda _path: Room(100, 100 - free, free))

    assert readiness()[1]["checks"]["disk"] == (
        {"status": status, "free_percent": free} | ({"detail": "is nearly full"} if status == "degraded" else {})
    )


@pytest.mark.parametrize(("seconds", "status"), [(4, "ok"), (6, "degraded"), (-6, "degraded")])
def test_a_clock_more_than_5_seconds_from_the_databases_degrades(everything_lives, monkeypatch, seconds, status):
    now = datetime.now(UTC).timestamp()
    monkeypatch.setattr(vital_signs.timezone, "now", lambda: datetime.fromtimestamp(now + seconds, UTC))

    code, answer = readiness()

    assert (code, answer["checks"]["clock"]["status"]) == (200, status)


def test_missing_migrations_are_down(everything_lives, monkeypatch):
    known = vital_signs.known_migrations() | {"crf.9999_to_come"}
    monkeypatch.setattr(vital_signs, "known_migrations", lambda: known)

    code, answer = readiness()

    assert (code, answer["status"], answer["checks"]["migrations"]["status"]) == (503, "down", "down")


def test_a_role_that_row_level_security_does_not_hold_for_degrades(everything_lives, monkeypatch):
    monkeypatch.setattr(vital_signs, "IS_UNFIT", vital_signs.IS_UNFIT.replace("current_user", "'postgres'"))

    assert readiness()[1]["checks"]["role"]["status"] == "degraded"


def test_a_database_that_does_not_answer_is_down_and_the_rest_is_still_told(everything_lives, monkeypatch):
    monkeypatch.setattr(vital_signs, "IS_UNFIT", "SELECT pg_sleep(9)")
    monkeypatch.setattr(health, "DATABASE_MILLISECONDS", 20)

    code, answer = readiness()

    assert (code, answer["status"], answer["checks"]["database"]["status"]) == (503, "down", "down")
    assert states(answer).keys() == {"database", "broker", "disk"}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_database_nobody_listens_at_is_down(monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", "1")

        code, answer = readiness()

    assert (code, answer["checks"]["database"]["status"]) == (503, "down")


@pytest.fixture
def hanging_address():
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refuses", "hangs"])
def test_data_entry_goes_on_while_the_broker_is_down(everything_lives, settings, api, hanging_address, kind):
    settings.BROKER_URL = "redis://127.0.0.1:1/0" if kind == "refuses" else hanging_address

    code, answer = readiness()
    entered = api().send("post", "/api/v1/patients/", body(record_id="MTP-001"))

    assert entered.status_code == 201
    assert (code, answer["status"]) == (200, "degraded")
    assert states(answer) == dict.fromkeys(NAMES, "ok") | {"broker": "degraded"}


@pytest.fixture
def read_only_database(transactional_db):
    """Returns a function that makes the database of the test read-only; afterwards it is as before."""

    def alter(change):
        with as_owner() as owner:
            owner.execute("SET TRANSACTION READ WRITE")
            owner.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} {change}")
        connection.close()

    yield lambda: alter("SET default_transaction_read_only = on")
    alter("RESET default_transaction_read_only")


@pytest.mark.slow
def test_a_read_only_database_refuses_entry_in_words_lets_read_and_is_degraded(api, read_only_database):
    client = api()
    assert client.send("post", "/api/v1/patients/", body(record_id="MTP-001")).status_code == 201
    for heart in Heart:
        beat(heart)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_token SET last_used_at = NULL")
    read_only_database()

    refused = client.send("post", "/api/v1/patients/", body(record_id="MTP-002"))
    read = client.get("/api/v1/sites/")
    code, answer = readiness()

    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "database_read_only", "5")
    assert read.status_code == 200
    assert (code, answer["status"], answer["checks"]["writing"]["status"]) == (200, "degraded", "degraded")


@pytest.mark.slow
def test_an_entry_while_the_database_is_down_is_told_to_come_again(api, transactional_db, monkeypatch):
    client = api()
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", "1")

        # A plain client: the one of the API arranges the connection that is gone.
        response = Client().get("/api/v1/patients/", headers={"Authorization": client.defaults["HTTP_AUTHORIZATION"]})

    assert (response.status_code, response.json()["code"]) == (503, "database_down")


def test_a_scheduler_without_a_database_goes_on(db, monkeypatch, caplog):
    def is_down(_heart):
        raise OperationalError

    monkeypatch.setattr("registry.heartbeats.beat", is_down)
    monkeypatch.setattr("registry.heartbeats.close_old_connections", lambda: None)

    beat_of_the_scheduler()

    assert "the scheduler's heartbeat was not saved" in caplog.text
