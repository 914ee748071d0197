"""What every REST view stands on: who calls, strict JSON, problems, repeats answered once."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from registry import repeats
from registry.callers import create_token
from registry.models import IdempotentAnswer, Membership, Token
from registry.rights import Right, Role
from tests.conftest import Api, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import body

ME, PATIENTS = "/api/v1/me/", "/api/v1/patients/"
UNKNOWN = "F" * 32


def problem(response):
    """Return the problem of a response, after checking the shape that every problem has."""
    assert response["Content-Type"] == "application/problem+json"
    found = response.json()
    assert {"type", "title", "status", "code", "detail", "errors"} <= found.keys()
    assert found["status"] == response.status_code
    for error in found["errors"]:
        assert {"form", "record_id", "instance", "field", "code", "message"} <= error.keys()
        assert error["message"].endswith(".")
    return found


def codes(response):
    """Return field and code of each error of a problem."""
    return [(error["field"], error["code"]) for error in problem(response)["errors"]]


def patients(count):
    return count("crf_patient"), count("crf_patienthistory")


# Who calls


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {UNKNOWN}",
        f"Bearer  {UNKNOWN}",
        f"Bearer {UNKNOWN} x",
        f"Bearer {UNKNOWN[:-1]}",
        f"Bearer {UNKNOWN}F",
        "Bearer ' OR 1=1 --",
        "Bearer \x00",
        "Bearer é",
        f"Token {UNKNOWN}",
        f"Basic {UNKNOWN}",
        UNKNOWN,
    ],
)
def test_without_a_valid_token_or_session_the_answer_is_401_with_a_challenge(header, sites):
    client = Client(headers={"Authorization": header} if header is not None else None)

    response = client.get(ME)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="ecrf"'
    assert problem(response)["errors"] == []


def test_a_token_is_read_in_either_case_and_the_scheme_as_well(sites):
    token, _row = create_token(make_person(Role.MONITOR))

    assert len(token) == 32
    assert token == token.upper()
    for header in (f"Bearer {token}", f"bearer {token.lower()}", f"BEARER {token}"):
        assert Client(headers={"Authorization": header}).get(ME).status_code == 200


def test_a_token_counts_until_it_is_revoked_expires_or_its_person_leaves(sites):
    person = make_person(Role.MONITOR)
    token, row = create_token(person)
    api = Api(token)
    assert api.get(ME).status_code == 200

    for change in ({"revoked_at": timezone.now()}, {"expires_at": timezone.now()}):
        kept = {name: getattr(row, name) for name in change}
        Token.objects.update(**change)
        assert api.get(ME).status_code == 401
        Token.objects.update(**kept)
        assert api.get(ME).status_code == 200
    person.is_active = False
    person.save()
    assert api.get(ME).status_code == 401


def test_the_token_is_nowhere_in_the_database(sites):
    token, row = create_token(make_person(Role.MONITOR))

    assert row.hint == token[:4]
    with connection.cursor() as cursor:
        for table in ("registry_token", "registry_tokenhistory"):
            cursor.execute(f"SELECT string_agg(t::text, '') FROM {table} t")  # noqa: S608 -- two names
            kept = cursor.fetchone()[0]
            assert token[4:] not in kept
            assert token.lower().encode().hex() not in kept.lower()
            assert token.encode().hex() not in kept.lower()


def test_a_token_for_one_site_narrows_the_rights_of_its_person(sites):
    person = make_person(Role.DATA_MANAGER)
    api = Api(create_token(person, site=sites["NIM"])[0])

    me = api.get(ME).json()

    assert me["sites"] == ["NIM"]
    assert set(map(tuple, me["rights"].values())) == {("NIM",)}
    assert api.send("POST", PATIENTS, body(site="MTP")).status_code == 400
    assert api.send("POST", PATIENTS, body(site="NIM")).status_code == 201


def test_a_token_for_a_site_at_which_its_person_has_no_role_gives_nothing(sites):
    person = make_person(Role.COORDINATOR, site="MTP")

    me = Api(create_token(person, site=sites["NIM"])[0]).get(ME).json()

    assert (me["sites"], me["rights"]) == ([], {})


@pytest.mark.parametrize(
    ("starts", "ends", "holds"),
    [(0, 0, True), (-1, 1, True), (-2, -1, False), (1, 2, False), (1, None, False), (0, None, True)],
)
def test_a_membership_counts_from_its_first_to_its_last_day(starts, ends, holds, sites):
    today = timezone.localdate()
    person = make_person()
    last = None if ends is None else today + timedelta(days=ends)
    Membership.objects.create(
        person=person, role=Role.COORDINATOR, site=sites["MTP"], starts_on=today + timedelta(days=starts), ends_on=last
    )

    me = Api(create_token(person)[0]).get(ME).json()

    assert me["sites"] == (["MTP"] if holds else [])
    assert ("enter" in me["rights"]) is holds


def test_a_membership_that_ends_counts_no_more_at_the_next_request(api):
    client = api()
    assert client.send("POST", PATIENTS, body()).status_code == 201

    Membership.objects.update(ends_on=timezone.localdate() - timedelta(days=1))

    assert client.get(f"{PATIENTS}MTP-001/").status_code == 404
    assert client.get(PATIENTS).json()["results"] == []
    assert client.send("POST", PATIENTS, body(site="MTP")).status_code in (400, 403)


def test_a_site_that_is_removed_takes_its_memberships_with_it(sites):
    person = make_person(Role.COORDINATOR, site="STR")
    api = Api(create_token(person)[0])

    sites["STR"].delete()

    assert api.get(ME).json()["sites"] == []


def test_a_person_of_no_role_sees_nothing_and_enters_nothing(api):
    assert api(username="other").send("POST", PATIENTS, body()).status_code == 201
    nobody = api(None)

    assert nobody.get("/api/v1/sites/").json() == []
    assert nobody.get(PATIENTS).json()["results"] == []
    assert nobody.get(f"{PATIENTS}MTP-001/").status_code == 404
    assert nobody.get("/api/v1/dictionary/").status_code == 403
    assert nobody.send("POST", PATIENTS, body(site="MTP")).status_code in (400, 403)
    assert nobody.send("POST", PATIENTS, body()).status_code == 403


# The browser's session


@pytest.fixture
def browser(sites):
    """A browser with a signed-in coordinator of MTP; it checks CSRF like a real one."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_person(Role.COORDINATOR, site="MTP"))
    return client


