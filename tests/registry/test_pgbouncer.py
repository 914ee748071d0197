"""Behind PgBouncer in transaction mode, where all clients share one connection to the server. Negative test 42."""

import json
import os
import shutil
import subprocess
import urllib.request
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from registry.callers import create_token
from registry.rights import Role
from registry.server_user import as_server_user, give_to_server_user, let_through
from tests import programs
from tests.conftest import make_person
from tests.crf.conftest import at_once
from tests.crf.examples import COMPLETE, body

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        PGBOUNCER is None and "REQUIRE_PGBOUNCER" not in os.environ, reason="there is no program pgbouncer here"
    ),
]
SETTINGS = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 1
auth_type = scram-sha-256
auth_file = {users}
"""


@pytest.fixture
def pooled(tmp_path):
    """The address of the test database through a pool that has one connection to the server."""
    assert PGBOUNCER, "REQUIRE_PGBOUNCER is set and there is no program pgbouncer. On Debian: apt install pgbouncer"
    address, port = urlsplit(programs.address_of()), programs.free_port()
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    database = connection.settings_dict
    users.write_text(f'"{database["USER"]}" "{database["PASSWORD"]}"\n')
    settings.write_text(SETTINGS.format(host=address.hostname, port=address.port, listen_port=port, users=users))
    for file in (folder, users, settings):
        give_to_server_user(file)
    let_through(folder)
    with (tmp_path / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([PGBOUNCER, str(settings)], cwd=folder, stderr=log, **as_server_user())
    try:
        programs.until(lambda: programs.listens(port), why=(tmp_path / "pgbouncer.log").read_text)
        yield programs.address_of(HOST="127.0.0.1", PORT=port)
    finally:
        process.terminate()
        process.wait(10)


def backend(client):
    return client.execute("SELECT pg_backend_pid()").fetchone()[0]


def patients(client):
    return client.execute("SELECT count(*) FROM crf_patient").fetchone()[0]


def test_what_one_client_sees_does_not_go_to_the_next_on_the_same_connection(pooled, patient):
    with (
        psycopg.connect(pooled, prepare_threshold=None, autocommit=True) as one,
        psycopg.connect(pooled, prepare_threshold=None, autocommit=True) as two,
    ):
        with one.transaction():
            one.execute("SELECT ecrf_begin('{}', 'system', 'MTP', NULL)")
            seen = backend(one), patients(one)
        other = backend(two), patients(two)
        again = backend(one), patients(one)

    server = seen[0]
    assert (seen, other, again) == ((server, 1), (server, 0), (server, 0))


@pytest.fixture
def served(pooled, tmp_path):
    """The address of a web server with its worker, both behind the pool."""
    port = programs.free_port()
    with programs.empty_broker():
        pool = {"DATABASE_URL": pooled, "PREPARE_STATEMENTS": "false"}
        started = [
            programs.start(*program, log=tmp_path / log, folder=tmp_path, **pool)
            for log, program in (("web.log", programs.web_server(port)), ("worker.log", programs.WORKER))
        ]
        try:
            programs.until(lambda: programs.listens(port), why=(tmp_path / "web.log").read_text)
            yield f"http://127.0.0.1:{port}/api/v1/"
        finally:
            programs.end(started)


def ask(address, token, content=None):
    """Send one request as a program would; return the JSON of the answer."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data, headers)  # noqa: S310 -- loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- loopback
        return json.load(answer)


def test_sites_stay_apart_while_they_enter_and_export_through_one_connection(served, sites):
    tokens = {site: create_token(make_person(Role.COORDINATOR, site=site))[0] for site in ("MTP", "NIM")}

    def enter(site):
        for _patient in range(5):
            record_id = ask(f"{served}patients/", tokens[site], body())["record_id"]
            event = {"form": "adverse_event", "record_id": record_id, "values": COMPLETE["adverse_event"]}
            ask(f"{served}entries/", tokens[site], {"entries": [event] * 20})
        return ask(f"{served}forms/adverse_event/?limit=1000", tokens[site])["results"]

    found = at_once(lambda: enter("MTP"), lambda: enter("NIM"))

    assert [{entry["site"] for entry in entries} for entries in found] == [{"MTP"}, {"NIM"}]
    assert [len(entries) for entries in found] == [100, 100]

    job = ask(f"{served}exports/", tokens["NIM"], {"format": "xlsx"})
    done = programs.until(
        lambda: (seen := ask(f"{served}exports/{job['id']}/", tokens["NIM"]))["state"] == "done" and seen,
        why=lambda: str(ask(f"{served}exports/{job['id']}/", tokens["NIM"])),
    )
    assert {form: rows["written"] for form, rows in done["rows"].items() if rows["written"]} == {
        "patient": 5,
        "adverse_event": 100,
    }
