"""People, memberships and sites over REST: who manages what, and what nobody may do."""

from datetime import date, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from registry.callers import create_token
from registry.models import IdempotentAnswer, Membership, Person, Site
from registry.people import Contradiction, change_person, hold_person
from registry.rights import Role
from tests.conftest import SINCE, Api, caller_now, make_person
from tests.crf.conftest import at_once
from tests.registry.test_api import codes, problem

PEOPLE, SITES = "/api/v1/people/", "/api/v1/sites/"
TODAY = timezone.localdate()
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
COORDINATOR = {"role": "coordinator", "site": "NIM"}


@pytest.fixture
def manager(api):
    """The data manager of all sites."""
    return api(Role.DATA_MANAGER, site=None, username="manager")


@pytest.fixture
def of_nim(api):
    """The data manager of NIM."""
    return api(Role.DATA_MANAGER, site="NIM", username="manager.nim")


def person_url(username):
    return f"{PEOPLE}{username}/"


def memberships_url(username):
    return f"{PEOPLE}{username}/memberships/"


def membership_url(membership):
    return f"/api/v1/memberships/{membership.pk}/"


def change(client, url, body, *, method="PATCH"):
    """Send a change under the ETag that the address has now."""
    return client.send(method, url, body, If_Match=client.get(url).headers.get("ETag", '"none"'))


def usernames(client):
    return [person["username"] for person in client.get(PEOPLE).json()["results"]]


def history(table):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pgh_label, pgh_context->>'username', pgh_context->>'reason' FROM {table}"  # noqa: S608
            " WHERE pgh_context->>'username' = 'manager' ORDER BY pgh_id"
        )
        return cursor.fetchall()


# People


def test_a_person_is_added_with_memberships_and_a_password_that_is_shown_once(manager):
    body = {"username": "a.name", "full_name": "Áine Name", "email": "a@example.org", "memberships": [COORDINATOR]}

    response = manager.send("POST", PEOPLE, body, X_Change_Reason="New in NIM")

    found = response.json()
    password = found.pop("password")
    assert response.status_code == 201
    assert found == {"username": "a.name", "full_name": "Áine Name", "email": "a@example.org", "is_active": True}
    assert Person.objects.get(username="a.name").check_password(password)
    read = manager.get(response["Location"])
    assert (read.json(), read["ETag"]) == (found, response["ETag"])
    membership = Membership.objects.get(person__username="a.name")
    assert (membership.role, membership.site_id, membership.starts_on, membership.ends_on) == (
        "coordinator",
        "NIM",
        TODAY,
        None,
    )
    assert history("registry_personhistory") == [("insert", "manager", "New in NIM")]
    assert history("registry_membershiphistory") == [("insert", "manager", "New in NIM")]


def test_the_password_is_not_kept_for_a_repeat(manager):
    bodies = [
        manager.send("POST", PEOPLE, {"username": "a.name"}, Idempotency_Key="one").json() for _repeat in range(2)
    ]

    assert bodies[1] == {**bodies[0], "password": None}
    assert bodies[0]["password"].encode() not in bytes(IdempotentAnswer.objects.get().body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("username", "required")]),
        ({"username": 1}, [("username", "wrong_type")]),
        ({"username": "A.Name"}, [("username", "unknown_code")]),
        ({"username": "a/b"}, [("username", "unknown_code")]),
        ({"username": "a" * 151}, [("username", "unknown_code")]),
        ({"username": "a", "password": "x"}, [("password", "unknown_field")]),
        ({"username": "a", "is_active": False}, [("is_active", "unknown_field")]),
        ({"username": "a", "full_name": None}, [("full_name", "wrong_type")]),
        ({"username": "a", "full_name": "x" * 201}, [("full_name", "too_long")]),
        ({"username": "a", "full_name": "a\x00b"}, [("full_name", "unprintable")]),
        ({"username": "a", "email": "nobody"}, [("email", "not_an_email")]),
        ({"username": "a", "memberships": {}}, [("memberships", "wrong_type")]),
        ({"username": "a", "memberships": [{"role": "coordinator"}]}, [("site", "required")]),
        ({"username": "a", "memberships": [{**COORDINATOR, "site": "ZZZ"}]}, [("site", "unknown_site")]),
    ],
)
def test_whatever_is_wrong_with_a_new_person_is_named_and_nobody_saved(manager, body, expected):
    response = manager.send("POST", PEOPLE, body)

    assert (response.status_code, codes(response)) == (400, expected)
    assert list(Person.objects.values_list("username", flat=True)) == ["manager"]


