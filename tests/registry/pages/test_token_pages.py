"""The page of tokens: shown once, narrowed as asked, revoked at once (negative test 38)."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from registry.callers import create_token
from registry.models import IdempotentAnswer, Person, Token
from registry.rights import Role
from tests.conftest import Api, make_person
from tests.registry.pages.conftest import errors_of, secret_of

TODAY = timezone.localdate()
NEW = {"name": "nightly export", "extent": "read"}


@pytest.fixture
def coordinator(browser):
    """A coordinator of MTP at their page."""
    return browser(Role.COORDINATOR, site="MTP", username="coordinator")


def test_a_token_is_shown_once_works_and_stops_when_it_is_revoked(coordinator, caplog):
    response = coordinator.post("/tokens/", {**NEW, "once": "1"})

    text, token = secret_of(response), Token.objects.get()
    assert Api(text).get("/api/v1/me/").json()["username"] == "coordinator"
    assert text not in coordinator.get("/tokens/").content.decode()
    assert text not in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(h)::text FROM registry_tokenhistory h")
        assert [row for (row,) in cursor.fetchall() if text in row] == []
    assert coordinator.post(f"/tokens/{token.pk}/", {}).status_code == 303
    assert Api(text).get("/api/v1/me/").status_code == 401
    assert "revoked" in coordinator.get("/tokens/").content.decode()


def test_who_sends_the_form_again_gets_neither_a_second_token_nor_the_first(coordinator):
    coordinator.post("/tokens/", {**NEW, "once": "1"})

    again = coordinator.post("/tokens/", {**NEW, "once": "1"})

    assert (again.status_code, again["Location"]) == (303, "/tokens/")
    assert (Token.objects.count(), bytes(IdempotentAnswer.objects.get().body)) == (1, b"")


@pytest.mark.parametrize(
    ("asked", "rights", "site"),
    [
        ({"extent": "read"}, ["export_with_identifiers", "read", "see_pooled_endpoints"], None),
        ({"extent": "all", "site": "MTP"}, None, "MTP"),
        ({"extent": "some", "rights": ["enter", "read"]}, ["enter", "read"], None),
    ],
)
def test_a_token_may_what_was_ticked(asked, rights, site, coordinator):
    coordinator.post("/tokens/", {**NEW, **asked})

    token = Token.objects.get()
    assert (token.rights, token.site_id) == (rights, site)


def test_the_last_day_of_a_token_counts(coordinator):
    coordinator.post("/tokens/", {**NEW, "expires_at": str(TODAY)})

    assert Token.objects.get().expires_at == datetime.combine(TODAY + timedelta(days=1), time(), tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"name": ""}, ["This field is required."]),
        ({"name": "x" * 101}, ["Shorten it to 100 characters."]),
        ({"extent": "some"}, ["Tick what the token may do."]),
        (
            {"extent": "some", "rights": ["manage"]},
            ["Select a valid choice. manage is not one of the available choices."],
        ),
        ({"site": "NIM"}, ["Select a valid choice. NIM is not one of the available choices."]),
        ({"expires_at": str(TODAY - timedelta(days=1))}, ["Choose an end that is to come, within ten years."]),
        ({"expires_at": "9999-12-30"}, ["Choose an end that is to come, within ten years."]),
        ({"expires_at": "9999-12-31"}, ["Choose an end that is to come, within ten years."]),
        ({"expires_at": "soon"}, ["Write a date such as 2024-03-12."]),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_no_token_made(asked, expected, coordinator):
    response = coordinator.post("/tokens/", {**NEW, **asked})

    assert (response.status_code, errors_of(response)) == (422, expected)
    assert not Token.objects.exists()


def test_nobody_sees_or_revokes_the_tokens_of_somebody_whom_they_do_not_manage(coordinator):
    token = create_token(make_person(Role.COORDINATOR, site="MTP", username="other"), name="theirs")[1]

    assert "theirs" not in coordinator.get("/tokens/").content.decode()
    assert coordinator.post(f"/tokens/{token.pk}/", {}).status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_the_data_manager_of_a_site_sees_and_revokes_those_of_the_people_there(of_nim):
    here = create_token(make_person(Role.COORDINATOR, site="NIM", username="here"), name="of Nîmes")
    create_token(make_person(Role.COORDINATOR, site="MTP", username="there"), name="of Montpellier")

    page = of_nim.get("/tokens/").content.decode()
    of_nim.post(f"/tokens/{here[1].pk}/", {})

    assert ("of Nîmes" in page, "of Montpellier" in page, here[0] in page) == (True, False, False)
    assert Api(here[0]).get("/api/v1/me/").status_code == 401


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_tokens_takes_the_same_queries(count, manager, django_assert_num_queries):
    for number in range(count):
        create_token(make_person(Role.COORDINATOR, site="NIM", username=f"person{number}"), name="theirs")
        create_token(Person.objects.get(username="manager"), name="mine")
    manager.get("/tokens/")

    with django_assert_num_queries(7):
        assert manager.get("/tokens/").content.decode().count("works") == 2 * count
