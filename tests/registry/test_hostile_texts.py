"""Hostile texts through every door that writes: a clear refusal, or stored and shown unchanged, and never a failure."""

import json
from urllib.parse import quote

import pytest
from django.urls import reverse

from crf.forms import forms_by_name
from crf.models.import_file import Import
from registry.models import Membership, Person
from registry.rights import Role
from tests.conftest import make_person
from tests.crf.examples import COMPLETE, REPEATING, saved
from tests.registry.test_api import problem
from tests.registry.test_route_table import CALLS, ROUTES, make_query_and_lock

TEXTS = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "svg": "<svg/onload=alert(1)>",
    "javascript": "javascript:alert(1)",
    "template": "{{ 7*7 }} ${7*7} {% debug %} #{7*7}",
    "entity": "&lt;script&gt; &#x27;",
    "formula": '=HYPERLINK("http://x","y")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3",
    "at": "@SUM(A1:A9)",
    "full-width formula": "＝1+1",  # noqa: RUF001 -- spreadsheets take it as well
    "sql": "'; DROP TABLE crf_patient; --",
    "sql or": "' OR 1=1 --",
    "backslash": "\\x00 \\' \\\\ %s %(x)s {0}",
    "path": "../../../../etc/passwd",
    "right to left": "abc\u202edcba",
    "isolate": "\u2066abc\u2069",
    "zero width": "a\u200bb\u200c\u200d\ufeff",
    "combining": "e" + "\u0301" * 50,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "not a character": "a\uffff\U0010ffff",
    "no break": "\u00a0a\u00a0",
    "digits of another script": "١٢٣",
    "nul": "a\x00b",
    "escape": "a\x1b[31mb",
    "tab": "a\tb",
    "lines": "a\r\nb\nc",
    "line separator": "a\u2028b\u2029c",
    "blank": "   ",
    "empty": "",
    "long": "x" * 300_000,
}
PEOPLE, SITES, TOKENS = "/api/v1/people/", "/api/v1/sites/", "/api/v1/tokens/"


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def manager(api):
    """The data manager of all sites."""
    return api(Role.DATA_MANAGER, site=None, username="manager")


def taken_or_refused(response, text, *members):
    """Return whether a text was taken; check that it came back unchanged, or that the refusal names a code."""
    assert response.status_code in (200, 201, 400), response.content[:300]
    assert response["X-Content-Type-Options"] == "nosniff"
    if response.status_code == 400:
        assert all(error["code"] for error in problem(response)["errors"])
        return False
    assert response["Content-Type"] == "application/json"
    assert [response.json()[member] for member in members] == [text] * len(members)
    return True


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_what_the_data_manager_writes(text, manager):
    person = make_person(username="a.name")

    added = manager.send("POST", PEOPLE, {"username": "b.name", "full_name": text})
    if taken_or_refused(added, text, "full_name"):
        assert manager.get(added["Location"]).json()["full_name"] == text
        assert Person.objects.get(username="b.name").full_name == text
    assert taken_or_refused(manager.send("POST", PEOPLE, {"username": text}), text, "username") is False
    assert taken_or_refused(manager.send("POST", PEOPLE, {"username": "c", "email": text}), text, "email") is (
        text == ""
    )
    for site in ({"code": "PAR", "name": text}, {"code": text, "name": "Paris"}):
        response = manager.send("POST", SITES, site)
        if taken_or_refused(response, text, "name"):
            assert {"code": "PAR", "name": text} in manager.get(SITES).json()
    response = manager.send("POST", TOKENS, {"name": text})
    if taken_or_refused(response, text, "name"):
        assert manager.get(response["Location"]).json()["name"] == text
    for member in ("role", "site", "starts_on", "ends_on"):
        sent = {"role": "monitor", "site": None, member: text}
        assert manager.send("POST", f"{PEOPLE}a.name/memberships/", sent).status_code == 400
    assert not Membership.objects.filter(person=person).exists()
    for member in ("site", "expires_at", "rights"):
        assert manager.send("POST", TOKENS, {member: text if member != "rights" else [text]}).status_code == 400


@pytest.mark.parametrize("form", COMPLETE)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_every_variable_of_every_form(text, form, api, data_manager):
    client = api()
    if form == "patient":
        address, alone = "/api/v1/patients/", {}
    else:
        saved("patient", by=data_manager, site="MTP")
        address, alone = f"/api/v1/patients/MTP-001/{form}/", {}
    declared = forms_by_name()[form]

    for name in declared.variables():
        response = client.send("POST", address, {**alone, name: text, "status": "incomplete"})
        if taken_or_refused(response, text):
            assert response.json()[name] == client.get(response["Location"]).json()[name]
            assert response.json()[name] in (text, [text])


def latin_1(text):
    """Return a header as a server hands it on: each byte of it one character."""
    return text.encode().decode("latin-1")


