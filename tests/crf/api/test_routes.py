"""Every address and method: walked from the route table, so that a new one cannot be forgotten."""

import re
from io import BytesIO
from uuid import uuid4
from zipfile import ZipFile

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from crf.forms import forms_by_name
from exports import jobs
from exports.cuts import Cut, Privacy
from exports.models import Job, Kind, State
from exports.recompute import recompute_stale
from registry.callers import create_token
from registry.models import Person
from registry.rights import Role
from tests.conftest import Api, seeing
from tests.crf.examples import COMPLETE, REPEATING, saved
from tests.crf.photographs import stored
from tests.registry.test_api import problem

ARGUMENTS = {"record_id": "NIM-001", "instance": 1, "job_id": uuid4(), "code": "NIM", "username": "nobody.all"}
ARGUMENTS |= {"membership_id": 10**9, "token_id": 10**9, "query_id": 10**9, "lock_id": 10**9}
ARGUMENTS |= {"report_id": 10**9, "import_id": 10**9, "name": "lesion_photo_0123456789abcdef.jpg"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
BESIDE = {"If_Match": '"1"', "X_Change_Reason": "r", "X_Request_ID": "the-same-of-both"}


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
    expected |= {f"{form}-{kind}" for form in REPEATING for kind in ("instances", "instance", "restore")}
    expected |= {f"{form}-pooled" for form in COMPLETE} | {"patient-restore", "deleted"}

    assert expected <= ROUTES.keys()
    assert all(address(name).startswith("/api/v1/") for name in ROUTES)
    of_a_patient = [f"{form}-{kind}" for form in REPEATING for kind in ("instances", "instance", "restore")]
    of_a_file = [f"lesion_assessment-lesion_photo{kind}" for kind in ("", "-stored", "-one")]
    assert sorted(["patient", "patient-restore", *of_a_patient, *of_a_file]) == sorted(OF_A_PATIENT)


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
        caller.send(method, address(name, record_id=record_id), {**COMPLETE[form]}, **BESIDE)
        for record_id in ("NIM-001", "NIM-002")
    ]

    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    assert dict(foreign.headers) == dict(unknown.headers)
    assert foreign.status_code in (404, 405, 200 if method == "OPTIONS" else 404)


@pytest.fixture
def mtp(api, coordinator):
    """What there is to learn of MTP: a patient with every form, an outcome, and a job of its coordinator."""
    saved("patient", by=coordinator, record_id="MTP-001")
    for form in REPEATING:
        saved(form, by=coordinator, record_id="MTP-001")
    with seeing("MTP,NIM,STR"):
        recompute_stale()
    cut = Cut(forms=("patient",), sites=("MTP",), privacy=Privacy.FULL)
    job = jobs.enqueue(Kind.EXPORT, parameters=cut.parameters(), by=coordinator, sites=cut.sites, doorbell=False)
    return {**ARGUMENTS, "record_id": "MTP-001", "instance": 1, "job_id": job.pk}


OF_MTP = {"record_id": "MTP-002", "instance": 1, "job_id": uuid4()}
UNKNOWN = {**ARGUMENTS, **OF_MTP}


OF_EACH_CALL = {
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"): "A JOB",
    re.compile(r'"(hint|token)":"[0-9A-F]+"|"id":\d+|/tokens/\d+/'): "A TOKEN",
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"): "A TIME",
    re.compile(r"NIM-\d{3}"): "A PATIENT OF NIM",
    re.compile(r"MTP-00[12]"): "A PATIENT OF MTP",
}


def tries(name, keys):
    """Yield address and body of every way to name something of MTP at one address."""
    where = reverse(name, kwargs={key: keys[key] for key in ROUTES[name]})
    record_id, form = keys["record_id"], name.split("-")[0]
    item = {"form": "adverse_event", "record_id": record_id, "values": COMPLETE["adverse_event"]}
    for query in ("", f"?record_id={record_id}", f"?record_id={record_id}&site=MTP", f"?job_id={keys['job_id']}"):
        yield where + query, {}
    yield where, COMPLETE.get(form, COMPLETE["patient"])
    yield where, {**COMPLETE.get(form, COMPLETE["patient"]), "record_id": record_id, "site": "MTP"}
    yield where, {**COMPLETE.get(form, COMPLETE["patient"]), "record_id": record_id, "site": "NIM"}
    for atomic in (True, False):
        yield where, {"entries": [item, {**item, "instance": 1}, {**item, "site": "MTP"}], "atomic": atomic}


@pytest.mark.parametrize("name", ROUTES)
def test_a_coordinator_of_another_site_learns_nothing_not_even_that_it_exists(name, api, mtp):
    """Byte for byte the answers of what is not there, at every address, however it is named. Negative tests 1, 3, 5."""
    stranger = api(site="NIM", username="stranger")

    for method in METHODS:
        with transaction.atomic():  # each method meets the same data
            for (there, content), (nowhere, other) in zip(tries(name, mtp), tries(name, UNKNOWN), strict=True):
                found = stranger.send(method, there, content, **BESIDE)
                expected = stranger.send(method, nowhere, other, **BESIDE)
                assert (found.status_code, whole(found)) == (expected.status_code, whole(expected)), (method, there)
            assert is_as_it_was(mtp)
            transaction.set_rollback(True)


def whole(response):
    """Return headers and body of an answer as one text, without what each new thing of NIM has to itself.

    The two record ids and the two job ids that are compared are of one length.
    """
    content = b"".join(response.streaming_content) if response.streaming else response.content
    text = "\n".join([*(f"{name}: {value}" for name, value in sorted(response.headers.items())), text_of(content)])
    for pattern, word in OF_EACH_CALL.items():
        text = pattern.sub(word, text)
    return text


def text_of(content):
    """Return the bytes of an answer as text; those of a workbook part by part."""
    if not content.startswith(b"PK"):
        return content.decode()
    with ZipFile(BytesIO(content)) as workbook:
        return "\n".join(f"{name}\n{workbook.read(name).decode()}" for name in workbook.namelist())


def is_as_it_was(mtp):
    """Return whether everything of MTP is as it was."""
    with seeing("MTP,NIM,STR"):
        forms = [forms_by_name()[name].objects.get(site_id="MTP") for name in COMPLETE]
        job = Job.objects.get(pk=mtp["job_id"])
    return all(entry.version == 1 and entry.deleted_at is None for entry in forms) and job.state == State.WAITING


@pytest.mark.parametrize("name", [name for name, arguments in ROUTES.items() if set(arguments) & set(OF_MTP)])
def test_who_may_see_it_finds_it_at_the_same_address(name, api, mtp, coordinator):
    """What the test before hides is there to be found."""
    if "lesion_photo" in name:
        entry = stored(record_id="MTP-001", by=coordinator, reason="found in the chart")
        mtp = {**mtp, "name": entry.values["lesion_photo"]}
    owner = Api(create_token(Person.objects.get(username="coordinator.mtp"))[0])
    there, nowhere = (reverse(name, kwargs={key: keys[key] for key in ROUTES[name]}) for keys in (mtp, UNKNOWN))

    method = "POST" if name.endswith("-restore") else "GET"
    found, missed = (owner.send(method, where, {}, **BESIDE).status_code for where in (there, nowhere))

    assert found != missed or name == "recomputation"


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