def test_a_session_reads_without_and_writes_only_with_the_csrf_token(browser, count):
    content = json.dumps(body())

    assert browser.get(ME).json()["token"] is False
    refused = browser.post(PATIENTS, content, content_type="application/json")
    assert (refused.status_code, problem(refused)["code"]) == (403, "permission_denied")
    assert patients(count) == (0, 0)

    browser.cookies["csrftoken"] = "c" * 32
    allowed = browser.post(PATIENTS, content, content_type="application/json", headers={"X-CSRFToken": "c" * 32})
    assert allowed.status_code == 201


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_a_form_of_another_page_changes_nothing(method, browser, count):
    browser.cookies["csrftoken"] = "c" * 32

    response = getattr(browser, method)(PATIENTS, "a=b", content_type="application/x-www-form-urlencoded")

    assert response.status_code in (400, 403, 405)
    assert patients(count) == (0, 0)


def test_the_session_of_a_person_who_left_counts_no_more(browser):
    assert browser.get(ME).status_code == 200

    Membership.objects.get().person.__class__.objects.update(is_active=False)

    assert browser.get(ME).status_code == 401


def test_a_wrong_token_is_refused_even_with_a_session(browser):
    assert browser.get(ME, headers={"Authorization": f"Bearer {UNKNOWN}"}).status_code == 401


# Me and sites


@pytest.mark.parametrize("role", Role)
def test_me_says_who_calls_and_every_right_site_by_site(role, api):
    me = api(role, site="NIM", username="somebody").get(ME).json()

    assert (me["username"], me["token"], me["sites"]) == ("somebody", True, ["NIM"])
    assert me["roles"] == [{"role": role, "site": "NIM"}]
    assert set(me["rights"]) <= {right.value for right in Right}
    assert ("enter" in me["rights"]) is (role in (Role.COORDINATOR, Role.DATA_MANAGER))


def test_sites_are_those_that_may_be_read(api):
    assert api(site="NIM").get("/api/v1/sites/").json() == [{"code": "NIM", "name": "Nîmes"}]
    everywhere = api(Role.MONITOR, site=None).get("/api/v1/sites/").json()
    assert [site["code"] for site in everywhere] == ["MTP", "NIM", "STR"]


# What comes in


