"""Data queries over REST."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crf.models.data_query import DataQuery
from registry.rights import Role
from tests.crf.examples import saved
from tests.registry.test_api import codes, problem

QUERIES = "/api/v1/queries/"
ASKED = {"form": "dosing", "record_id": "MTP-001", "instance": 1, "variable": "dose_start", "text": "Is it the first?"}


@pytest.fixture
def high_dose(coordinator, patient):
    """A dosing period that raises two queries."""
    return saved("dosing", {"dose_mg": 15}, by=coordinator, record_id="MTP-001")


@pytest.fixture
def client(api):
    """A data manager of MTP."""
    return api(Role.DATA_MANAGER, username="manager")


def test_the_list_shows_what_the_checks_raised(client, high_dose):
    found = client.get(QUERIES).json()["results"]

    assert [(row["check"], row["state"], row["origin"]) for row in found] == [
        ("dose_over_10_mg", "open", "soft_check"),
        ("first_dose_not_5_mg", "open", "soft_check"),
    ]
    place = {name: found[0][name] for name in ("site", "record_id", "form", "instance", "variable", "age_days")}
    expected = {"site": "MTP", "record_id": "MTP-001", "form": "dosing", "instance": 1, "variable": "dose_mg"}
    assert place == {**expected, "age_days": 0}


def test_a_query_is_opened_answered_reopened_and_closed(client, api, high_dose):
    opened = client.send("POST", QUERIES, ASKED)
    assert opened.status_code == 201
    address = opened["Location"]

    coordinator = api(Role.COORDINATOR, username="typist")
    answered = coordinator.send("POST", f"{address}answer/", {"text": "It is."})
    reopened = client.send("POST", f"{address}reopen/", {"text": "By which document?"})
    closed = client.send("POST", f"{address}close/", {})

    states = [response.json()["state"] for response in (opened, answered, reopened, closed)]
    assert states == ["open", "answered", "open", "closed"]
    read = client.get(address).json()
    assert [(step["kind"], step["text"], step["by"], step["door"]) for step in read["steps"]] == [
        ("opened", "Is it the first?", "manager", "rest"),
        ("answered", "It is.", "typist", "rest"),
        ("reopened", "By which document?", "manager", "rest"),
        ("closed", "", "manager", "rest"),
    ]
    assert (read["opened_by"], read["closed_by"], read["origin"], read["check"]) == (
        "manager",
        "manager",
        "manual",
        None,
    )


def test_an_answer_needs_a_text_and_closing_does_not(client, high_dose):
    address = f"{QUERIES}{DataQuery.objects.first().pk}/"

    assert codes(client.send("POST", f"{address}answer/", {})) == [("text", "required")]
    assert codes(client.send("POST", f"{address}answer/", {"text": "  "})) == [("text", "blank")]
    assert client.send("POST", f"{address}close/", {}).status_code == 200


def test_a_step_that_does_not_follow_is_a_409(client, high_dose):
    address = f"{QUERIES}{DataQuery.objects.first().pk}/"

    refused = client.send("POST", f"{address}reopen/", {"text": "Again?"})

    assert (refused.status_code, problem(refused)["code"], refused.json()["state"]) == (
        409,
        "wrong_query_state",
        "open",
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"variable": "ae_grade"}, ("variable", "unknown_field")),
        ({"variable": None}, ("variable", "wrong_type")),
        ({"form": "doses"}, ("form", "unknown_code")),
        ({"instance": 0}, ("instance", "out_of_range")),
        ({"instance": True}, ("instance", "wrong_type")),
        ({"text": 5}, ("text", "wrong_type")),
        ({"text": "x" * 4001}, ("text", "too_long")),
        ({"text": "a\x00b"}, ("text", "unprintable")),
        ({"word": "x"}, ("word", "unknown_field")),
    ],
)
def test_a_query_that_cannot_be_read_is_a_400(changes, error, client, high_dose):
    assert codes(client.send("POST", QUERIES, {**ASKED, **changes})) == [error]
    assert DataQuery.objects.count() == 2


def test_a_text_of_the_greatest_length_is_taken(client, high_dose):
    assert client.send("POST", QUERIES, {**ASKED, "text": "x" * 4000}).status_code == 201


@pytest.mark.parametrize("changes", [{"record_id": "MTP-002"}, {"record_id": "x"}, {"instance": 2}])
def test_a_query_on_what_is_not_there_is_a_404(changes, client, high_dose):
    assert client.send("POST", QUERIES, {**ASKED, **changes}).status_code == 404


def test_a_coordinator_opens_and_closes_none(api, high_dose):
    client = api(Role.COORDINATOR, username="typist")
    address = f"{QUERIES}{DataQuery.objects.first().pk}/"

    for refused in (client.send("POST", QUERIES, ASKED), client.send("POST", f"{address}close/", {})):
        assert (refused.status_code, problem(refused)["code"]) == (403, "not_allowed")


def test_queries_of_another_site_are_not_there(api, high_dose):
    client = api(Role.DATA_MANAGER, site="NIM", username="other")
    known, unknown = DataQuery.objects.first().pk, 999_999

    assert client.get(QUERIES).json()["results"] == []
    assert client.get(f"{QUERIES}counts/").json() == [
        {"site": "NIM", "open": 0, "answered": 0, "closed": 0, "oldest_age_days": None}
    ]
    for call, text in (("", None), ("answer/", {"text": "x"}), ("close/", {}), ("reopen/", {"text": "x"})):
        method = "GET" if text is None else "POST"
        foreign, missing = [client.send(method, f"{QUERIES}{key}/{call}", text) for key in (known, unknown)]
        assert (foreign.status_code, foreign.content) == (404, missing.content)


@pytest.mark.parametrize(
    ("parameters", "number"),
    [
        ("site=MTP", 3),
        ("site=NIM", 0),
        ("record_id=MTP-001", 3),
        ("record_id=MTP-002", 0),
        ("form=dosing", 3),
        ("form=patient", 0),
        ("instance=1", 3),
        ("instance=2", 0),
        ("variable=dose_mg", 2),
        ("variable=dose_start", 1),
        ("state=open", 2),
        ("state=closed", 1),
        ("origin=manual", 1),
        ("origin=soft_check", 2),
        ("mine=true", 1),
        ("mine=false", 2),
        ("origin=soft_check&state=closed", 0),
    ],
)
def test_the_list_is_filtered(parameters, number, client, high_dose):
    opened = client.send("POST", QUERIES, ASKED)
    client.send("POST", f"{opened['Location']}close/", {})

    assert len(client.get(f"{QUERIES}?{parameters}").json()["results"]) == number


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ("state=shut", ("state", "unknown_code")),
        ("instance=x", ("instance", "not_an_integer")),
        ("mine=1", ("mine", "unknown_code")),
        ("person=x", ("person", "unknown_parameter")),
        ("limit=0", ("limit", "out_of_range")),
    ],
)
def test_a_filter_that_cannot_be_read_is_a_400(parameters, error, client):
    assert codes(client.get(f"{QUERIES}?{parameters}")) == [error]


def test_pages_follow_one_another(client, high_dose):
    first = client.get(f"{QUERIES}?limit=1").json()

    second = client.get(first["next"]).json()

    assert [len(page["results"]) for page in (first, second)] == [1, 1]
    assert first["results"] != second["results"]
    assert second["next"] is None


def test_counts_are_by_site_and_state_with_the_age_of_the_oldest(client, api, data_manager, high_dose):
    saved("patient", by=data_manager, site="NIM")
    saved("dosing", {"dose_mg": 15}, by=data_manager, record_id="NIM-001")
    oldest, other = DataQuery.objects.filter(site="MTP").order_by("id")
    DataQuery.objects.filter(pk=oldest.pk).update(opened_at=timezone.now() - timedelta(days=10, hours=1))
    DataQuery.objects.filter(pk=other.pk).update(
        opened_at=timezone.now() - timedelta(days=99), state="closed", closed_at=timezone.now() - timedelta(days=90)
    )

    everywhere = api(Role.MONITOR, site=None, username="monitor").get(f"{QUERIES}counts/").json()

    assert everywhere == [
        {"site": "MTP", "open": 1, "answered": 0, "closed": 1, "oldest_age_days": 10},
        {"site": "NIM", "open": 2, "answered": 0, "closed": 0, "oldest_age_days": 0},
        {"site": "STR", "open": 0, "answered": 0, "closed": 0, "oldest_age_days": None},
    ]
    ages = {row["id"]: row["age_days"] for row in client.get(QUERIES).json()["results"]}
    assert ages == {oldest.pk: 10, other.pk: 9}


def test_a_repeat_with_the_same_key_opens_one_query(client, high_dose):
    first, again = [client.send("POST", QUERIES, ASKED, Idempotency_Key="k1") for _time in range(2)]

    assert (first.content, again["Idempotency-Replayed"]) == (again.content, "true")
    assert DataQuery.objects.filter(origin="manual").count() == 1


def test_a_key_beyond_the_database_is_a_404(client):
    assert client.get(f"{QUERIES}{'9' * 18}/").status_code == 404
    assert client.get(f"{QUERIES}{'9' * 19}/").status_code == 404


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_costs_the_same_with_one_and_three_queries(number, client, high_dose, django_assert_num_queries):
    for _time in range(number):
        client.send("POST", QUERIES, ASKED)

    with django_assert_num_queries(3):  # one, between the ends of a savepoint
        client.get(QUERIES)
