"""What every answer tells the browser, over the whole route table (negative test 35)."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from registry.rights import Role
from tests.conftest import make_person

# What stands in an address where a route has a variable part.
EXAMPLES = {
    "record_id": "MTP-001",
    "form": "dosing",
    "instance": "1",
    "job_id": "0b7c6f1e-0000-4000-8000-000000000001",
    "code": "MTP",
    "name": "lesion_photo_0123456789abcdef.jpg",
    "pk": "1",
    "uidb36": "1",
    "key": "abc-123",
    "provider_id": "oidc",
}
# A GET that writes by its nature: codes that are shown once are noted as shown.
SHOWN_ONCE = "mfa_authenticator"


def routes() -> Iterator[tuple[str, URLPattern]]:
    """Return an example address of each route, and the route."""

    def walk(patterns, prefix: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in patterns:
            text = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, text)
            else:
                yield "/" + example(text), pattern

    yield from walk(get_resolver().url_patterns, "")


def example(route: str) -> str:
    route = re.sub(r"<(?:\w+:)?(\w+)>", lambda part: EXAMPLES.get(part[1], "1"), route.lstrip("^").rstrip("$"))
    return re.sub(r"\(\?P(\w+)[^)]*\)", lambda part: EXAMPLES.get(part[1], "1"), route)


def is_page(pattern: URLPattern) -> bool:
    return not issubclass(getattr(pattern.callback, "cls", object), APIView)


PATHS = sorted({path for path, _pattern in routes()})
PAGES = sorted({path for path, pattern in routes() if is_page(pattern)})


@pytest.fixture
def data_manager(sites, settings):
    settings.REQUIRE_TOTP = "nobody"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    person = make_person(Role.DATA_MANAGER, username="datamanager")
    person.set_password("a long password")
    person.save()
    return person


def test_the_routes_are_found():
    assert "/sign-in/" in PAGES
    assert "/api/v1/patients/MTP-001/" in PATHS
    assert "/api/v1/me/" not in PAGES


@pytest.mark.slow
@pytest.mark.parametrize("path", [*PATHS, "/no/such/page/", "/api/no/such/call/"])
def test_every_answer_carries_the_headers(path, data_manager):
    client = Client()
    client.force_login(data_manager)

    for answer in (Client().get(path), client.get(path)):
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer["Permissions-Policy"]
        assert answer["Cache-Control"] == "no-store"
        assert {name: answer[name] for name in FIXED} == FIXED
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def test_static_files_carry_them_too_but_may_be_kept(db):
    answer = Client().get("/static/registry/base.css")
    answer.close()

    assert answer.status_code == 200
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in answer["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_other_sites_are_told_nothing_by_a_preflight(origin, db):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    answer = Client(headers=asked).options("/api/v1/patients/")

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


# REDCap's clients show a token, never a session, so that nobody's browser can be made to call it.
@pytest.mark.parametrize("path", [path for path in PAGES if not path.startswith("/redcap/")])
def test_a_page_that_takes_a_form_wants_it_from_a_page_of_ours(path, data_manager):
    client = Client(enforce_csrf_checks=True)
    client.force_login(data_manager)

    answer = client.post(path)

    assert answer.status_code == 403
    assert "The page was open for too long, or the form came from another site." in answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_looking_at_a_page_writes_nothing(path, data_manager):
    client = Client()
    client.force_login(data_manager)
    written = []

    def watch(execute, sql, params, many, context):
        if re.match(r"\s*(INSERT|UPDATE|DELETE)", sql) and not re.search(
            f"django_session|{SHOWN_ONCE}|cacheentry", sql
        ):
            written.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        client.get(path)

    assert written == []


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_script_or_a_style_of_its_own(path, data_manager):
    client = Client()
    client.force_login(data_manager)

    for answer in (Client().get(path), client.get(path)):
        assert not re.search(r"<style|<script(?! src=)|\sstyle=|\son\w+=|javascript:", answer.content.decode())


def test_the_issuer_of_openid_connect_may_be_reached_by_the_sign_in_form(settings, db):
    settings.OIDC_ISSUER = "https://login.example.org/realms/one"

    answer = Client().get("/no/such/page/")

    assert "form-action 'self' https://login.example.org;" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/accounts/signup/", "/accounts/login/"])
def test_neither_an_admin_nor_a_way_to_sign_up_is_there(path, db):
    assert Client().get(path).status_code == 404
