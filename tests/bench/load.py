"""A closed loop of clients on loopback: each sends its next request when the last was answered."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from registry.environment import PROJECT

Request = tuple[str, bytes, dict[str, str]]
"""Path, body and headers of a POST."""


@dataclass(frozen=True)
class Load:
    """What a run of clients saw: requests a second, and the time of one in ms."""

    per_second: float
    p50: float
    p99: float


@contextmanager
def server(application: str, *, workers: int = 2, **settings: str) -> Iterator[int]:
    """Serve a WSGI application as in production and yield the port; `settings` are its environment variables."""
    port = _free_port()
    program = ["gunicorn", "-c", "python:registry.web_server", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"} | settings
    environment |= {"RATE_PER_TOKEN": str(10**9), "RATE_PER_ADDRESS": str(10**9)}  # counted, never refused
    process = subprocess.Popen(
        [sys.executable, "-m", *program, "--log-level", "warning", application], cwd=PROJECT, env=environment
    )
    try:
        _wait_until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def measure(port: int, next_request: Callable[[], Request], *, clients: int, seconds: float) -> Load:
    """Send POSTs from `clients` threads for `seconds`; every answer must be a 201."""
    times: list[float] = []
    failures: list[str] = []
    end = time.perf_counter() + seconds
    started = time.perf_counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.perf_counter() < end:
            path, body, headers = next_request()
            began = time.perf_counter()
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read()
            times.append(time.perf_counter() - began)
            if response.status != 201:
                failures.append(f"{response.status} {content[:300]!r}")
                return
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    took = time.perf_counter() - started
    times.sort()
    return Load(len(times) / took, 1000 * times[len(times) // 2], 1000 * times[int(len(times) * 0.99)])


def as_json(body: object) -> bytes:
    """Return the body of a request."""
    return json.dumps(body).encode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(port: int) -> None:
    for _attempt in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The server did not start.")
