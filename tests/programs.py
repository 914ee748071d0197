"""Real programs of ours on the test database, as servers and workers are in production."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connections

from registry.celery import app
from registry.environment import PROJECT

BROKER = urlsplit(settings.BROKER_URL)._replace(path="/15").geturl()
"""A database of its own on the broker, so that no other worker hears of a test's jobs."""
WORKER = ["-m", "celery", "-A", "registry.celery", "worker", "--concurrency", "1"]
ATTEMPTS = 600


def address_of(alias="default", **other):
    """Return the address of the test database for the application's role, or for the owner's."""
    database = {**connections[alias].settings_dict, "NAME": connections["default"].settings_dict["NAME"], **other}
    user, password, host = (quote(database[part], safe="") for part in ("USER", "PASSWORD", "HOST"))
    return f"postgresql://{user}:{password}@{host}:{database['PORT']}/{database['NAME']}"


def environment(folder, **changes):
    """Return the environment of a program on the test database; a change to None takes a variable away."""
    found = os.environ | {
        "DATABASE_URL": address_of(),
        "DATABASE_OWNER_URL": "none",
        "BROKER_URL": BROKER,
        "VAR_DIR": str(folder),
        "SECRET_KEY": settings.SECRET_KEY,
        "PSEUDONYM_KEY": settings.PSEUDONYM_KEY,
        **changes,
    }
    found.pop("DJANGO_SETTINGS_MODULE", None)
    return {name: value for name, value in found.items() if value is not None}


def run(*arguments, folder, **changes):
    """Run a Python program of the project to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment(folder, **changes),
        capture_output=True,
        text=True,
        timeout=120,
    )


def start(*arguments, log, folder, **changes):
    """Start a Python program of the project that goes on; what it says goes to the file `log`."""
    with log.open("ab") as written:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=environment(folder, **changes),
            stdout=written,
            stderr=written,
            start_new_session=True,
        )


def web_server(port):
    """Return the arguments of the web server as it is served in production."""
    serving = ["-m", "gunicorn", "-c", "python:registry.web_server", "--bind", f"127.0.0.1:{port}"]
    return [*serving, "--workers", "1", "registry.wsgi"]


def free_port():
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(happened, *, why):
    """Wait until something has happened."""
    pause = threading.Event()
    for _attempt in range(ATTEMPTS):
        if found := happened():
            return found
        pause.wait(0.1)
    raise AssertionError(why())


def listens(port):
    """Return whether somebody listens at the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def empty_broker():
    """Run the block with nothing waiting at the broker of the tests, and leave nothing there."""
    with app.connection_for_write(BROKER) as broker:
        broker.default_channel.client.flushdb()
        yield
        broker.default_channel.client.flushdb()


def end(started):
    """Kill programs, each with its own children."""
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
