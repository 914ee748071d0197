"""Eight clients write while everything under them is killed (negative tests 12, 13, 19, 29).

FAULTS_SECONDS (60) says for how long. What a power failure adds, a disk that loses what it confirmed, is not tried.
"""

import hashlib
import os
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from tests.faults.clients import PATIENTS, Client
from tests.faults.installation import FAULTS, Installation

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("FAULTS_SECONDS", "60"))
CLIENTS = 8
QUIET_SECONDS = 1.5
"""Between two faults: long enough for some writes to be acknowledged, too short to come to rest."""
END_SECONDS = 120
TEXTS = {"patient": "patient_notes", "adverse_event": "ae_term"}


@pytest.fixture
def installation(tmp_path):
    """An installation with its programs running; nothing of it is left."""
    made = Installation(tmp_path)
    try:
        yield made
    finally:
        made.end()


def within(seconds, happened):
    """Return the first true answer; an assertion fails when there is none in time."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not (found := happened()):
        assert time.monotonic() < end, f"{happened.__name__}: not within {seconds} seconds"
        pause.wait(0.2)
    return found


def fetch(port, path, token):
    """Return what a GET gives."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- as above
        return response.read()


def let_everything_befall(installation, *, until):
    """Let fault after fault happen, each at least once."""
    pause = threading.Event()
    for number, fault in enumerate(cycle(FAULTS)):
        if time.monotonic() > until and number >= len(FAULTS):
            return
        pause.wait(QUIET_SECONDS)
        installation.befall(fault)


def rows(installation, statement):
    with installation.as_superuser() as database:
        return database.execute(statement).fetchall()


def history_of(installation, form):
    """Return (record id, instance) -> [(kind, version, text, person)] in the order of the chain."""
    table = {"patient": "crf_patient", "adverse_event": "crf_adverseevent"}[form]
    instance = "1" if form == "patient" else "instance"
    found = {}
    for record_id, number, *row in rows(
        installation,
        f"SELECT record_id, {instance}, pgh_label, version, {TEXTS[form]}, (pgh_context->>'person')::bigint"  # noqa: S608 -- names of ours
        f" FROM {table}history ORDER BY pgh_chain, pgh_seq",
    ):
        found.setdefault((record_id, number), []).append(tuple(row))
    return found


def saved(installation, form):
    """Return (record id, instance) -> (version, text) as it is now."""
    table = {"patient": "crf_patient", "adverse_event": "crf_adverseevent"}[form]
    instance = "1" if form == "patient" else "instance"
    found = rows(installation, f"SELECT record_id, {instance}, version, {TEXTS[form]} FROM {table}")  # noqa: S608 -- as above
    return {(record_id, number): (version, text) for record_id, number, version, text in found}


def all_jobs_ended(installation):
    states = dict(rows(installation, "SELECT state, count(*) FROM exports_job GROUP BY state"))
    return states if not states.keys() & {"waiting", "running"} else None


def endpoints_are_up_to_date(installation):
    ((stale,),) = rows(installation, "SELECT ecrf_endpoints_are_stale()")
    return not stale


@pytest.fixture
def aftermath(installation, capsys):
    """What eight clients saw while everything befell the installation, which is at rest again."""
    people = installation.prepare(clients=CLIENTS)
    installation.start_all()
    within(60, lambda: fetch_health(installation))
    until = time.monotonic() + SECONDS
    beside = {"port": installation.web_port, "until": until, "enrolled": threading.Barrier(CLIENTS)}
    clients = [
        Client(number, person=person, token=token, **beside) for number, (person, token) in enumerate(people[:CLIENTS])
    ]
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        fate = pool.submit(let_everything_befall, installation, until=until)
        done = [pool.submit(client.work) for client in clients]
        for future in [fate, *done]:
            future.result(timeout=SECONDS + 400)
    seen = [client.seen for client in clients]
    within(END_SECONDS, lambda: all_jobs_ended(installation))
    within(END_SECONDS, lambda: endpoints_are_up_to_date(installation))
    with capsys.disabled():
        print(f"\n{summary(installation, seen)}")  # noqa: T201 -- figures for who runs it
    return seen, people


def fetch_health(installation):
    try:
        return fetch(installation.web_port, "/healthz", "")
    except OSError:
        return None


def summary(installation, seen):
    total = {name: sum(len(getattr(one, name)) for one in seen) for name in ("acknowledged", "in_doubt", "exports")}
    total |= {name: sum(getattr(one, name) for one in seen) for name in ("retried", "replayed", "stale")}
    befell = ", ".join(f"{fault} {count}" for fault, count in installation.befell.items())
    jobs = all_jobs_ended(installation)
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in total.items())
    return f"{SECONDS:.0f} s, {CLIENTS} clients: {said}; jobs {jobs}; {befell}"


def test_whatever_is_killed_nothing_acknowledged_is_lost_or_doubled(installation, aftermath):
    seen, people = aftermath
    acknowledged = [written for one in seen for written in one.acknowledged]
    history = {form: history_of(installation, form) for form in TEXTS}
    now = {form: saved(installation, form) for form in TEXTS}

    # Nothing went wrong that is not told as a fault, and there was something to lose.
    assert [line for one in seen for line in one.unexpected] == []
    assert set(installation.befell) == set(FAULTS)
    assert sum(one.retried for one in seen) > 0
    assert set(now["patient"]) == {(record_id, 1) for record_id in PATIENTS}

    # Every acknowledged write is in the history, at its version, once, by who made it.
    for written in acknowledged:
        kind = "insert" if written.version == 1 else "update"
        there = [row for row in history[written.form][written.record_id, written.instance] if row[2] == written.text]
        assert there == [(kind, written.version, written.text, written.person)], written

    # No text was written twice, acknowledged or not, and what was neither acknowledged nor in doubt is not there.
    texts = Counter(row[2] for form in TEXTS for entry in history[form].values() for row in entry)
    assert [text for text, count in texts.items() if count > 1] == []
    known = {written.text for written in acknowledged} | {text for one in seen for text in one.in_doubt}
    assert set(texts) <= known

    # The history of every entry is complete, and ends with what is saved; no entry is there twice.
    for form in TEXTS:
        assert set(history[form]) == set(now[form])
        for place, entry in history[form].items():
            assert [row[1] for row in entry] == list(range(1, len(entry) + 1)), place
            assert entry[-1][1:3] == now[form][place], place

    # The chain holds, for the program that an inspector would run.
    assert "chains are whole" in installation.run("manage.py", "verify_history").stdout

    # Every job that was asked for ended, those done have their file, and the endpoints are those of the data.
    ended = rows(installation, "SELECT id, state, sha256 FROM exports_job")
    jobs = {str(key): (state, digest) for key, state, digest in ended}
    asked = {key: number for number, one in enumerate(seen) for key in one.exports}
    assert asked.keys() <= jobs.keys()
    assert {jobs[key][0] for key in asked} <= {"done", "failed"}
    for key in [key for key in asked if jobs[key][0] == "done"]:
        file = fetch(installation.web_port, f"/api/v1/exports/{key}/file/", people[asked[key]][1])
        assert hashlib.sha256(file).hexdigest() == jobs[key][1]
    assert_endpoints_are_those_of_the_data(installation)


def assert_endpoints_are_those_of_the_data(installation):
    """A computation of everything anew finds nothing that had been missed."""
    said = installation.run("manage.py", "recompute_endpoints").stdout
    ((found,),) = rows(installation, "SELECT rows FROM exports_job ORDER BY created_at DESC LIMIT 1")
    assert found["outcomes"] == {"computed": len(PATIENTS), "changed": 0, "missed": 0}, said