@pytest.mark.parametrize("length", [1, 150])
def test_a_user_name_has_1_to_150_characters(length, manager):
    assert manager.send("POST", PEOPLE, {"username": "a" * length}).status_code == 201


def test_a_user_name_is_given_once(manager):
    make_person(username="a.name")

    response = manager.send("POST", PEOPLE, {"username": "a.name", "memberships": [COORDINATOR]})

    assert (response.status_code, codes(response)) == (409, [("username", "person_exists")])


def test_a_change_keeps_what_is_absent_and_needs_the_version_that_was_read(manager):
    make_person(username="a.name")
    first = manager.get(person_url("a.name"))["ETag"]

    without = manager.send("PATCH", person_url("a.name"), {"full_name": "A"})
    changed = manager.send("PATCH", person_url("a.name"), {"full_name": "A"}, If_Match=first)
    late = manager.send("PATCH", person_url("a.name"), {"full_name": "B"}, If_Match=first)

    assert (without.status_code, problem(without)["code"]) == (428, "version_needed")
    assert changed.json() == {"username": "a.name", "full_name": "A", "email": "", "is_active": True}
    assert (late.status_code, problem(late)["code"], late["ETag"]) == (412, "stale", changed["ETag"])
    assert problem(late)["conflicts"] == [{"field": "full_name", "yours": "B", "current": "A"}]
    assert problem(late)["current"] == changed.json()


def test_who_is_deactivated_is_out_at_the_next_request_by_token_and_by_session(manager, client, settings):
    settings.REQUIRE_TOTP = "nobody"
    person = make_person(Role.MONITOR, username="a.name")
    token = Api(create_token(person)[0])
    client.force_login(person)
    assert (token.get(PEOPLE).status_code, client.get("/api/v1/me/").status_code) == (403, 200)

    assert change(manager, person_url("a.name"), {"is_active": False}).json()["is_active"] is False

    assert (token.get(PEOPLE).status_code, client.get("/api/v1/me/").status_code) == (401, 401)


def test_nobody_is_deleted(manager):
    make_person(username="a.name")

    assert manager.send("DELETE", person_url("a.name")).status_code == 405


# Who manages whom


def test_the_data_manager_of_a_site_sees_who_has_a_role_there_and_nobody_else(of_nim):
    make_person(Role.COORDINATOR, site="NIM", username="coordinator.nim")
    make_person(Role.COORDINATOR, site="MTP", username="coordinator.mtp")
    make_person(Role.MONITOR, username="monitor")
    make_person(username="without")

    assert usernames(of_nim) == ["manager.nim", "coordinator.nim", "monitor"]
    for url in (person_url("coordinator.mtp"), person_url("without"), memberships_url("coordinator.mtp")):
        assert of_nim.get(url).content == of_nim.get(person_url("unheard.of")).content
        assert of_nim.get(url).status_code == 404


