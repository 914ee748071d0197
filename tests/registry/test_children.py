"""Programs that a supervisor keeps running."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from registry import children
from registry.children import DEATHS, Child, ChildError, end_of
from registry.environment import PROJECT

pytestmark = pytest.mark.slow

SLEEPS = [sys.executable, "-c", "import signal; signal.pause()"]
FAILS = [sys.executable, "-c", "raise SystemExit('no such file')"]

SUPERVISES = """
import os, signal, sys
from pathlib import Path
from registry.children import Child
child = Child("sleeper", [sys.executable, "-c", "import signal; signal.pause()"], log=Path(sys.argv[1]), env=os.environ)
print(child.process.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def start(tmp_path):
    started = []

    def start(command):
        child = Child("sleeper", command, log=tmp_path / "log", env=os.environ)
        started.append(child)
        return child

    yield start
    for child in started:
        child.stop()


def test_a_running_program_is_left_alone(start):
    child = start(SLEEPS)
    said = []
    before = child.process

    child.restart_if_dead(said.append)

    assert (child.process, said) == (before, [])


def test_a_killed_program_is_started_again_and_that_is_said(start, tmp_path):
    child = start(SLEEPS)
    said = []
    child.process.kill()
    child.process.wait()

    child.restart_if_dead(said.append)

    assert child.process.poll() is None
    assert said == [f"The sleeper ended (status -9). Starting it again; its log is {tmp_path / 'log'}"]


def test_a_program_that_dies_again_and_again_is_given_up_with_the_end_of_its_log(start):
    child = start(FAILS)

    for _ in range(DEATHS - 1):
        child.process.wait()
        child.restart_if_dead(str)
    child.process.wait()

    with pytest.raises(ChildError, match="no such file"):
        child.restart_if_dead(str)


def test_a_program_that_does_not_end_when_asked_is_made_to(start, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "STOP_SECONDS", 0.1)
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    deaf = f"import signal; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w').close(); signal.pause()"
    child = start([sys.executable, "-c", deaf])
    ready.read_text()

    child.stop()

    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_supervisor_takes_its_programs_with_it(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISES, str(tmp_path / "log")], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as supervisor:
        child = psutil.Process(int(supervisor.stdout.readline()))

        supervisor.kill()

    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_end_of_a_log_is_named_and_short(tmp_path):
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n")

    assert end_of(log, lines=2) == f"The end of {log}:\n    two\n    three"