@pytest.mark.parametrize(
    "content",
    [
        b"   ",
        b"{",
        b"{} {}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"sex": NaN}',
        b'{"sex": Infinity}',
        b'{"sex": -Infinity}',
        b'{"sex": 1e9999999999999999999}',
        b'{"sex": -1e-9999999999999999999}',
        b'{"sex": ' + b"9" * 5_000 + b"}",
        b'{"sex": "M", "sex": "F"}',
        b'{"missing": {"race": "UNK", "race": "NASK"}}',
        b'{"sex": "\xff"}',
        b'{"sex": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"sex": "M"}',
        '{"sex": "M"}'.encode("utf-16"),
        '{"sex": "M"}'.encode("utf-32"),
        b'{"\\ud800": "M"}',
        b'{"missing": {"\\ud800": "UNK"}}',
        b'{"sex": "\x00"}',
        b'{"sex": "\n"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_a_body_that_is_not_strict_json_is_refused(content, api, count):
    response = api().send("POST", PATIENTS, content)

    assert response.status_code == 400
    assert codes(response) in ([(None, "not_json")], [("a", "unknown_field")])
    assert patients(count) == (0, 0)


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"5", b"null", b"true", b"1.5"])
def test_a_body_that_is_no_object_is_refused(content, api):
    assert codes(api().send("POST", PATIENTS, content)) == [(None, "wrong_type")]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"sex": "\ud800"}, ("sex", "unknown_code")),
        ({"patient_notes": "a\ud800"}, ("patient_notes", "unprintable")),
        ({"patient_notes": "a\x00"}, ("patient_notes", "unprintable")),
        ({"patient_notes": "x" * 10_000_000}, ("patient_notes", "too_long")),
        ({"record_id": "MTP-\ud800"}, ("record_id", "unprintable")),
        ({"site": "\ud800"}, ("site", "unknown_site")),
        ({"site": "M\x00"}, ("site", "unknown_site")),
        ({"site": 5}, ("site", "wrong_type")),
        ({"status": "\ud800"}, ("status", "unknown_code")),
        ({"status": None}, ("status", "unknown_code")),
        ({"missing": None}, ("missing", "wrong_type")),
        ({"missing": []}, ("missing", "wrong_type")),
        ({"missing": {"race": "\ud800"}}, ("race", "unknown_missing_reason")),
        ({"missing": {"race": 5}}, ("race", "wrong_type")),
        ({"missing": {"record_id": "UNK"}}, ("record_id", "unknown_field")),
        ({"version": 1}, ("version", "read_only")),
        ({"form": "patient"}, ("form", "read_only")),
        ({"instance": 1}, ("instance", "read_only")),
        ({"locked": False}, ("locked", "read_only")),
        ({"updated_at": "2024-01-01T00:00:00Z"}, ("updated_at", "read_only")),
        ({"deleted_at": None}, ("deleted_at", "unknown_field")),
        ({"created_at": None}, ("created_at", "unknown_field")),
        ({"id": 1}, ("id", "unknown_field")),
        ({"pk": 1}, ("pk", "unknown_field")),
        ({"number": 7}, ("number", "unknown_field")),
        ({"site_id": "NIM"}, ("site_id", "unknown_field")),
        ({"__class__": "x"}, ("__class__", "unknown_field")),
        ({"": 1}, ("", "unknown_field")),
        ({"é\u202e": 1}, ("é\u202e", "unknown_field")),
    ],
)
def test_a_member_that_is_not_as_it_should_be_is_refused_with_its_name(values, found, api, count):
    response = api().send("POST", PATIENTS, body(values))

    assert response.status_code == 400
    assert found in codes(response)
    assert len(response.content) < 5_000
    assert patients(count) == (0, 0)


def test_a_name_too_long_to_be_one_is_not_told_back_in_full(api):
    response = api().send("POST", PATIENTS, body({"x" * 1_000_000: 1}))

    assert response.status_code == 400
    assert len(response.content) < 5_000


@pytest.mark.parametrize(
    "text",
    [
        "\u202eright to left",
        "zero\u200bwidth",
        "e\u0301" * 100,
        "\U0001f98b",
        "\ufffe",
        "<script>",
        "' OR 1=1 --",
        "=1+1",
    ],
)
def test_strange_but_printable_text_comes_back_as_it_was_sent(text, api):
    response = api().send("POST", PATIENTS, body({"patient_notes": text}))

    assert response.status_code == 201
    assert response.json()["patient_notes"] == text


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/merge-patch+json", 415),
        ("application/xml", 415),
        ("", 415),
    ],
)
def test_only_json_is_taken(content_type, status, api):
    response = api().generic("POST", PATIENTS, json.dumps(body()), content_type=content_type)

    assert response.status_code == status
    if status == 415:
        assert problem(response)["code"] == "not_json"


