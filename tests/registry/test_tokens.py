"""Tokens over REST: shown once, narrowed by site, rights and time, revoked at once."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from registry.callers import create_token
from registry.models import IdempotentAnswer, Membership, Person, Token
from registry.rights import READING, Right, Role
from tests.conftest import Api, make_person
from tests.crf.examples import body
from tests.registry.test_api import codes, problem

TOKENS, ME, PATIENTS = "/api/v1/tokens/", "/api/v1/me/", "/api/v1/patients/"
EVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def monitor(sites):
    """A monitor of all sites."""
    return make_person(Role.MONITOR, username="monitor")


def of(person, **narrowed):
    """Return a client with a token of a person."""
    return Api(create_token(person, **narrowed)[0])


def listed(client, query=""):
    return [token["id"] for token in client.get(f"{TOKENS}{query}").json()["results"]]


def test_a_token_is_shown_once_and_works_at_once(monitor):
    made = of(monitor).send("POST", TOKENS, {"name": "nightly script", "site": "NIM", "rights": ["read"]})

    found = made.json()
    text = found.pop("token")
    row = Token.objects.get(pk=found["id"])
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    assert (found["username"], found["name"], found["site"], found["rights"], found["hint"]) == (
        "monitor",
        "nightly script",
        "NIM",
        ["read"],
        text[:4],
    )
    assert abs(row.expires_at - timezone.now() - timedelta(days=365)) < timedelta(minutes=1)
    assert Api(text).get(ME).json()["rights"] == {"read": ["NIM"]}
    assert text not in of(monitor).get(made["Location"]).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_context->>'username', name FROM registry_tokenhistory WHERE name <> ''")
        assert cursor.fetchall() == [("monitor", "nightly script")]


def test_the_token_is_not_kept_for_a_repeat(monitor):
    client = of(monitor)

    first, repeat = (client.send("POST", TOKENS, {}, Idempotency_Key="one").json() for _repeat in range(2))

    assert repeat == {**first, "token": None}
    assert first["token"].encode() not in bytes(IdempotentAnswer.objects.get().body)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"person": "somebody"}, [("person", "unknown_field")]),
        ({"site": "ZZZ"}, [("site", "unknown_site")]),
        ({"site": 1}, [("site", "wrong_type")]),
        ({"rights": []}, [("rights", "wrong_type")]),
        ({"rights": "read"}, [("rights", "wrong_type")]),
        ({"rights": ["rule"]}, [("rights", "unknown_code")]),
        ({"rights": ["read", "read"]}, [("rights", "repeated_code")]),
        ({"name": "x" * 101}, [("name", "too_long")]),
        ({"name": "a\nb"}, [("name", "unprintable")]),
        ({"expires_at": "2099-01-01"}, [("expires_at", "not_a_time")]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, [("expires_at", "out_of_range")]),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, [("expires_at", "not_a_time")]),
        ({"expires_at": "2199-01-01T00:00:00Z"}, [("expires_at", "out_of_range")]),
    ],
)
def test_a_token_that_cannot_be_is_refused(monitor, sent, expected):
    client = of(monitor)

    response = client.send("POST", TOKENS, sent)

    assert (response.status_code, codes(response)) == (400, expected)
    assert Token.objects.count() == 1


def test_a_site_that_one_does_not_see_reads_like_one_that_does_not_exist(sites):
    client = of(make_person(Role.COORDINATOR, site="MTP"))

    foreign, unknown = (client.send("POST", TOKENS, {"site": site}) for site in ("NIM", "ZZZ"))

    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)


@pytest.mark.parametrize(
    ("narrowed", "asked", "field"),
    [
        ({"site": "NIM"}, {}, "site"),
        ({"site": "NIM"}, {"site": None}, "site"),
        ({"site": "NIM"}, {"site": "NIM"}, None),
        ({"rights": ["read", "manage"]}, {}, "rights"),
        ({"rights": ["read", "manage"]}, {"rights": ["read", "enter"]}, "rights"),
        ({"rights": ["read", "manage"]}, {"rights": ["read"]}, None),
        ({"days": 2}, {"days": 3}, "expires_at"),
        ({"days": 2}, {"days": 1}, None),
        ({"days": 2}, {}, None),
    ],
)
def test_a_token_makes_no_token_that_may_more_or_lasts_longer(sites, narrowed, asked, field):
    now = timezone.now()

    def arguments(given):
        days = given.get("days")
        return {name: value for name, value in given.items() if name != "days"} | (
            {"expires_at": now + timedelta(days=days)} if days else {}
        )

    of_token = arguments(narrowed)
    if "site" in of_token:
        of_token["site"] = sites["NIM"]
    client = of(make_person(Role.DATA_MANAGER), **of_token)
    wanted = arguments(asked)
    if "expires_at" in wanted:
        wanted["expires_at"] = wanted["expires_at"].isoformat()

    response = client.send("POST", TOKENS, wanted)

    if field is None:
        assert response.status_code == 201
        assert Token.objects.order_by("-pk").first().expires_at <= Token.objects.order_by("pk").first().expires_at
    else:
        assert (response.status_code, codes(response)) == (400, [(field, "wider_than_token")])


def test_a_session_makes_a_token_of_any_width(monitor, client, settings):
    settings.REQUIRE_TOTP = "nobody"
    client.force_login(monitor)

    made = client.post(TOKENS, {}, content_type="application/json")

    assert (made.status_code, made.json()["site"], made.json()["rights"]) == (201, None, None)


def test_a_revoked_token_ends_at_once_and_stays_in_the_list(monitor):
    text, token = create_token(monitor)
    client = of(monitor)
    address = f"{TOKENS}{token.pk}/"

    gone = client.delete(address)

    assert (gone.status_code, gone.content) == (204, b"")
    assert Api(text).get(ME).status_code == 401
    first = client.get(address).json()["revoked_at"]
    assert first is not None
    assert (client.delete(address).status_code, client.get(address).json()["revoked_at"]) == (204, first)
    assert token.pk in listed(client)


def test_a_token_of_somebody_else_is_not_there(monitor, sites):
    _text, token = create_token(make_person(Role.COORDINATOR, site="NIM", username="other"))
    client = of(monitor)

    for method in ("GET", "DELETE"):
        foreign = client.send(method, f"{TOKENS}{token.pk}/")
        unknown = client.send(method, f"{TOKENS}{10**30}/")
        assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
        assert problem(foreign)["code"] == "not_found"
    assert listed(client, "?person=other") == []
    token.refresh_from_db()
    assert token.revoked_at is None


def test_the_data_manager_sees_and_revokes_the_tokens_of_whom_they_manage(sites):
    of_nim = make_person(Role.COORDINATOR, site="NIM", username="coordinator.nim")
    of_two = make_person(Role.COORDINATOR, site="NIM", username="coordinator.two")
    Membership.objects.create(person=of_two, role=Role.COORDINATOR, site_id="MTP", starts_on=EVER.date())
    everywhere = make_person(Role.MONITOR, username="monitor")
    rows = {person.username: create_token(person)[1] for person in (of_nim, of_two, everywhere)}
    all_sites = of(make_person(Role.DATA_MANAGER, username="manager"))
    one_site = of(make_person(Role.DATA_MANAGER, site="NIM", username="manager.nim"))

    for username, token in rows.items():
        theirs = username == "coordinator.nim"
        assert listed(all_sites, f"?person={username}") == [token.pk]
        assert listed(one_site, f"?person={username}") == ([token.pk] if theirs else [])
        assert one_site.delete(f"{TOKENS}{token.pk}/").status_code == (204 if theirs else 404)
        assert all_sites.delete(f"{TOKENS}{token.pk}/").status_code == 204
    assert not set(listed(all_sites)) & {token.pk for token in rows.values()}


def test_to_a_token_of_one_site_the_others_of_its_person_do_not_exist(monitor, sites):
    create_token(monitor)
    client = of(monitor, site=sites["NIM"])

    assert [Token.objects.get(pk=pk).site_id for pk in listed(client)] == ["NIM"]


def test_a_read_only_token_reads_and_writes_nothing(sites):
    person = make_person(Role.DATA_MANAGER)
    client = of(person, rights=READING)

    assert client.get(PATIENTS).status_code == 200
    for method, path, sent in (
        ("POST", PATIENTS, body(site="NIM")),
        ("POST", "/api/v1/entries/", {"entries": []}),
        ("POST", "/api/v1/people/", {"username": "a"}),
        ("POST", "/api/v1/sites/", {"code": "PAR", "name": "Paris"}),
    ):
        assert client.send(method, path, sent).status_code == 403
    assert of(person).send("POST", PATIENTS, body(site="NIM")).status_code == 201


def test_a_right_that_the_person_has_not_is_not_given_by_a_token(monitor):
    client = of(monitor, rights=[Right.ENTER, Right.READ])

    assert client.get(ME).json()["rights"] == {"read": ["MTP", "NIM", "STR"]}


def test_the_person_of_a_token_loses_a_role_and_so_does_the_token(monitor):
    client = of(monitor)
    assert client.get("/api/v1/dictionary/").status_code == 200

    Membership.objects.update(ends_on=timezone.localdate() - timedelta(days=1))

    assert client.get("/api/v1/dictionary/").status_code == 403
    assert client.get(ME).json()["rights"] == {}


def test_me_says_which_membership_gives_each_right_and_what_the_token_takes_away(sites):
    person = make_person(Role.COORDINATOR, site="MTP")
    Membership.objects.create(person=person, role=Role.MONITOR, starts_on=EVER.date(), ends_on=date.max)
    Membership.objects.create(person=person, role=Role.DATA_MANAGER, starts_on=EVER.date(), ends_on=EVER.date())
    expires_at = timezone.now() + timedelta(days=1)

    me = of(person, site=sites["MTP"], rights=["read", "enter"], name="script", expires_at=expires_at).get(ME).json()

    coordinator = {"role": "coordinator", "site": "MTP", "starts_on": "2020-01-01", "ends_on": None}
    monitor = {"role": "monitor", "site": None, "starts_on": "2000-01-01", "ends_on": "9999-12-31"}
    assert me["why"]["enter"] == {"MTP": [coordinator]}
    assert sorted(me["why"]["read"]["MTP"], key=str) == sorted([coordinator, monitor], key=str)
    assert me["why"].keys() == me["rights"].keys() == {"read", "enter"}
    assert me["narrowed_by"] == {
        "name": "script",
        "site": "MTP",
        "rights": ["enter", "read"],
        "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
    }


def test_me_in_a_session_is_narrowed_by_nothing(monitor, client, settings):
    settings.REQUIRE_TOTP = "nobody"
    client.force_login(monitor)

    assert client.get(ME).json()["narrowed_by"] is None


def test_an_answer_names_no_token_but_the_new_one(monitor):
    client = of(monitor)
    digest = bytes(Token.objects.get().digest).hex()

    assert digest not in client.get(TOKENS).content.decode()
    assert Person.objects.get(username="monitor").password not in client.get(ME).content.decode()
