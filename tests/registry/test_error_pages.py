"""What people and programs see when something goes wrong (negative test 40)."""

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import path

from registry import urls as real
from registry.error_pages import server_error
from tests.conftest import make_person

SECRET = "Rosalind-1920"


def fail(request):
    raise ZeroDivisionError(SECRET)


def stop(request):
    raise OperationalError(SECRET)


def forbid(request):
    raise PermissionDenied(SECRET)


def suspect(request):
    raise SuspiciousOperation(SECRET)


urlpatterns = [
    *real.urlpatterns,
    *(path(f"{where}{view.__name__}/", view) for where in ("", "api/") for view in (fail, stop, forbid, suspect)),
]
handler400, handler403, handler404, handler500 = real.handler400, real.handler403, real.handler404, real.handler500


@pytest.fixture
def client(sites, settings):
    settings.ROOT_URLCONF = __name__
    client = Client(raise_request_exception=False)
    client.force_login(make_person(username="somebody"))
    return client


@pytest.mark.parametrize(
    ("address", "status", "title"),
    [
        ("suspect/", 400, "The request is not valid"),
        ("forbid/", 403, "You may not do this"),
        (f"{SECRET}/", 404, "There is nothing here that you may see"),
        ("fail/", 500, "Something failed on our side"),
        ("stop/", 503, "This cannot be done at the moment"),
    ],
)
def test_an_error_has_a_page_for_people_and_a_problem_for_programs_without_data(address, status, title, client):
    page, problem = client.get(f"/{address}"), client.get(f"/api/{address}")

    assert (page.status_code, problem.status_code) == (status, status)
    assert f'<h1 id="title">{title}</h1>' in page.content.decode()
    assert (problem["Content-Type"], problem.json()["title"]) == ("application/problem+json", title)
    for answer in (page, problem):
        assert SECRET not in answer.content.decode()
        assert "Traceback" not in answer.content.decode()


def test_a_host_that_is_not_ours_is_refused(db):
    answer = Client(headers={"Host": "evil.example"}).get("/sign-in/")

    assert answer.status_code == 400
    assert "evil.example" not in answer.content.decode()


@pytest.mark.slow
def test_who_calls_the_sign_in_page_too_often_is_asked_to_wait(db):
    answers = [Client().post("/sign-in/", {"login": f"name{number}"}) for number in range(31)]

    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    assert "That was too often." in answers[-1].content.decode()


def test_the_page_of_a_failure_needs_no_database():
    assert server_error(RequestFactory().get("/")).status_code == 500