def test_a_body_is_as_large_as_the_limit_and_no_larger(api, settings, count):
    content = json.dumps(body()).encode()
    settings.MAX_BODY_BYTES = len(content)
    client = api()

    refused = client.send("POST", PATIENTS, content + b" ")
    assert (refused.status_code, problem(refused)["code"]) == (413, "too_large")
    assert patients(count) == (0, 0)

    assert client.send("POST", PATIENTS, content).status_code == 201


def test_every_answer_is_json_whatever_the_client_would_like(api):
    client = api()

    for accepted in ("text/html", "application/xml", "*/*", "nonsense", ""):
        assert client.get(ME, headers={"Accept": accepted}).json()["sites"] == ["MTP"]


def test_an_address_that_does_not_exist_is_a_problem(api):
    client = api()

    for address in (
        "/api/v1/nothing/",
        "/api/v1/patients/x/",
        "/api/v1/patients/MTP-001/dosing/0/",
        "/api/v1/patients/MTP-001/dosing/32768/",
        "/api/v1/patients/MTP-001/patient/",
    ):
        response = client.get(address)
        assert (response.status_code, problem(response)["code"]) == (404, "not_found")


@pytest.mark.parametrize(("method", "address"), [("PUT", PATIENTS), ("DELETE", PATIENTS), ("POST", ME), ("TRACE", ME)])
def test_a_method_that_an_address_does_not_have_is_a_405_that_names_those_it_has(method, address, api):
    response = api().send(method, address, {})

    assert (response.status_code, problem(response)["code"]) == (405, "method_not_allowed")
    assert "GET" in response["Allow"]


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "limit=1&x=1",
        "Site=MTP",
        "site%00=MTP",
        "fields=sex",
        "ordering=sex",
        "x" * 2_000,
        "birth_date__year=1970",
        "site__code=MTP",
        "%ED%A0%80=1",
    ],
)
def test_an_unknown_parameter_is_refused(query, api):
    response = api().get(f"{PATIENTS}?{query}")

    assert response.status_code == 400
    assert problem(response)["errors"][0]["code"] == "unknown_parameter"
    assert len(response.content) < 1_000


@pytest.mark.parametrize("address", [ME, "/api/v1/sites/", f"{PATIENTS}MTP-001/"])
def test_an_address_without_parameters_takes_none(address, api):
    assert codes(api().get(f"{address}?limit=1")) == [("limit", "unknown_parameter")]


# Repeats


def post(client, key, values=None, path=PATIENTS):
    return client.send("POST", path, body(values), Idempotency_Key=key)


def test_a_repeat_with_the_same_key_gets_the_first_answer_and_saves_nothing(api, count):
    client = api()
    first = post(client, "key-1")

    again = post(client, "key-1")

    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert (again["Location"], again["ETag"]) == (first["Location"], first["ETag"])
    assert (first.headers.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert patients(count) == (1, 1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_ends_beside_keeping_the_answer_leaves_nothing_and_the_repeat_saves_once(
    moment, sites, count, monkeypatch
):
    client, keep = Api(create_token(make_person(Role.COORDINATOR, site="MTP"))[0]), repeats.keep

    def end(*answer, **beside):
        if moment == "after":
            keep(*answer, **beside)
        raise KeyboardInterrupt

    monkeypatch.setattr(repeats, "keep", end)
    with pytest.raises(KeyboardInterrupt):
        client.send("POST", PATIENTS, body(), Idempotency_Key="key-1")
    monkeypatch.setattr(repeats, "keep", keep)
    assert (count("crf_patient"), count("registry_idempotentanswer")) == (0, 0)

    first, again = (client.send("POST", PATIENTS, body(), Idempotency_Key="key-1") for _time in range(2))

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert count("crf_patient") == 1


def test_another_key_and_no_key_are_other_requests(api, count):
    client = api()

    answers = [post(client, "key-1"), post(client, "key-2"), client.send("POST", PATIENTS, body())]

    assert [answer.json()["record_id"] for answer in answers] == ["MTP-001", "MTP-002", "MTP-003"]


def test_a_token_does_not_get_the_answers_to_another_one_of_the_same_person(sites, count):
    person = make_person(Role.COORDINATOR, site="MTP")
    one, other = (Api(create_token(person)[0]) for _ in range(2))

    answers = [post(client, "key-1") for client in (one, other)]

    assert ["Idempotency-Replayed" in answer.headers for answer in answers] == [False, False]
    assert patients(count) == (2, 2)


@pytest.mark.parametrize("other", [{"sex": "F"}, {"status": "complete"}])
def test_the_same_key_with_another_body_is_a_422(other, api, count):
    client = api()
    post(client, "key-1")

    response = post(client, "key-1", other)

    assert (response.status_code, problem(response)["code"]) == (422, "idempotency_key_reused")
    assert patients(count) == (1, 1)


def test_the_same_key_with_a_body_that_is_refused_is_a_422(api, count):
    client = api()
    post(client, "key-1")

    response = client.send("POST", PATIENTS, {"values": {}, "no_such_name": 1}, Idempotency_Key="key-1")

    assert (response.status_code, problem(response)["code"]) == (422, "idempotency_key_reused")
    assert patients(count) == (1, 1)


def test_the_same_key_at_another_address_is_a_422(api):
    client = api()
    post(client, "key-1")

    assert client.send("POST", "/api/v1/entries/", body(), Idempotency_Key="key-1").status_code == 422


def test_the_key_of_one_person_is_nothing_to_another(api, count):
    post(api(), "key-1")

    response = post(api(username="other"), "key-1")

    assert (response.status_code, response.json()["record_id"]) == (201, "MTP-002")


def test_a_request_that_was_refused_is_not_kept(api, count):
    client = api()
    refused = post(client, "key-1", {"sex": "X"})
    assert refused.status_code == 400
    assert IdempotentAnswer.objects.count() == 0

    assert post(client, "key-1").status_code == 201
    assert patients(count) == (1, 1)


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "é", "a\tb"])
def test_a_key_that_is_none_is_refused(key, api, count):
    response = post(api(), key)

    assert codes(response) == [("Idempotency-Key", "invalid")]
    assert patients(count) == (0, 0)


