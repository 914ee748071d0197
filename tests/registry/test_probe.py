"""The health check of a container asks its own web server as a proxy would."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from registry.probe import is_well


@pytest.fixture
def server():
    """A web server that answers with the status in the path and notes what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        asked = []

        def do_GET(self):
            self.asked.append((self.headers["Host"], self.headers["X-Forwarded-Proto"]))
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "well"), [(200, True), (301, False), (400, False), (503, False)])
def test_only_a_success_is_well(server, status, well):
    assert is_well(f"/{status}", port=server.server_port) is well


@pytest.mark.parametrize(
    ("hosts", "named"),
    [("ecrf.example.org,other", "ecrf.example.org"), (".example.org", "example.org"), ("*", "127.0.0.1")],
)
def test_a_host_that_is_allowed_is_named(server, monkeypatch, hosts, named):
    monkeypatch.setenv("ALLOWED_HOSTS", hosts)

    is_well("/200", port=server.server_port)

    assert server.RequestHandlerClass.asked == [(named, "https")]


def test_where_nobody_listens_nothing_is_well():
    assert is_well("/200", port=1) is False
