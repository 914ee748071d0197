"""Every address and method: walked from the route table, so that a new one cannot be forgotten."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from registry.rights import Role
from tests.crf.examples import COMPLETE, REPEATING, saved
from tests.registry.test_api import problem

ARGUMENTS = {"record_id": "NIM-001", "instance": 1, "job_id": uuid4(), "code": "NIM", "username": "nobody.all"}
ARGUMENTS |= {"membership_id": 10**9, "token_id": 10**9, "report_id": 10**9}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def routes(patterns, prefix=""):
    """Yield name and converters of every address under api/v1/."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if not isinstance(pattern, URLPattern):
            yield from routes(pattern.url_patterns, route)
        elif route.startswith("api/v1/"):
            yield pattern.name, list(pattern.pattern.converters)


ROUTES = dict(routes(get_resolver().url_patterns))
OF_A_PATIENT = [name for name, arguments in ROUTES.items() if "record_id" in arguments]


def address(name, **arguments):
    """Return the address of a route."""
    return reverse(name, kwargs={key: {**ARGUMENTS, **arguments}[key] for key in ROUTES[name]})


def test_the_routes_are_those_of_the_design():
    expected = {"me", "sites", "dictionary", "patients", "patient", "entries", "reports", "report"}
    expected |= {f"{form}-{kind}" for form in REPEATING for kind in ("instances", "instance")}
    expected |= {f"{form}-pooled" for form in COMPLETE}

    assert expected <= ROUTES.keys()
    assert all(address(name).startswith("/api/v1/") for name in ROUTES)
    assert ["patient", *(f"{form}-{kind}" for form in REPEATING for kind in ("instances", "instance"))] == OF_A_PATIENT


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ROUTES)
def test_without_a_token_every_address_and_method_is_a_401(name, method, sites):
    response = Client().generic(method, address(name), b"{}", content_type="application/json")

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OF_A_PATIENT)
@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.DATA_MANAGER, Role.MONITOR])
def test_a_patient_of_another_site_is_answered_byte_for_byte_like_one_that_does_not_exist(
    role, name, method, api, data_manager
):
    form = name.split("-")[0]
    saved("patient", by=data_manager, site="NIM")
    if form != "patient":
        saved(form, by=data_manager, record_id="NIM-001")
    caller = api(role, site="MTP", username="caller")

    foreign, unknown = [
        caller.send(method, address(name, record_id=record_id), {**COMPLETE[form]}, If_Match='"1"', X_Change_Reason="r")
        for record_id in ("NIM-001", "NIM-002")
    ]

    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    assert dict(foreign.headers) == dict(unknown.headers)
    assert foreign.status_code in (404, 405, 200 if method == "OPTIONS" else 404)


@pytest.mark.parametrize(
    "name", [name for name in ROUTES if name not in OF_A_PATIENT and "pooled" in name] + ["patients"]
)
def test_a_list_shows_nothing_of_another_site(name, api, data_manager):
    form = name.split("-")[0].replace("patients", "patient")
    saved("patient", by=data_manager, site="NIM")
    if form != "patient":
        saved(form, by=data_manager, record_id="NIM-001")

    assert len(api(site="NIM").get(address(name)).json()["results"]) == 1
    for query in ("", "?site=NIM", "?record_id=NIM-001"):
        found = api(site="MTP", username=f"caller{query}").get(f"{address(name)}{query}")
        assert found.json() == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize("name", ROUTES)
def test_every_address_refuses_an_unknown_parameter(name, api, data_manager):
    saved("patient", by=data_manager, site="NIM")

    response = api(Role.DATA_MANAGER, site=None, username="caller").get(f"{address(name)}?no_such_parameter=1")

    assert response.status_code in (400, 405)
    if response.status_code == 400:
        assert problem(response)["errors"][0]["code"] == "unknown_parameter"


@pytest.mark.parametrize("name", ROUTES)
def test_reading_never_writes(name, api, data_manager, django_assert_max_num_queries):
    saved("patient", by=data_manager, site="NIM")
    client = api(Role.DATA_MANAGER, site=None, username="caller")
    client.get("/api/v1/me/")  # the first use of a token is noted

    with django_assert_max_num_queries(20) as queries:
        client.get(address(name))

    assert [
        query["sql"] for query in queries if query["sql"].lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
    ] == []
