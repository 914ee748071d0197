"""Programs that a supervisor keeps running: started together, started again when one dies, stopped in order."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from registry.environment import PROJECT

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here, not between fork and exec
STOP_SECONDS: Final = 30  # a worker may finish the job in hand

# A program that dies this often within a minute will not come back by being started again.
DEATHS: Final = 5
DEATH_SECONDS: Final = 60

Say = Callable[[str], None]


class ChildError(Exception):
    """A program died again and again, or failed; the message has the end of its log."""


class Child:
    """One program with its log. It belongs to the process that made it and ends, on Linux, when that is killed."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.env = env
        self.deaths: deque[float] = deque(maxlen=DEATHS)
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 -- programs of ours
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env=self.env,
                # A Ctrl-C is for the supervisor, which then stops its programs in order.
                start_new_session=True,
                # Safe although it runs between fork and exec: the supervisor has one thread.
                preexec_fn=functools.partial(_end_with_parent, os.getpid()),
            )

    def restart_if_dead(self, say: Say) -> None:
        """Start it again if it died. Raises ChildError when that has happened too often."""
        status = self.process.poll()
        if status is None:
            return
        now = time.monotonic()
        self.deaths.append(now)
        if len(self.deaths) == DEATHS and now - self.deaths[0] < DEATH_SECONDS:
            raise ChildError(f"The {self.name} dies whenever it is started.\n{end_of(self.log)}")
        say(f"The {self.name} ended (status {status}). Starting it again; its log is {self.log}")
        self.process = self._start()

    def stop(self) -> None:
        """Ask it to end, and make it end if it takes too long."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def end_of(log: Path, *, lines: int = 15) -> str:
    """Return where the log is, and its last lines."""
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([f"The end of {log}:", *(f"    {line}" for line in last)])


def _end_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent does, even by kill -9, so that none is left over."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we could say so
            os.kill(os.getpid(), signal.SIGTERM)
