"""Tests of registry.pages."""

import pytest
from django.test import Client

from registry.rights import Role
from tests.conftest import make_person


@pytest.fixture
def coordinator(sites):
    return make_person(Role.COORDINATOR, site="MTP", username="coordinator")


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(db):
    response = Client().get("/")

    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/")


def test_the_account_says_what_a_person_may_do_and_where(coordinator):
    client = Client()
    client.force_login(coordinator)

    page = client.get("/account/").content.decode()

    assert "Site coordinator at MTP" in page
    assert "NIM" not in page


def test_home_says_whom_to_ask_for_a_role(sites):
    client = Client()
    client.force_login(make_person(username="newcomer"))

    assert "You have no role at any site yet." in client.get("/").content.decode()


def test_no_page_loads_anything_from_outside(coordinator):
    client = Client()
    client.force_login(coordinator)

    for path in ("/", "/account/", "/sign-in/", "/accounts/codes/", "/api/docs/", "/api/docs/?script="):
        page = client.get(path).content.decode()
        assert "http://" not in page.replace("http://testserver", "")
        assert "https://" not in page
