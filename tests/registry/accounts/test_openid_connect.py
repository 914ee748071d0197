"""Signing in through an OpenID Connect issuer, with one of our own on this machine."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from registry.accounts.configuration import openid_connect
from registry.environment import Environment
from registry.models import Person
from tests.registry.accounts.conftest import events, is_in, with_codes

LOGIN, CALLBACK = "/accounts/oidc/login/", "/accounts/oidc/login/callback/"


class Issuer(BaseHTTPRequestHandler):
    """Says of itself where it is, gives a token for any code, and tells what `claims` are set."""

    def do_GET(self):
        if self.path == "/.well-known/openid-configuration":
            at = self.server.address
            self._answer(
                {
                    "issuer": at,
                    "authorization_endpoint": f"{at}/authorize",
                    "token_endpoint": f"{at}/token",
                    "userinfo_endpoint": f"{at}/userinfo",
                    "jwks_uri": f"{at}/keys",
                }
            )
        else:
            self._answer(self.server.claims)

    def do_POST(self):
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(parse_qs(form))
        self._answer({"access_token": "token", "token_type": "Bearer"})

    def _answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def issuer(settings):
    with ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        server.claims, server.asked = {}, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        secret = "s" * 32
        settings.OIDC_ISSUER = server.address
        settings.SOCIALACCOUNT_PROVIDERS = openid_connect(
            Environment(
                secret_key=secret,
                pseudonym_key=secret,
                oidc_issuer=server.address,
                oidc_client_id="ecrf",
                oidc_client_secret="secret",
                oidc_name="Hospital account",
            )
        )
        yield server
        server.shutdown()
        thread.join()


def through(issuer, claims, client=None, *, query=""):
    """Sign in at the issuer, who then vouches for `claims`; returns the client and the last answer."""
    client = client or Client()
    issuer.claims = claims
    there = client.post(LOGIN + query)["Location"]
    state = parse_qs(urlsplit(there).query)["state"][0]
    return client, client.get(CALLBACK, {"code": "code", "state": state})


CLAIMS = {"sub": "4711", "email": "Coordinator@example.org", "email_verified": True}


@pytest.mark.slow
def test_who_has_the_verified_address_of_one_person_is_linked_and_signed_in(coordinator, issuer):
    client, answer = through(issuer, CLAIMS)

    assert answer["Location"] == "/"
    assert client.get("/api/v1/me/").json()["username"] == "coordinator"
    assert list(SocialAccount.objects.values_list("uid", "user__username")) == [("4711", "coordinator")]


@pytest.mark.slow
def test_once_linked_the_account_counts_and_not_the_address(coordinator, issuer):
    through(issuer, CLAIMS)

    client, _answer = through(issuer, {"sub": "4711", "email": "new@example.org", "email_verified": False})
    other, _answer = through(issuer, {"sub": "4712", "email": "new@example.org", "email_verified": True})

    assert (is_in(client), is_in(other)) == (True, False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS | {"email_verified": False},
        CLAIMS | {"email_verified": "true"},
        {"sub": "4711", "email": "coordinator@example.org"},
        {"sub": "4711", "preferred_username": "coordinator"},
        CLAIMS | {"email": "stranger@example.org"},
    ],
)
def test_nobody_else_is_let_in_and_nobody_is_made(claims, coordinator, issuer):
    client, answer = through(issuer, claims)

    assert answer.status_code == 403
    assert "nobody here has your verified e-mail address" in answer.content.decode()
    assert not is_in(client)
    assert Person.objects.count() == 1
    assert events() == [("refused", None)]


@pytest.mark.slow
def test_an_address_that_two_people_have_lets_in_neither(coordinator, monitor, issuer):
    Person.objects.update(email="coordinator@example.org")

    client, _answer = through(issuer, CLAIMS)

    assert not is_in(client)


@pytest.mark.slow
@pytest.mark.parametrize("linked", [False, True])
def test_who_is_not_active_is_not_let_in(linked, coordinator, issuer):
    if linked:
        through(issuer, CLAIMS)
    Person.objects.update(is_active=False)

    client, answer = through(issuer, CLAIMS)

    assert answer.status_code == 403
    assert not is_in(client)


@pytest.mark.slow
def test_the_second_factor_is_asked_for_here_too(monitor, issuer):
    with_codes(monitor)

    client, answer = through(issuer, CLAIMS | {"email": "monitor@example.org"})

    assert answer["Location"] == "/accounts/codes/sign-in/"
    assert not is_in(client)


@pytest.mark.slow
def test_no_account_of_the_issuer_is_added_to_a_session(coordinator, issuer):
    client, _answer = through(issuer, CLAIMS)

    _client, answer = through(issuer, CLAIMS | {"sub": "666"}, client, query="?process=connect")

    assert answer.status_code == 403
    assert SocialAccount.objects.count() == 1


@pytest.mark.slow
def test_an_answer_that_was_not_asked_for_is_refused(coordinator, issuer):
    issuer.claims = CLAIMS

    answer = Client().get(CALLBACK, {"code": "code", "state": "made up"})

    assert answer.status_code == 401
    assert issuer.asked == []


@pytest.mark.slow
def test_the_code_is_bound_to_the_browser_that_asked(coordinator, issuer):
    client = Client()
    there = parse_qs(urlsplit(client.post(LOGIN)["Location"]).query)
    issuer.claims = CLAIMS
    client.get(CALLBACK, {"code": "code", "state": there["state"][0]})

    digest = hashlib.sha256(issuer.asked[0]["code_verifier"][0].encode()).digest()

    assert there["code_challenge"] == [base64.urlsafe_b64encode(digest).decode().rstrip("=")]


@pytest.mark.slow
def test_only_a_post_leads_there_and_the_sign_in_page_has_the_button(issuer, db):
    page = Client().get("/sign-in/").content.decode()

    assert "Sign in with Hospital account" in page
    assert Client().get(LOGIN).status_code == 200


def test_without_an_issuer_there_is_neither_button_nor_address(db):
    assert "/accounts/oidc/" not in Client().get("/sign-in/").content.decode()
    assert [Client().get(path).status_code for path in (LOGIN, CALLBACK)] == [404, 404]


@pytest.mark.slow
def test_an_issuer_that_cannot_be_reached_is_said_so(coordinator, issuer):
    issuer.shutdown()
    issuer.server_close()

    answer = Client().post(LOGIN)

    assert answer.status_code == 503
    assert "could not be reached" in answer.content.decode()
