"""Tests of registry.pages."""

import pytest
from django.test import Client

from registry.rights import Role
from tests.conftest import make_person

PASSWORD = "correct horse battery staple"


@pytest.fixture
def coordinator(sites):
    person = make_person(Role.COORDINATOR, site="MTP", username="coordinator")
    person.set_password(PASSWORD)
    person.save()
    return person


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(db):
    response = Client().get("/")

    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/")


def test_a_person_signs_in_and_sees_what_they_may_do(coordinator):
    client = Client()

    response = client.post("/sign-in/", {"username": "coordinator", "password": PASSWORD})
    page = client.get(response["Location"]).content.decode()

    assert response.status_code == 302
    assert "Site coordinator at MTP" in page
    assert "NIM" not in page


@pytest.mark.parametrize(("username", "password"), [("coordinator", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_are_refused_in_the_same_words(coordinator, username, password):
    page = Client().post("/sign-in/", {"username": username, "password": password}).content.decode()

    assert "User name and password do not go together." in page


def test_signing_in_and_out_need_a_csrf_token(coordinator):
    client = Client(enforce_csrf_checks=True)
    client.force_login(coordinator)

    answers = [client.post(path).status_code for path in ("/sign-in/", "/sign-out/")]

    assert answers == [403, 403]


def test_signing_out_ends_the_session_and_only_a_post_does(coordinator):
    client = Client()
    client.force_login(coordinator)

    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/").status_code == 302


def test_no_page_loads_anything_from_outside(coordinator):
    client = Client()
    client.force_login(coordinator)

    for path in ("/", "/api/docs/"):
        page = client.get(path).content.decode()
        assert "http://" not in page.replace("http://testserver", "")
        assert "https://" not in page
