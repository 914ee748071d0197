"""Our own PostgreSQL and Valkey: shared by processes, stopped when nobody uses them, back after any crash."""

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from registry.embedded import Addresses, Servers
from registry.environment import PROJECT

pytestmark = pytest.mark.slow

HOLD = """
import sys, msgspec
from pathlib import Path
from registry.embedded import attach
servers = attach(Path(sys.argv[1]), postgres="postgres" in sys.argv, valkey="valkey" in sys.argv)
print(msgspec.json.encode(servers).decode(), flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that uses the servers of a folder until it is told to end or killed."""

    def __init__(self, folder: Path, *servers: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), *(servers or ("postgres", "valkey"))],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addresses = Addresses(**json.loads(self.process.stdout.readline()))

    def end(self, signal_number: int | None = None) -> None:
        if signal_number:
            self.process.send_signal(signal_number)
        self.process.communicate()


@contextmanager
def holding(folder: Path, *servers: str):
    holder = Holder(folder, *servers)
    try:
        yield holder
    finally:
        holder.end()
        wait_until_stopped(folder)


def wait_until_stopped(folder: Path) -> None:
    """Return when the keeper has gone, and so the servers."""
    with (folder / "keeper.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def postgres_works(addresses: Addresses) -> bool:
    try:
        with psycopg.connect(addresses.database_url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def valkey_works(addresses: Addresses) -> bool:
    try:
        with redis.Redis.from_url(addresses.broker_url) as client:
            return client.ping()
    except redis.ConnectionError:
        return False


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))


@pytest.fixture
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("var")


def test_both_servers_start_serve_two_processes_and_stop_with_the_last(folder):
    first = Holder(folder)
    second = Holder(folder)

    first.end()

    assert first.addresses == second.addresses
    assert (postgres_works(second.addresses), valkey_works(second.addresses)) == (True, True)

    second.end()
    wait_until_stopped(folder)

    assert (postgres_works(second.addresses), valkey_works(second.addresses)) == (False, False)


def test_what_was_written_is_there_at_the_next_start(folder):
    with holding(folder, "postgres") as holder, psycopg.connect(holder.addresses.database_owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    with holding(folder, "postgres") as holder, psycopg.connect(holder.addresses.database_owner_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_killed_processes_leave_no_server_behind(folder):
    holder = Holder(folder)

    holder.end(signal.SIGKILL)
    wait_until_stopped(folder)

    assert (postgres_works(holder.addresses), valkey_works(holder.addresses)) == (False, False)


def test_servers_that_were_killed_themselves_start_again_on_their_data(folder):
    with holding(folder) as holder:
        with psycopg.connect(holder.addresses.database_owner_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        killed = postmaster(folder)
        killed.kill()
        killed.wait()

        with holding_also(folder) as other, psycopg.connect(other.addresses.database_owner_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_keeper_that_was_killed_is_replaced_and_servers_are_still_stopped(folder):
    with holding(folder) as holder:
        keeper = next(
            process
            for process in psutil.process_iter(["cmdline"])
            if (process.info["cmdline"] or [])[-2:] == ["registry.embedded", str(folder)]
        )
        keeper.kill()
        keeper.wait()
        other = Holder(folder)
        other.end()

        assert postgres_works(holder.addresses)

    assert not postgres_works(holder.addresses)


def test_a_process_number_used_again_by_another_program_does_not_stop_the_start(folder):
    with holding(folder, "postgres"):
        pid_file = (folder / "postgres" / "postmaster.pid").read_text()
    stale = "\n".join([str(os.getpid()), *pid_file.splitlines()[1:]])
    (folder / "postgres" / "postmaster.pid").write_text(stale)

    with holding(folder, "postgres") as holder:
        assert postgres_works(holder.addresses)


def test_two_copies_of_the_project_do_not_meet(tmp_path_factory):
    with holding(tmp_path_factory.mktemp("one")) as one, holding(tmp_path_factory.mktemp("two")) as two:
        assert one.addresses.database_url != two.addresses.database_url
        assert one.addresses.broker_url != two.addresses.broker_url
        assert postgres_works(one.addresses)
        assert postgres_works(two.addresses)


def test_a_port_that_is_taken_meanwhile_is_given_up(folder):
    with holding(folder, "valkey") as holder:
        before = holder.addresses
    port = Servers(folder).kept.valkey_port
    with socket.create_server(("127.0.0.1", port)), holding(folder, "valkey") as holder:
        assert holder.addresses != before
        assert valkey_works(holder.addresses)


def test_only_the_server_that_is_asked_for_starts(folder):
    with holding(folder, "valkey") as holder:
        assert holder.addresses.database_url == ""
        assert not (folder / "postgres").exists()
        assert valkey_works(holder.addresses)


def test_a_data_folder_left_half_made_is_made_anew(folder):
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "half").touch()

    with holding(folder, "postgres") as holder:
        assert postgres_works(holder.addresses)


def test_nobody_gets_in_without_the_password_and_our_roles_are_no_superusers(folder):
    with holding(folder) as holder:
        kept = Servers(folder).kept
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=kept.postgres_port, user="postgres", dbname="ecrf", password="guess")
        with redis.Redis(port=kept.valkey_port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        for address, expected in (
            (holder.addresses.database_url, ("ecrf_app", False, False, False, False)),
            (holder.addresses.database_owner_url, ("ecrf_owner", False, False, False, True)),
        ):
            with psycopg.connect(address) as connection:
                may = "rolsuper, rolbypassrls, rolcreaterole, rolcreatedb"
                role = connection.execute(f"SELECT rolname, {may} FROM pg_roles WHERE rolname = user")  # noqa: S608
                assert role.fetchone() == expected

    for private in ("servers.json", "postgres/postgresql.conf", "valkey/valkey.conf"):
        assert stat.S_IMODE((folder / private).stat().st_mode) == 0o600


@contextmanager
def holding_also(folder: Path):
    """Another process on servers that stay in use."""
    holder = Holder(folder)
    try:
        yield holder
    finally:
        holder.end()
