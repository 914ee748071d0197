"""The pages of people and their roles: who sees whom, what is shown once, what nobody may do to themself."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from registry.models import IdempotentAnswer, Membership, Person, SignInEvent
from registry.rights import Role
from tests.conftest import SINCE, Browser, make_person
from tests.registry.accounts.conftest import PASSWORD, events, is_in, sign_in, with_codes, with_password
from tests.registry.pages.conftest import errors_of, secret_of
from tests.registry.test_hostile_texts import TEXTS

TODAY = timezone.localdate()
TOMORROW = TODAY + timedelta(days=1)
NEW = {"username": "a.name", "full_name": "Áine Name", "role": "coordinator", "site": "NIM", "starts_on": str(TODAY)}


@pytest.fixture
def somebody(sites):
    """A coordinator of NIM who knows their password."""
    return with_password(make_person(Role.COORDINATOR, site="NIM", username="a.name"))


def do(client, deed, username="a.name", **more):
    return client.post(f"/people/{username}/", {"do": deed, **more})


# Adding


def test_a_person_is_added_with_a_role_and_a_password_that_is_shown_once(manager):
    response = manager.post("/new-person/", {**NEW, "once": "1", "reason": "New in NIM"})

    password = secret_of(response)
    person = Person.objects.get(username="a.name")
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    assert person.check_password(password)
    assert person.must_change_password
    assert list(person.memberships.values_list("role", "site", "starts_on", "ends_on")) == [
        ("coordinator", "NIM", TODAY, None)
    ]
    assert password not in manager.get("/people/a.name/").content.decode()


def test_who_sends_the_form_again_gets_neither_a_second_person_nor_the_password(manager):
    first = manager.post("/new-person/", {**NEW, "once": "1"})

    again = manager.post("/new-person/", {**NEW, "once": "1"})

    assert (again.status_code, again["Location"]) == (303, "/people/a.name/")
    assert Person.objects.get(username="a.name").check_password(secret_of(first))
    kept = IdempotentAnswer.objects.get()
    assert (bytes(kept.body), kept.status) == (b"", 303)


def test_the_password_is_in_no_history_and_in_no_log(manager, caplog):
    password = secret_of(manager.post("/new-person/", NEW))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_jsonb(h)::text FROM registry_personhistory h UNION ALL SELECT kind FROM registry_signinevent"
        )
        assert [row for (row,) in cursor.fetchall() if password in row] == []
    assert password not in caplog.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"username": ""}, ["This field is required."]),
        (
            {"username": "A Name"},
            ["Write small letters, digits, points, hyphens and underscores, 150 at most, such as a.name."],
        ),
        ({"username": "manager"}, ["There is a person of this user name already. Choose another one."]),
        ({"email": "nobody"}, ["Write an address such as name@example.org."]),
        ({"full_name": "x" * 201}, ["Shorten it to 200 characters."]),
        ({"role": ""}, ["This field is required."]),
        ({"role": "king"}, ["Select a valid choice. king is not one of the available choices."]),
        ({"site": "PAR"}, ["Select a valid choice. PAR is not one of the available choices."]),
        ({"starts_on": "12.3.2024"}, ["Write a date such as 2024-03-12."]),
        (
            {"ends_on": str(TODAY - timedelta(days=1))},
            [f"The last day is before the first, {TODAY}. Correct one of them."],
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost_or_saved(change, expected, manager):
    response = manager.post("/new-person/", {**NEW, **change})

    assert (response.status_code, errors_of(response)) == (422, expected)
    assert 'value="Áine Name"' in response.content.decode() or "full_name" in change
    assert Person.objects.count() == 1


def test_a_new_person_may_get_a_link_instead_where_e_mail_is_sent(
    manager, settings, django_capture_on_commit_callbacks
):
    settings.MAIL_IS_SENT = True

    refused = manager.post("/new-person/", {**NEW, "way_in": "link"})
    with django_capture_on_commit_callbacks(execute=True):
        sent = manager.post("/new-person/", {**NEW, "way_in": "link", "email": "a@example.org"})

    assert errors_of(refused) == ["Write the address that the link goes to."]
    assert (sent.status_code, sent["Location"]) == (303, "/people/a.name/")
    assert [message.to for message in mail.outbox] == [["a@example.org"]]
    assert "/accounts/password/reset/" in mail.outbox[0].body
    assert events("link_sent") == [("link_sent", "a.name")]


def test_the_data_manager_of_a_site_adds_people_there_alone(of_nim):
    elsewhere = of_nim.post("/new-person/", {**NEW, "site": "MTP"})
    everywhere = of_nim.post("/new-person/", {**NEW, "site": "*"})

    assert [elsewhere.status_code, everywhere.status_code] == [422, 422]
    assert of_nim.post("/new-person/", NEW).status_code == 200


# Seeing


def test_the_data_manager_of_a_site_sees_who_has_a_role_there_and_nobody_else(of_nim):
    make_person(Role.COORDINATOR, site="NIM", username="coordinator.nim")
    make_person(Role.COORDINATOR, site="MTP", username="coordinator.mtp")
    make_person(Role.MONITOR, username="monitor")

    page = of_nim.get("/people/").content.decode()

    assert [name in page for name in ("coordinator.nim", "monitor", "coordinator.mtp")] == [True, True, False]
    assert of_nim.get("/people/coordinator.mtp/").status_code == 404
    assert of_nim.get("/people/unheard.of/").status_code == 404
    assert "data manager of all sites changes their name" in of_nim.get("/people/monitor/").content.decode()
    assert do(of_nim, "password", "monitor").status_code == 403
    assert do(of_nim, "password", "coordinator.mtp").status_code == 404


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR, None])
def test_who_manages_nobody_sees_no_page_of_people_and_no_link_to_them(role, browser, somebody):
    client = browser(role, site="NIM" if role else None, username="curious")

    assert [
        client.get(page).status_code for page in ("/people/", "/people/a.name/", "/new-person/", "/places/", "/health/")
    ] == [403] * 5
    assert 'href="/people/"' not in client.get("/account/").content.decode()


def test_people_are_found_by_name_user_name_and_address(manager):
    for username, name in (("one", "Claire Fontaine"), ("two", "Jean Dupont")):
        Person.objects.create_user(username, full_name=name, email=f"{username}@example.org")

    found = {
        asked: manager.get("/people/", {"q": asked}).content.decode()
        for asked in ("fontaine", "two", "TWO@", "zz", "\x00")
    }

    assert [("Claire" in page, "Jean" in page) for page in found.values()] == [
        (True, False),
        (False, True),
        (False, True),
        (False, False),
        (True, True),
    ]
    assert "Nobody is called so." in found["zz"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_any_length_takes_the_same_queries(count, manager, django_assert_num_queries):
    for number in range(count):
        with_codes(make_person(Role.COORDINATOR, site="NIM", username=f"person{number}"))
    manager.get("/people/")

    with django_assert_num_queries(7):
        assert manager.get("/people/").content.decode().count("set up") == count


@pytest.mark.parametrize("count", [1, 3])
def test_a_person_with_any_number_of_roles_takes_the_same_queries(count, manager, somebody, django_assert_num_queries):
    for number in range(count):
        Membership.objects.create(person=somebody, role=Role.MONITOR, starts_on=SINCE + timedelta(days=number))
    manager.get("/people/a.name/")

    with django_assert_num_queries(12):
        assert manager.get("/people/a.name/").content.decode().count("Change the end") == count + 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_name_or_reason_is_refused_or_shown_as_text(text, manager, somebody):
    """Negative test 30."""
    changed = do(manager, "change", full_name=text, email="")
    given = manager.post(
        "/people/a.name/roles/", {"role": "monitor", "site": "NIM", "starts_on": str(TODAY), "reason": text}
    )
    named = manager.post("/places/NIM/", {"name": text})
    token = manager.post("/tokens/", {"name": text, "extent": "read"})

    assert {changed.status_code, named.status_code} <= {303, 422}
    assert given.status_code in (303, 400)
    assert token.status_code in (200, 422)
    pages = [token] + [
        manager.get(page) for page in ("/people/", "/people/a.name/", "/places/", "/tokens/", "/account/")
    ]
    for page in pages:
        shown = page.content.decode()
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "<svg/onload" not in shown


# Changing


def test_name_and_address_are_changed_with_a_reason_in_the_history(manager, somebody):
    response = do(manager, "change", full_name="Áine", email="a@example.org", reason="married")

    somebody.refresh_from_db()
    assert (response.status_code, somebody.full_name, somebody.email) == (303, "Áine", "a@example.org")
    page = manager.get("/people/a.name/").content.decode()
    assert "Name or e-mail address changed" in page
    assert "married" in page


def test_who_is_deactivated_is_out_at_once_and_not_back_in_with_the_old_session(manager, somebody):
    client = Client()
    sign_in(client, username="a.name")
    assert is_in(client)

    assert do(manager, "deactivate").status_code == 303
    assert not is_in(client)
    assert do(manager, "let-in").status_code == 303
    assert not is_in(client)

    assert sign_in(username="a.name").status_code == 302
    page = manager.get("/people/a.name/").content.decode()
    assert "Deactivated" in page
    assert "Let in again" in page


def test_a_session_that_slept_while_its_person_was_deactivated_is_over(manager, somebody):
    client = Client()
    sign_in(client, username="a.name")

    do(manager, "deactivate")
    do(manager, "let-in")

    assert not is_in(client)


def test_a_new_password_ends_the_sessions_and_must_be_changed_before_anything_else(manager, somebody):
    before = Client()
    sign_in(before, username="a.name")

    password = secret_of(do(manager, "password", once="1"))
    client = Client()
    sign_in(client, username="a.name", password=password)

    assert not is_in(before)
    assert client.get("/").headers["Location"] == client.get("/account/")["Location"] == "/accounts/password/"
    assert client.get("/api/v1/me/").json()["code"] == "password_change_required"
    same = client.post("/accounts/password/", {"oldpassword": password, "password1": password, "password2": password})
    assert "This is the present password." in same.content.decode()
    client.post("/accounts/password/", {"oldpassword": password, "password1": PASSWORD, "password2": PASSWORD})
    assert [client.get("/account/").status_code, client.get("/api/v1/me/").status_code] == [200, 200]
    given = SignInEvent.objects.get(kind="password_given")
    assert (given.person.username, given.by.username) == ("a.name", "manager")


def test_a_password_that_is_given_twice_by_one_form_is_given_once(manager, somebody):
    password = secret_of(do(manager, "password", once="1"))

    again = do(manager, "password", once="1")

    somebody.refresh_from_db()
    assert (again.status_code, again["Location"]) == (303, "/people/a.name/")
    assert somebody.check_password(password)


def test_a_link_clears_the_need_to_change_the_password(manager, somebody, settings, django_capture_on_commit_callbacks):
    settings.MAIL_IS_SENT = True
    Person.objects.filter(pk=somebody.pk).update(must_change_password=True)

    with django_capture_on_commit_callbacks(execute=True):
        assert do(manager, "link").status_code == 303
    client = Client()
    link = mail.outbox[0].body.split("http://testserver")[1].split()[0]
    client.post(
        client.get(link)["Location"], {"password1": "another long password", "password2": "another long password"}
    )

    somebody.refresh_from_db()
    assert not somebody.must_change_password
    assert somebody.check_password("another long password")


def test_the_codes_of_somebody_who_lost_the_phone_are_removed_and_it_is_recorded(manager, somebody):
    with_codes(somebody)
    client = Browser()
    client.sign_in(somebody)

    assert do(manager, "codes").status_code == 303

    assert not is_in(client)
    assert sign_in(username="a.name")["Location"] == "/"
    removed = SignInEvent.objects.get(kind="codes_removed")
    assert (removed.person.username, removed.by.username) == ("a.name", "manager")
    assert errors_of(do(manager, "codes")) == ["This person signs in without codes: there is nothing to remove."]


def test_a_lock_out_is_shown_and_lifted(manager, somebody):
    for _time in range(5):
        sign_in(username="a.name", password="wrong")
    assert sign_in(username="a.name").status_code == 429
    assert "Locked out until" in manager.get("/people/a.name/").content.decode()

    assert do(manager, "lock-out").status_code == 303

    assert "Locked out until" not in manager.get("/people/a.name/").content.decode()
    assert sign_in(username="a.name").status_code == 302


def test_four_failures_lock_nobody_out(manager, somebody):
    for _time in range(4):
        sign_in(username="a.name", password="wrong")

    assert "Locked out until" not in manager.get("/people/a.name/").content.decode()


@pytest.mark.parametrize("deed", ["password", "link", "codes", "lock-out"])
def test_nobody_rescues_themself(deed, manager):
    response = do(manager, deed, "manager")

    assert (response.status_code, errors_of(response)) == (422, ["For yourself you do this on the page My account."])


def test_nobody_deactivates_the_last_data_manager_of_all_sites(manager):
    response = do(manager, "deactivate", "manager")

    assert response.status_code == 422
    assert errors_of(response) == [
        "Nobody else is data manager of all sites for as long. Give somebody that role first."
    ]
    assert Person.objects.get().is_active


@pytest.mark.parametrize("deed", ["password", "link"])
def test_who_is_deactivated_gets_no_new_password(deed, manager, somebody, settings):
    settings.MAIL_IS_SENT = True
    do(manager, "deactivate")

    assert errors_of(do(manager, deed)) == ["This person is deactivated. Let them in again first."]


def test_no_link_goes_to_nowhere(manager, somebody):
    assert errors_of(do(manager, "link")) == ["There is no e-mail address to write to. Enter one, or give a password."]


# Roles


def test_a_role_is_given_ended_and_told_with_who_and_why(manager, somebody):
    role = {"role": "monitor", "site": "*", "starts_on": str(TODAY), "ends_on": ""}

    given = manager.post("/people/a.name/roles/", {**role, "reason": "Audit week"})
    membership = Membership.objects.get(role="monitor")
    ended = manager.post(f"/roles/{membership.pk}/", {"ends_on": str(TOMORROW), "reason": "Over"})

    membership.refresh_from_db()
    assert [(answer.status_code, answer["Location"]) for answer in (given, ended)] == [(303, "/people/a.name/")] * 2
    assert (membership.site, membership.ends_on) == (None, TOMORROW)
    page = manager.get("/people/a.name/").content.decode()
    for words in (
        "Role given: Monitor at all sites",
        f"Last day set: Monitor at all sites, {TOMORROW}",
        "Audit week",
        "Over",
    ):
        assert words in page


def test_a_role_is_given_once(manager, somebody):
    again = {"role": "coordinator", "site": "NIM", "starts_on": str(SINCE)}

    response = manager.post("/people/a.name/roles/", again)

    assert errors_of(response) == ["The person has this role there from this day already. Change when that one ends."]


@pytest.mark.parametrize(("starts_on", "status"), [(TOMORROW, 303), (TODAY, 422)])
def test_a_role_is_taken_back_only_before_it_has_started(starts_on, status, manager, somebody):
    role = Membership.objects.create(person=somebody, role=Role.MONITOR, starts_on=starts_on)

    response = manager.post(f"/roles/{role.pk}/", {"take_back": "yes", "ends_on": ""})

    assert response.status_code == status
    assert Membership.objects.filter(pk=role.pk).exists() is (status == 422)


def test_the_data_manager_of_a_site_ends_roles_there_alone(of_nim, somebody):
    here = somebody.memberships.get()
    everywhere = Membership.objects.create(person=somebody, role=Role.MONITOR, starts_on=SINCE)
    there = Membership.objects.create(person=somebody, role=Role.MONITOR, site_id="MTP", starts_on=SINCE)

    statuses = [
        of_nim.post(f"/roles/{role.pk}/", {"ends_on": str(TODAY)}).status_code for role in (here, everywhere, there)
    ]

    assert statuses == [303, 403, 404]
    assert "MTP" not in of_nim.get("/people/a.name/").content.decode()


def test_a_form_that_says_nothing_known_does_nothing(manager, somebody):
    assert do(manager, "anything").status_code == 400