def test_the_data_manager_of_a_site_sees_of_a_person_what_concerns_that_site(of_nim):
    person = make_person(Role.COORDINATOR, site="NIM", username="a.name")
    here = Membership.objects.get(person=person)
    there = Membership.objects.create(person=person, role=Role.MONITOR, site_id="MTP", starts_on=SINCE)
    everywhere = Membership.objects.create(person=person, role=Role.MONITOR, starts_on=SINCE)

    listed = [found["id"] for found in of_nim.get(memberships_url("a.name")).json()["results"]]

    assert listed == [here.pk, everywhere.pk]
    assert of_nim.get(membership_url(there)).status_code == 404
    assert change(of_nim, membership_url(there), {"ends_on": None}).status_code == 404
    assert change(of_nim, membership_url(everywhere), {"ends_on": str(TODAY)}).status_code == 403
    assert change(of_nim, membership_url(here), {"ends_on": str(TODAY)}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"memberships": [COORDINATOR]}, 201),
        ({"memberships": []}, 403),
        ({}, 403),
        ({"memberships": [COORDINATOR, {**COORDINATOR, "site": None}]}, 403),
        ({"memberships": [COORDINATOR, {**COORDINATOR, "site": "MTP"}]}, 400),
    ],
)
def test_the_data_manager_of_a_site_adds_people_of_that_site_only(of_nim, body, status):
    response = of_nim.send("POST", PEOPLE, {"username": "a.name", **body})

    assert response.status_code == status
    assert Person.objects.filter(username="a.name").exists() is (status == 201)


@pytest.mark.parametrize(("elsewhere", "status"), [([], 200), (["MTP"], 403), ([None], 403)])
def test_the_data_manager_of_a_site_changes_who_has_roles_there_only(of_nim, elsewhere, status):
    person = make_person(Role.COORDINATOR, site="NIM", username="a.name")
    for site in elsewhere:
        Membership.objects.create(person=person, role=Role.MONITOR, site_id=site, starts_on=SINCE, ends_on=SINCE)

    assert change(of_nim, person_url("a.name"), {"is_active": False}).status_code == status
    person.refresh_from_db()
    assert person.is_active is (status == 403)


def test_a_token_for_one_site_makes_of_the_data_manager_of_all_sites_that_of_one(manager, sites):
    make_person(Role.COORDINATOR, site="MTP", username="coordinator.mtp")
    token = Api(create_token(Person.objects.get(username="manager"), site=sites["NIM"])[0])

    assert usernames(token) == ["manager"]
    assert token.get(person_url("coordinator.mtp")).status_code == 404
    assert token.send("POST", SITES, {"code": "PAR", "name": "Paris"}).status_code == 403


# Memberships


def test_a_membership_is_given_read_ended_and_counts_from_the_next_request_on(manager):
    person = make_person(username="a.name")
    client = Api(create_token(person)[0])
    assert client.get("/api/v1/dictionary/").status_code == 403

    given = manager.send("POST", memberships_url("a.name"), {**COORDINATOR, "starts_on": "2024-01-01"})

    url = given["Location"]
    expected = {"username": "a.name", **COORDINATOR, "starts_on": "2024-01-01", "ends_on": None}
    assert (given.status_code, {**given.json(), "id": None}) == (201, {**expected, "id": None})
    assert manager.get(url).json() == given.json()
    assert client.get("/api/v1/dictionary/").status_code == 200
    ended = change(manager, url, {"ends_on": str(YESTERDAY)})
    assert ended.json() == {**given.json(), "ends_on": str(YESTERDAY)}
    assert client.get("/api/v1/dictionary/").status_code == 403
    assert change(manager, url, {"ends_on": None}).json() == given.json()
    assert client.get("/api/v1/dictionary/").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({}, 400, [("role", "required"), ("site", "required")]),
        ({"role": "coordinator"}, 400, [("site", "required")]),
        ({**COORDINATOR, "role": "superuser"}, 400, [("role", "unknown_code")]),
        ({**COORDINATOR, "role": ["monitor"]}, 400, [("role", "wrong_type")]),
        ({**COORDINATOR, "site": "nim"}, 400, [("site", "unknown_site")]),
        ({**COORDINATOR, "site": 1}, 400, [("site", "wrong_type")]),
        ({**COORDINATOR, "starts_on": "2024-02-30"}, 400, [("starts_on", "not_a_date")]),
        ({**COORDINATOR, "starts_on": "2024-2-3"}, 400, [("starts_on", "not_a_date")]),
        ({**COORDINATOR, "starts_on": None}, 400, [("starts_on", "not_a_date")]),
        ({**COORDINATOR, "starts_on": "2024-03-02", "ends_on": "2024-03-01"}, 400, [("ends_on", "end_before_start")]),
        ({**COORDINATOR, "person": "b"}, 400, [("person", "unknown_field")]),
        ({**COORDINATOR, "starts_on": str(SINCE)}, 409, [("role", "membership_exists")]),
    ],
)
def test_a_membership_that_cannot_be_is_refused(manager, body, status, expected):
    make_person(Role.COORDINATOR, site="NIM", username="a.name")

    response = manager.send("POST", memberships_url("a.name"), body)

    assert (response.status_code, codes(response)) == (status, expected)
    assert Membership.objects.filter(person__username="a.name").count() == 1


