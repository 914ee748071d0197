"""A whole installation of its own, servers included, and what can befall it while it is used."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import psycopg
import redis

from registry.embedded import Servers, attach
from registry.environment import PROJECT
from tests.programs import free_port

LEASE_SECONDS = 3
START_SECONDS = 60
KEYS = ("SECRET_KEY", "PSEUDONYM_KEY")


class Installation:
    """PostgreSQL, Valkey, web server (2 workers), worker and scheduler, in a folder and with a database of their own.

    No other test shares them, so that they can be killed.
    """

    def __init__(self, folder):
        self.folder = folder
        self.addresses = attach(folder, postgres=True, valkey=True)
        self.servers = Servers(folder)
        self.web_port = free_port()
        self.programs = {}
        self.befell = {}
        self._dice = random.Random(20)  # noqa: S311 -- the same faults in the same order

    def prepare(self, *, clients):
        """Make the tables; return (key of the person, token) of each client, and of a data manager at last."""
        self.run("manage.py", "migrate", "--verbosity", "0", DATABASE_OWNER_URL=self.addresses.database_owner_url)
        return json.loads(self.run("-m", "tests.faults.people", str(clients)).stdout)

    def run(self, *arguments, **changes):
        """Run a program of ours to its end, which must be a good one."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self._environment() | changes,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, name):
        """Start the web server, the worker or the scheduler."""
        celery = ["-m", "celery", "-A", "registry.celery"]
        bind = f"127.0.0.1:{self.web_port}"
        web = ["-m", "gunicorn", "-c", "python:registry.web_server", "--bind", bind, "--workers", "2", "registry.wsgi"]
        commands = {
            "web": web,
            "worker": [*celery, "worker", "--concurrency", "1"],
            "scheduler": [*celery, "beat", "--pidfile="],
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                [sys.executable, *commands[name]],
                cwd=PROJECT,
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_all(self):
        """Start what is served."""
        for name in ("web", "worker", "scheduler"):
            self.start(name)

    def end(self):
        """Kill the programs and stop the servers."""
        for name in self.programs:
            self._kill(name)
        self.servers.stop()

    def befall(self, fault):
        """Let one of `FAULTS` happen, and count it; when this returns, what was killed is there again or starting."""
        getattr(self, fault)()
        self.befell[fault] = self.befell.get(fault, 0) + 1

    def kill_web_server(self):
        """SIGKILL to the web server with its workers."""
        self._kill("web")
        self.start("web")

    def kill_one_web_worker(self):
        """SIGKILL to one process of the web server, which makes another."""
        with suppress(psutil.Error, IndexError):
            self._dice.choice(psutil.Process(self.programs["web"].pid).children()).kill()

    def kill_worker(self):
        """SIGKILL to the worker, whatever job it is at."""
        self._kill("worker")
        self.start("worker")

    def kill_scheduler(self):
        """SIGKILL to the scheduler."""
        self._kill("scheduler")
        self.start("scheduler")

    def kill_database_backend(self):
        """SIGKILL to one process of PostgreSQL, which throws everybody out and recovers from its log."""
        with self.as_superuser() as database:
            pids = [pid for (pid,) in database.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'ecrf_app'")]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self._dice.choice(pids), signal.SIGKILL)

    def stop_database_at_once(self):
        """PostgreSQL ends as in a crash and is started again."""
        self._restart_database(signal.SIGQUIT)

    def stop_database_fast(self):
        """PostgreSQL breaks off what is going on, ends in order and is started again."""
        self._restart_database(signal.SIGINT)

    def kill_database(self):
        """SIGKILL to PostgreSQL's first process; the others notice."""
        self._restart_database(signal.SIGKILL)

    def flush_broker(self):
        """The broker forgets everything."""
        with self._broker() as broker:
            broker.flushall()

    def kill_broker(self):
        """SIGKILL to the broker."""
        with self._broker() as broker:
            os.kill(broker.info("server")["process_id"], signal.SIGKILL)
        self._until(lambda: not self.servers._valkey_answers(), why="The broker did not end.")
        self.servers.start_valkey()

    def as_superuser(self):
        """Return a connection that nothing is hidden from."""
        kept = self.servers.kept
        return psycopg.connect(
            host="127.0.0.1",
            port=kept.postgres_port,
            user="postgres",
            password=kept.superuser_password,
            dbname="ecrf",
            connect_timeout=5,
        )

    def _restart_database(self, how):
        port = self.servers.kept.postgres_port
        first = psutil.Process(int((self.servers.data / "postmaster.pid").read_text().split()[0]))
        all_of_them = [first, *first.children(recursive=True)]
        first.send_signal(how)
        _gone, alive = psutil.wait_procs(all_of_them, timeout=START_SECONDS)
        assert not alive, "PostgreSQL did not end."
        self.servers.start_postgres()
        assert self.servers.kept.postgres_port == port  # the programs know this one

    def _broker(self):
        return redis.Redis.from_url(self.addresses.broker_url, socket_timeout=5)

    def _kill(self, name):
        process = self.programs[name]
        # Everything in its session: a worker is several processes.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(START_SECONDS)

    def _until(self, happened, *, why):
        end = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while not happened():
            assert time.monotonic() < end, why
            pause.wait(0.05)

    def _environment(self):
        own = {
            "DATABASE_URL": self.addresses.database_url,
            "DATABASE_OWNER_URL": "none",
            "BROKER_URL": self.addresses.broker_url,
            "VAR_DIR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "registry.settings",
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
            "RATE_PER_TOKEN": str(10**9),
            "RATE_PER_ADDRESS": str(10**9),
            **{name: f"of-the-faults-{name}".ljust(40, "-") for name in KEYS},
        }
        return os.environ | own


FAULTS = (
    "kill_one_web_worker",
    "stop_database_at_once",
    "kill_worker",
    "flush_broker",
    "kill_web_server",
    "kill_database_backend",
    "kill_broker",
    "stop_database_fast",
    "kill_scheduler",
    "kill_database",
)
"""What befalls the installation, in this order, again and again."""
