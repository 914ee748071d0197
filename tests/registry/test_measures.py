"""What Prometheus reads: only with the token, and with labels that no request and no patient can put a word into."""

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import get_resolver
from prometheus_client.parser import text_string_to_metric_families

from crf.forms import forms_by_name
from exports.models import Kind, State
from registry.acting import Door
from registry.logs import NO_ROUTE
from registry.measures import METHODS, STATES_OF_CONNECTIONS
from tests.crf.examples import body

TOKEN = "0123456789abcdef0123456789abcdef"
BUCKETS = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"}


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = TOKEN
    return TOKEN


def samples(token=TOKEN):
    """Return what Prometheus reads, as (name, labels, value)."""
    response = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    ]


def value(name, **labels):
    return sum(found for said, of, found in samples() if said == name and of == labels)


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"bearer{TOKEN}", TOKEN, "Bearer \u00e9"]
)
def test_without_the_token_there_is_nothing(db, token, given):
    assert Client().get("/metrics", headers={"Authorization": given} if given else {}).status_code == 404


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer None", f"Bearer {TOKEN}"])
def test_where_no_token_is_set_nobody_gets_in_from_loopback_neither(db, settings, given):
    settings.METRICS_TOKEN = None

    assert Client().get("/metrics", headers={"Authorization": given}).status_code == 404


def test_a_request_is_counted_by_method_route_and_status(db, token):
    before = value("ecrf_requests_total", method="GET", route="healthz", status="200")

    Client().get("/healthz")

    assert value("ecrf_requests_total", method="GET", route="healthz", status="200") == before + 1
    assert value("ecrf_request_seconds_count", route="healthz") >= 1


@pytest.mark.parametrize("created", [1, 3])
def test_saved_entries_are_counted_by_form_and_door_once_they_are_committed(
    api, token, django_capture_on_commit_callbacks, created
):
    before = value("ecrf_entries_saved_total", form="patient", door="rest")
    client = api()

    with django_capture_on_commit_callbacks(execute=True):
        entries = [
            {"form": "patient", "record_id": f"MTP-00{number}", "values": {}} for number in range(1, created + 1)
        ]
        response = client.send("post", "/api/v1/entries/", {"entries": entries})

    assert response.status_code < 300
    assert value("ecrf_entries_saved_total", form="patient", door="rest") == before + created


def test_a_refused_entry_is_not_counted(api, token, django_capture_on_commit_callbacks):
    before = value("ecrf_entries_saved_total", form="patient", door="rest")
    client = api()

    with django_capture_on_commit_callbacks(execute=True):
        response = client.send("post", "/api/v1/patients/", body({"sex": "X"}, record_id="MTP-001"))

    assert response.status_code == 400
    assert value("ecrf_entries_saved_total", form="patient", door="rest") == before


def route_names(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from route_names(pattern, prefix + (f"{pattern.namespace}:" if pattern.namespace else ""))
        else:
            yield prefix + (pattern.name or pattern.lookup_str)


def test_every_label_comes_from_a_closed_set(api, token, django_capture_on_commit_callbacks):
    closed = {
        "method": {*METHODS, "other"},
        # Another test of the same process has addresses of its own.
        "route": {
            *route_names(get_resolver()),
            *route_names(get_resolver("tests.registry.test_error_pages")),
            NO_ROUTE,
        },
        "status": {str(status) for status in range(100, 600)},
        "form": set(forms_by_name()),
        "door": {*(door.value for door in Door), "other"},
        "kind": set(Kind.values),
        "state": {*State.values, *STATES_OF_CONNECTIONS, "other"},
        "le": BUCKETS,
    }
    client = api()
    with django_capture_on_commit_callbacks(execute=True):
        client.send("post", "/api/v1/patients/", body(record_id="MTP-001"))
    for path in ("/api/v1/patients/MTP-001/", "/api/v1/patients/MTP-001/nothing/", "/MTP-001?MTP-001=1"):
        client.get(path)
    client.generic("MTP-001", "/api/v1/patients/")

    labels = {(label, said) for _name, of, _value in samples() for label, said in of.items()}

    assert {label for label, _said in labels} == set(closed)
    assert [(label, said) for label, said in sorted(labels) if said not in closed[label]] == []


def test_a_database_that_is_down_does_not_hide_the_counters(db, token, monkeypatch):
    monkeypatch.setattr("registry.measures._rows", _is_down)

    names = {name for name, _labels, _value in samples()}

    assert "ecrf_requests_total" in names
    assert "ecrf_database_connections" not in names


def _is_down(_sql):

    raise OperationalError
