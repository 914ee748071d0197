"""Long answers: one moment, little memory, and a transaction that always ends."""

import json
import tracemalloc
from threading import Thread

import pytest
from django.db import connection
from django.test import Client

from crf.redcap import stored
from registry.callers import create_token
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved
from tests.crf.redcap.conftest import ADDRESS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def person(sites):
    """A data manager of all sites."""
    return make_person(Role.DATA_MANAGER)


@pytest.fixture
def export(person):
    """Begin an export; returns the response, of which nothing but the first part has been made."""
    token = create_token(person)[0]

    def begin(**fields):
        sent = {"token": token, "content": "record", "format": "json", **fields}
        return Client().post(ADDRESS, sent)

    return begin


def patients(person, count):
    for number in range(1, count + 1):
        saved("patient", by=caller_now(person), record_id=f"MTP-{number:03d}", site="MTP")


def test_an_export_is_of_one_moment_whoever_writes_meanwhile(person, export, monkeypatch):
    monkeypatch.setattr(stored, "PATIENTS_AT_A_TIME", 1)
    patients(person, 3)
    response = export(fields="record_id,race")
    parts = iter(response.streaming_content)
    first = next(parts)

    def write():
        try:
            saved("patient", by=caller_now(person), record_id="MTP-009", site="MTP")
            with connection.cursor() as cursor:
                cursor.execute("UPDATE crf_patient SET race = 'ASIAN'")
        finally:
            connection.close()

    writer = Thread(target=write)
    writer.start()
    writer.join(30)
    rows = json.loads(first + b"".join(parts))

    assert [(row["record_id"], row["race"]) for row in rows] == [(f"MTP-00{n}", "") for n in (1, 2, 3)]


def test_the_transaction_ends_with_the_last_part(person, export):
    patients(person, 1)

    response = export()
    during = connection.in_atomic_block
    assert response.getvalue()

    assert (during, connection.in_atomic_block) == (True, False)


def test_the_transaction_ends_when_the_client_goes_away(person, export, monkeypatch):
    monkeypatch.setattr(stored, "PATIENTS_AT_A_TIME", 1)
    patients(person, 3)

    for read in (0, 1):
        response = export()
        for _part in range(read):
            next(iter(response.streaming_content))
        response.close()
        assert not connection.in_atomic_block


def test_what_is_wrong_with_a_call_is_told_and_no_transaction_stays_open(export):
    response = export(fields="nope")

    assert (response.status_code, connection.in_atomic_block) == (400, False)


def test_memory_does_not_grow_with_the_patients(person, export, monkeypatch):
    monkeypatch.setattr(stored, "PATIENTS_AT_A_TIME", 20)
    patients(person, 40)

    def peak():
        tracemalloc.start()
        for _part in export().streaming_content:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak()
    few = peak()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO crf_patient (record_id, number, site_id, instance, status, version, missing, locked, sex)"
            " SELECT 'MTP-' || n, n, 'MTP', 1, 0, 1, '{}', false, 'M' FROM generate_series(1000, 1999) n"
        )
    many = peak()

    assert many < 1.5 * few