def test_a_key_has_up_to_255_characters(api):
    assert post(api(), "a" * 255).status_code == 201


def test_a_key_on_a_change_changes_nothing_of_it(api):
    client = api()
    client.send("POST", PATIENTS, body(status="unverified"))

    for version in (1, 2):
        changes = {"race": "ASIAN" if version == 1 else "WHITE"}
        response = client.send(
            "PATCH", f"{PATIENTS}MTP-001/", changes, If_Match=f'"{version}"', Idempotency_Key="key-1"
        )
        assert (response.status_code, response.json()["version"]) == (200, version + 1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_repeats_at_the_same_instant_are_saved_once_and_all_get_that_answer(sites, count):
    """Negative test 12; after a crash: tests/faults."""
    token, _row = create_token(make_person(Role.COORDINATOR, site="MTP"))

    answers = at_once(*[lambda: post(Api(token), "key-1")] * 4)

    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in answers) == ["", "true", "true", "true"]
    assert patients(count) == (1, 1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_repeat_at_the_same_instant_as_a_refused_one_is_refused_by_itself(sites, count):
    token, _row = create_token(make_person(Role.COORDINATOR, site="MTP"))

    answers = at_once(*[lambda: post(Api(token), "key-1", {"sex": "X"})] * 3)

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert patients(count) == (0, 0)


# The reason for a change


def reason_kept(api, reason):
    """Change a complete patient with a reason; return the answer and the reason in the history."""
    api.send("POST", PATIENTS, body())
    response = api.send("PATCH", f"{PATIENTS}MTP-001/", {"race": "ASIAN"}, If_Match='"1"', X_Change_Reason=reason)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_context->>'reason' FROM crf_patienthistory ORDER BY pgh_id DESC LIMIT 1")
        return response, cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("typing error", "typing error"),
        ("  typing error ", "typing error"),
        ("Tippfehler: größer", "Tippfehler: größer"),
        ("Nîmes \u2013 erreur".encode().decode("latin-1"), "Nîmes \u2013 erreur"),
        ("x" * 1_000, "x" * 1_000),
    ],
)
def test_the_reason_for_a_change_is_kept_with_it(sent, kept, api):
    response, found = reason_kept(api(), sent)

    assert (response.status_code, found) == (200, kept)


@pytest.mark.parametrize(("sent", "code"), [("", "reason_needed"), ("   ", "reason_needed"), ("x" * 1_001, "too_long")])
def test_a_reason_that_is_none_or_too_long_is_refused(sent, code, api):
    response, found = reason_kept(api(), sent)

    assert (response.status_code, codes(response), found) == (400, [("X-Change-Reason", code)], None)


@pytest.mark.parametrize("sent", ["a\x00b", "a\x01b", "a\x7fb"])
def test_a_reason_with_control_characters_is_refused(sent, api):
    response, _found = reason_kept(api(), sent)

    assert (response.status_code, codes(response)) == (400, [("X-Change-Reason", "unprintable")])