def test_a_membership_may_last_one_day_and_no_less(manager):
    person = make_person(Role.COORDINATOR, site="NIM", username="a.name")
    url = membership_url(Membership.objects.get(person=person))

    assert change(manager, url, {"ends_on": str(SINCE)}).status_code == 200
    assert codes(change(manager, url, {"ends_on": str(SINCE - timedelta(days=1))})) == [("ends_on", "end_before_start")]


@pytest.mark.parametrize(("starts_on", "status"), [(TOMORROW, 204), (TODAY, 409), (YESTERDAY, 409)])
def test_a_membership_is_deleted_only_before_it_has_started(manager, starts_on, status):
    person = make_person(username="a.name")
    membership = Membership.objects.create(person=person, role=Role.MONITOR, starts_on=starts_on)

    response = change(manager, membership_url(membership), None, method="DELETE")

    assert response.status_code == status
    assert Membership.objects.filter(pk=membership.pk).exists() is (status == 409)
    if status == 409:
        assert codes(response) == [(None, "membership_has_started")]


# What nobody may do


@pytest.mark.parametrize(
    ("role", "site", "status"),
    [
        ("coordinator", "NIM", 201),
        ("investigator", "NIM", 403),
        ("monitor", "NIM", 403),
        ("data_manager", None, 403),
        ("coordinator", "MTP", 400),
    ],
)
def test_the_data_manager_of_a_site_gives_themself_no_more_rights_than_they_have(of_nim, role, site, status):
    response = of_nim.send("POST", memberships_url("manager.nim"), {"role": role, "site": site})

    assert response.status_code == status
    assert Membership.objects.filter(person__username="manager.nim").count() == (2 if status == 201 else 1)


@pytest.mark.parametrize(("ends_on", "status"), [(TOMORROW, 200), (None, 403), (TODAY + timedelta(days=9), 403)])
def test_the_data_manager_of_a_site_does_not_prolong_their_own_role(of_nim, manager, ends_on, status):
    membership = Membership.objects.get(person__username="manager.nim")
    Membership.objects.filter(pk=membership.pk).update(ends_on=TODAY + timedelta(days=5))

    response = change(of_nim, membership_url(membership), {"ends_on": ends_on and str(ends_on)})

    assert response.status_code == status


def test_the_data_manager_of_all_sites_may_give_themself_another_role(manager):
    body = {"role": "investigator", "site": None}

    assert manager.send("POST", memberships_url("manager"), body).status_code == 201


@pytest.mark.parametrize("other", [None, "deactivated", "ended", "to come", "of a site", "monitor", "ends sooner"])
def test_nobody_takes_away_the_last_data_manager_of_all_sites(manager, other):
    membership = Membership.objects.get(person__username="manager")
    if other is not None:
        person = make_person(username="other")
        Membership.objects.create(
            person=person,
            role=Role.MONITOR if other == "monitor" else Role.DATA_MANAGER,
            site_id="NIM" if other == "of a site" else None,
            starts_on=TOMORROW if other == "to come" else SINCE,
            ends_on={"ended": YESTERDAY, "ends sooner": TOMORROW}.get(other),
        )
        Person.objects.filter(pk=person.pk).update(is_active=other != "deactivated")

    refused = [
        change(manager, person_url("manager"), {"is_active": False}),
        change(manager, membership_url(membership), {"ends_on": str(TODAY)}),
        change(manager, membership_url(membership), {"ends_on": str(date(9999, 12, 30))}),
    ]

    assert [(response.status_code, problem(response)["code"]) for response in refused] == [
        (409, "last_data_manager")
    ] * 3
    assert change(manager, person_url("manager"), {"full_name": "Still here"}).status_code == 200


