"""E-mail leaves after the answer, over a real SMTP conversation on this machine."""

import logging
import socketserver
import threading

import pytest
from django.core.mail import EmailMessage

from registry import mail
from registry.accounts.configuration import mail_server


class Smtp(socketserver.StreamRequestHandler):
    """Takes one e-mail, as slowly as a mail server may: not before it is let."""

    def handle(self):
        self.server.may_answer.wait(10)
        self.wfile.write(b"220 here\r\n")
        taking = False
        for line in self.rfile:
            if taking and line == b".\r\n":
                taking = False
                self.server.taken.set()
            elif taking:
                self.server.lines.append(line.decode().strip())
                continue
            elif line.upper().startswith(b"DATA"):
                taking = True
                self.wfile.write(b"354 go on\r\n")
                continue
            self.wfile.write(b"250 good\r\n")


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as server:
        server.daemon_threads = True
        server.lines, server.taken, server.may_answer = [], threading.Event(), threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_an_e_mail_is_handed_over_at_once_and_arrives_when_the_server_takes_it(server):
    backend = mail.Later(host="127.0.0.1", port=server.server_address[1], timeout=10)
    message = EmailMessage("Subject", "The text", "ecrf@example.org", ["somebody@example.org"])

    handed_over = backend.send_messages([message])

    assert (handed_over, server.taken.is_set()) == (1, False)
    server.may_answer.set()
    assert server.taken.wait(10)
    assert "The text" in server.lines


@pytest.mark.slow
def test_an_e_mail_that_cannot_be_sent_is_logged_without_its_text_and_address(caplog):
    backend = mail.Later(host="127.0.0.1", port=1, timeout=1)

    backend.send_messages([EmailMessage("Subject", "The text", "ecrf@example.org", ["somebody@example.org"])])
    mail._sender.submit(lambda: None).result()

    assert [record.levelno for record in caplog.records if record.name == "registry.mail"] == [logging.ERROR]
    assert "An e-mail was not sent: ConnectionRefusedError. Check EMAIL_URL." in caplog.text
    assert "somebody" not in caplog.text


@pytest.mark.parametrize(
    ("url", "port", "starttls", "tls"),
    [
        ("smtp+tls://user:p%40ss@mail.example.org", 587, True, False),
        ("smtps://user:p%40ss@mail.example.org", 465, False, True),
        ("smtp://user:p%40ss@mail.example.org", 25, False, False),
        ("smtp+tls://user:p%40ss@mail.example.org:2525", 2525, True, False),
    ],
)
def test_the_address_of_a_mail_server_says_how_it_is_reached(url, port, starttls, tls):
    assert mail_server(url) == {
        "EMAIL_HOST": "mail.example.org",
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": "user",
        "EMAIL_HOST_PASSWORD": "p@ss",
        "EMAIL_USE_TLS": starttls,
        "EMAIL_USE_SSL": tls,
        "EMAIL_TIMEOUT": 10,
    }