PLACES = {
    "Idempotency-Key": lambda client, text: client.send("POST", TOKENS, {}, Idempotency_Key=text),
    "X-Change-Reason": lambda client, text: client.send("POST", TOKENS, {}, X_Change_Reason=text),
    "If-Match": lambda client, text: client.send("PATCH", f"{SITES}NIM/", {"name": "x"}, If_Match=text),
    "unknown member": lambda client, text: client.send("POST", TOKENS, {text: 1}),
    "parameter": lambda client, text: client.get(TOKENS, {text: "1"}),
    "cursor": lambda client, text: client.get(PEOPLE, {"cursor": text}),
    "limit": lambda client, text: client.get(PEOPLE, {"limit": text}),
    "person": lambda client, text: client.get(TOKENS, {"person": text}),
    "filter": lambda client, text: client.get("/api/v1/patients/", {"site": text, "record_id": text}),
    "authorization": lambda client, text: client.send("GET", TOKENS, Authorization=latin_1(f"Bearer {text}")),
    "forwarded": lambda client, text: client.send("GET", TOKENS, X_Forwarded_For=latin_1(text)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_headers_and_parameters(text, place, manager, settings):
    settings.TRUSTED_PROXIES = 1

    response = PLACES[place](manager, text)

    assert response.status_code in (200, 201, 400, 401, 412, 428)
    if response.status_code >= 400:
        problem(response)


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if text and len(text) < 1000])
def test_in_addresses(text, manager):

    for place in ("people/{}/", "people/{}/memberships/", "sites/{}/", "tokens/{}/", "memberships/{}/", "patients/{}/"):
        assert manager.get(f"/api/v1/{place.format(quote(text, safe=''))}").status_code == 404


DEEP = 100_000
BODIES = {
    "nothing": b"",
    "not json": b"{",
    "a list": b"[]",
    "a text": b'"x"',
    "deep lists": b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"a": ' * DEEP + b"1" + b"}" * DEEP,
    "a name twice": b'{"name": "a", "name": "b"}',
    "a name twice inside": b'{"values": {"name": "a", "name": "b"}}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "1e400": b'{"name": 1e400}',
    "1e999999999999": b'{"name": 1e999999999999999999999}',
    "a huge integer": b'{"name": ' + b"9" * 5000 + b"}",
    "extra members": b'{"no_such_field": 1, "__proto__": {}, "constructor": null}',
    "a lone surrogate in a value": b'{"name": "\\ud800", "username": "\\udfff", "full_name": "\\ud800"}',
    "a lone surrogate in a name": b'{"\\ud800": 1}',
    "latin-1": '{"name": "é"}'.encode("latin-1"),
    "utf-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a NUL": b'{"name": "a\\u0000b", "username": "a\\u0000b", "full_name": "a\\u0000b"}',
    "10 MB": json.dumps({"name": "x" * 10_000_000}).encode(),
    "beyond the limit": b" " * 20_000_001,
}
WRITING = [(name, method) for name, method in CALLS if method in ("post", "patch")]


FIRST = {
    "verifications": {403},
    "signatures": {403},
    "import-apply": {412},
    "import-undo": {409},
    "imports": {415},
    **{f"{form}-restore": {409} for form in forms_by_name()},
}
"""What is told before the body is read: a right that data managers lack, and what is so already."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), WRITING)
def test_as_the_body_of_every_call_that_writes(name, method, manager, data_manager):

    saved("patient", by=data_manager, site="NIM")
    for form in REPEATING:
        if name in (f"{form}-instance", f"{form}-restore") or name.startswith(f"{form}-lesion_photo"):
            saved(form, by=data_manager, record_id="NIM-001")
    known = {
        "record_id": "NIM-001",
        "instance": 1,
        "code": "NIM",
        "username": "manager",
        "membership_id": Membership.objects.get(person__username="manager").pk,
    }
    if "import_id" in ROUTES[name][1]:
        brought_by = Person.objects.get(username="manager")
        known["import_id"] = Import.objects.create(site_id="NIM", file_name="f.csv", brought_by=brought_by).pk
    if {"query_id", "lock_id"} & set(ROUTES[name][1]):
        known |= make_query_and_lock(data_manager)
    address = reverse(name, kwargs={key: known[key] for key in ROUTES[name][1]})
    tag = manager.get(address).headers.get("ETag", '"1"')

    answers = {
        kind: manager.send(method, address, body, If_Match=tag, X_Change_Reason="r") for kind, body in BODIES.items()
    }

    unlike = {"beyond the limit": {413, 415}, "nothing": {415}}
    wrong = {
        kind: response.status_code
        for kind, response in answers.items()
        if response.status_code not in FIRST.get(name, {400}) | unlike.get(kind, set())
    }
    assert wrong == {}
    assert all(problem(response)["code"] for response in answers.values())