def test_one_of_two_data_managers_of_all_sites_may_go(manager):
    make_person(Role.DATA_MANAGER, username="other")

    assert change(manager, person_url("other"), {"is_active": False}).status_code == 200


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_data_managers_who_deactivate_each_other_at_once_do_not_both_succeed(sites):
    one, other = (make_person(Role.DATA_MANAGER, username=name) for name in ("one", "other"))

    def deactivate(person, by):
        caller = caller_now(by)

        def run():

            with transaction.atomic():
                held = hold_person(person.username, by=caller)
                return change_person(held, {"is_active": False}, today=TODAY)

        return run

    for _time in range(5):
        Person.objects.update(is_active=True)
        found = at_once(deactivate(one, other), deactivate(other, one))
        assert sorted(type(result).__name__ for result in found) == ["Contradiction", "Person"]
        assert any(isinstance(result, Contradiction) and result.code == "last_data_manager" for result in found)
        assert Person.objects.filter(is_active=True).count() == 1


# Sites


def test_a_site_is_added_read_and_renamed(manager):
    added = manager.send("POST", SITES, {"code": "PAR", "name": "Paris"})

    assert (added.status_code, added.json()) == (201, {"code": "PAR", "name": "Paris"})
    assert manager.get(added["Location"]).json() == added.json()
    renamed = change(manager, added["Location"], {"name": "Paris, Saint-Louis"})
    assert renamed.json() == {"code": "PAR", "name": "Paris, Saint-Louis"}
    assert {"code": "PAR", "name": "Paris, Saint-Louis"} in manager.get(SITES).json()
    assert [row[0] for row in history("registry_sitehistory")] == ["insert", "update"]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"code": "PAR"}, 400, [("name", "required")]),
        ({"code": "PAR", "name": " "}, 400, [("name", "blank")]),
        ({"code": "P", "name": "Paris"}, 400, [("code", "unknown_code")]),
        ({"code": "par", "name": "Paris"}, 400, [("code", "unknown_code")]),
        ({"code": "PAR\n", "name": "Paris"}, 400, [("code", "unknown_code")]),
        ({"code": "ABCDEFGHI", "name": "Paris"}, 400, [("code", "unknown_code")]),
        ({"code": "NIM", "name": "Another"}, 409, [("code", "site_exists")]),
    ],
)
def test_a_site_that_cannot_be_is_refused(manager, body, status, expected):
    response = manager.send("POST", SITES, body)

    assert (response.status_code, codes(response)) == (status, expected)
    assert Site.objects.count() == 3


def test_the_data_manager_of_a_site_renames_it_and_no_other(of_nim):
    assert change(of_nim, f"{SITES}NIM/", {"name": "Nîmes CHU"}).status_code == 200
    assert change(of_nim, f"{SITES}MTP/", {"name": "x"}).status_code == 404
    assert of_nim.send("POST", SITES, {"code": "PAR", "name": "Paris"}).status_code == 403


def test_who_sees_a_site_but_does_not_manage_it_renames_nothing(api):
    assert change(api(site="NIM"), f"{SITES}NIM/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_any_length_takes_the_same_queries(count, manager, django_assert_num_queries):
    for number in range(count):
        make_person(Role.COORDINATOR, site="NIM", username=f"person{number}")
    manager.get(PEOPLE)

    with django_assert_num_queries(3):  # savepoint and its release are the transaction of the request
        assert len(manager.get(PEOPLE).json()["results"]) == count + 1
