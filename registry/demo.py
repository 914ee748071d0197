"""The demo: every part started as in real use, the published cohort taken from entry to workbook and endpoint table.

Nothing here knows the layers above: what they do is asked for through `manage.py` and the REST API.
"""

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from registry.children import Child, Say, end_of
from registry.environment import PROJECT
from registry.front_door import FrontDoor

COHORT: Final = "docs/cohort19"
STEPS: Final = 8
JOB_ENDS: Final = ("done", "failed", "cancelled")
POLL_SECONDS: Final = 0.2
JOB_SECONDS: Final = 300
START_SECONDS: Final = 60
PORT_SECONDS: Final = 5  # a killed demo's web server needs a moment to end


class DemoError(Exception):
    """The demo cannot go on; the message says what to do about it."""


class StopRequested(BaseException):
    """Ctrl-C, or a request to end; not an Exception, so that nothing on the way swallows it."""


class Login(msgspec.Struct):
    """How one of the demo's people gets in."""

    password: str
    token: str


class Demo:
    """One run. `folder` is VAR_DIR; everything the run makes is there."""

    def __init__(self, *, folder: Path, port: int, say: Say) -> None:
        self.folder = folder
        self.port = port
        self.say = say
        self.address = f"http://127.0.0.1:{port}"
        self.workbook = folder / "exports" / "demo.xlsx"
        self.children: list[Child] = []
        self.steps = 0
        # The demo is for this machine alone, whatever its surroundings are set to, and its people have no phones.
        self.env = os.environ | {
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "HTTPS": "false",
            "DEBUG": "false",
            "REQUIRE_TOTP": "nobody",
        }
        # Its logs are read by a person.
        self.env.setdefault("LOG_FORMAT", "line")
        for made in ("logs", "exports"):
            (folder / made).mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(self, *, servers: str, once: bool) -> None:
        """Do all steps, then serve until asked to stop, or with `once` stop at once.

        Raises DemoError, ChildError or CallError if a step fails.
        """
        with self._only_run(), _stopping_on_signals():
            try:
                self._steps(servers, once=once)
                if not once:
                    self._serve()
            except StopRequested:
                self.say("\nStopping.")
                if self.steps < STEPS:
                    raise DemoError("Stopped before the endpoint table came out.") from None
            finally:
                for child in self.children:
                    child.stop()

    def _steps(self, servers: str, *, once: bool) -> None:
        with self._step(f"Servers: {servers}"):
            self._wait_for_port()
        with self._step("Bringing the database up to date"):
            self._manage("migrate", "--no-input")
        with self._step("Making the demo's people"):
            people = self._manage("demo_people")
        with self._step("Starting web server, worker and scheduler"):
            door = self._start_children()
        with self._step(f"Loading the published cohort, {COHORT}"):
            if not door.get("/api/v1/patients/")["results"]:
                self._manage("load_forms", COHORT)
        with self._step("Exporting all sites' forms to a workbook"):
            self._export(door)
        with self._step("Computing the endpoints"):
            self._finish(door, door.start_job("/api/v1/endpoints/recompute/", {}))
        with self._step("Reading them back"):
            door.get("/api/v1/endpoints/")
            # Whoever tried things out has other data by now, and wants to go on with them.
            table = self._manage("endpoint_table", *([] if once else ["--other-data"]))
        self.say(f"\n{table}\nWorkbook: {self.workbook}\nAddress:  {self.address}/\n\n{people}")
        self.say("Here a password is enough. Elsewhere who sees several sites signs in with a code too (REQUIRE_TOTP).")

    def _serve(self) -> None:
        self.say(f"\nServing at {self.address}/ until Ctrl-C. Logs are in {self.folder / 'logs'}.")
        self._until(lambda: False, seconds=float("inf"))

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        self.say(f"[{self.steps + 1}/{STEPS}] {title} ...")
        yield
        self.steps += 1
        self.say(f"      {time.monotonic() - began:.1f} s")

    @contextmanager
    def _only_run(self) -> Iterator[None]:
        """Hold the folder. The kernel lets go of it however this process ends."""
        with (self.folder / "demo.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise DemoError(
                    f"A demo is already running on {self.folder}: {lock.read().strip()}. "
                    "Stop it with Ctrl-C, or set VAR_DIR to another folder and PORT to another port."
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} at {self.address}/\n")
            lock.flush()
            yield

    def _wait_for_port(self) -> None:
        if not self._until(lambda: _is_free(self.port), seconds=PORT_SECONDS):
            raise DemoError(f"Port {self.port} is used by another program. Choose another: PORT=8001 bin/demo")

    def _manage(self, command: str, *arguments: str) -> str:
        """Run a command of manage.py; returns what it prints."""
        log = self.folder / "logs" / f"{command}.log"
        with log.open("wb") as errors:
            done = subprocess.run(  # noqa: S603 -- our own commands
                [sys.executable, "manage.py", command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=PROJECT,
                env=self.env,
                check=False,
            )
            printed = done.stdout.decode()
            if done.returncode:
                errors.write(done.stdout)
        if done.returncode:
            raise DemoError(f"manage.py {command} failed.\n{end_of(log)}")
        return printed

    def _start_children(self) -> FrontDoor:
        """Start what serves; returns the data manager's way in, once somebody answers there."""
        web = ["gunicorn", "-c", "python:registry.web_server", "--bind", f"127.0.0.1:{self.port}", "--workers", "2"]
        celery = ["celery", "-A", "registry.celery"]
        for name, program in {
            "web server": [*web, "registry.wsgi"],
            "scheduler": [*celery, "beat", "--pidfile="],
            "worker": [*celery, "worker", "--concurrency", "2"],
        }.items():
            log = self.folder / "logs" / f"{name.replace(' ', '-')}.log"
            self.children.append(Child(name, [sys.executable, "-m", *program], log=log, env=self.env))
        door = FrontDoor(self.address, token=self._logins()["datamanager"].token)
        if not self._until(lambda: door.answers("/api/v1/me/"), seconds=START_SECONDS):
            raise DemoError(f"The web server does not answer.\n{end_of(self.children[0].log)}")
        return door

    def _logins(self) -> dict[str, Login]:
        return msgspec.json.decode((self.folder / "demo-logins.json").read_bytes(), type=dict[str, Login])

    def _export(self, door: FrontDoor) -> None:
        job = door.start_job("/api/v1/exports/", {"format": "xlsx"})
        sha256 = self._finish(door, job)["sha256"]
        door.download(f"{job}file/", to=self.workbook)
        with self.workbook.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DemoError(f"{self.workbook} did not arrive as it was written. Run the demo again.")

    def _finish(self, door: FrontDoor, address: str) -> dict[str, Any]:
        """Watch a job until it is done. Raises DemoError if it fails or takes too long."""
        seen: list[dict[str, Any]] = []

        def ended() -> bool:
            seen.append(door.get(address))
            return seen[-1]["state"] in JOB_ENDS

        self._until(ended, seconds=JOB_SECONDS)
        job = seen[-1]
        if job["state"] != "done":
            log = end_of(self.folder / "logs" / "worker.log")
            raise DemoError(f"The job {address} is {job['state']} ({job.get('error') or 'no error'}).\n{log}")
        return job

    def _until(self, happened: Callable[[], bool], *, seconds: float) -> bool:
        """Wait for something, with an eye on the programs; tells whether it came in time."""
        end = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > end:
                return False
            for child in self.children:
                child.restart_if_dead(self.say)
            time.sleep(POLL_SECONDS)
        return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise DemoError(f"Port {port} is for root only. Choose one from 1024: PORT=8001 bin/demo") from None
        except OSError:
            return False
        return True


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        # Once is enough: stopping takes a moment and should not be broken off half-way.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    yield
