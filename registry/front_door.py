"""The REST API as any caller uses it, over HTTP with a token; the demo goes through it like everybody else."""

import json
import shutil
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

SECONDS: Final = 30


class CallError(Exception):
    """The server refused a call; the message says which, and why."""


class FrontDoor:
    """Calls as one person on one server."""

    def __init__(self, address: str, *, token: str) -> None:
        self.address = address
        self.token = token

    def get(self, path: str) -> Any:
        """Return the answer's JSON."""
        with self._call("GET", path) as answer:
            return json.loads(answer.read())

    def start_job(self, path: str, body: object) -> str:
        """Ask for a job; returns the address where it can be watched."""
        with self._call("POST", path, body=body) as answer:
            location: str = answer.headers["Location"]
            return urljoin(self.address, location)

    def download(self, path: str, *, to: Path) -> None:
        """Save a file; `to` is there only when it is whole."""
        draft = to.with_name(f"{to.name}.part")
        with self._call("GET", path) as answer, draft.open("wb") as file:
            shutil.copyfileobj(answer, file)
        draft.replace(to)

    def answers(self, path: str) -> bool:
        """Tell whether a call succeeds. A server that is not there yet does not answer; a refusal is raised."""
        try:
            self.get(path)
        except OSError:
            return False
        return True

    def _call(self, method: str, path: str, *, body: object = None) -> HTTPResponse:
        """Raises CallError, with the reason that the server gives, unless it answers with success."""
        request = urllib.request.Request(  # noqa: S310 -- the address is our own
            urljoin(self.address, path),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            # Loopback only: a proxy that the machine may be set up with has no business here.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            answer: HTTPResponse = opener.open(request, timeout=SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read(2000).decode(errors="replace")
            raise CallError(f"{method} {path} was answered with {error.code} {error.reason}: {reason}") from None
        return answer
