"""How the demo calls the REST API: like anybody else, with a token."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from registry.front_door import CallError, FrontDoor


class Recorder(BaseHTTPRequestHandler):
    """Answers every call with what came in, or refuses it."""

    def do_GET(self):
        self._answer(200 if self.headers["Authorization"] == "Bearer GOOD" else 401)

    def do_POST(self):
        self._answer(202)

    def _answer(self, status):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        self.send_response(status)
        self.send_header("Location", f"{self.path}7/")
        self.end_headers()
        self.wfile.write(json.dumps({"method": self.command, "path": self.path, "body": body}).encode())

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def address():
    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_answer_is_read_as_json(address):
    assert FrontDoor(address, token="GOOD").get("/a/?b=1") == {"method": "GET", "path": "/a/?b=1", "body": ""}


def test_a_refusal_says_which_call_and_why(address):
    with pytest.raises(CallError, match=r"^GET /a/ was answered with 401 Unauthorized: .+/a/"):
        FrontDoor(address, token="BAD").get("/a/")


def test_a_job_is_watched_where_the_answer_says(address):
    assert FrontDoor(address, token="GOOD").start_job("/jobs/", {}) == f"{address}/jobs/7/"


def test_a_download_is_there_as_a_whole(address, tmp_path):
    FrontDoor(address, token="GOOD").download("/file/", to=tmp_path / "file")

    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert json.loads((tmp_path / "file").read_text())["path"] == "/file/"


def test_a_server_that_is_not_there_does_not_answer(address):
    assert FrontDoor(address, token="GOOD").answers("/") is True
    assert FrontDoor("http://127.0.0.1:1", token="GOOD").answers("/") is False
