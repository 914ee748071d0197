"""The OpenAPI document describes every route, and the answers are as it says."""

import json
from http import HTTPStatus

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from crf.forms import all_forms, forms_by_name
from tests.crf.api.test_routes import ARGUMENTS, METHODS, ROUTES, address
from tests.crf.examples import COMPLETE, REPEATING, body, saved


@pytest.fixture(scope="module")
def document():
    """The OpenAPI document, as it is served."""
    return json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))


@pytest.mark.slow
def test_the_document_is_valid(document):
    validate_schema(document)

    assert document["openapi"].startswith("3.1")


def test_the_document_and_its_page_are_served_to_everybody(client, sites):
    schema = client.get("/api/schema/")
    page = client.get("/api/docs/")

    assert (schema.status_code, page.status_code) == (200, 200)
    assert schema["Content-Type"] == "application/vnd.oai.openapi+json"
    assert schema.json()["info"]["title"] == "eCRF"
    assert b"/static/drf_spectacular_sidecar/" in page.content
    assert b"https://cdn" not in page.content


def operations(document):
    """Return every operation by method and address."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method.upper() in METHODS
    }


def test_every_route_is_described(document):
    def shape(path):
        return tuple("{}" if "{" in part or part in map(str, ARGUMENTS.values()) else part for part in path.split("/"))

    assert {shape(path) for path in document["paths"]} >= {shape(address(name)) for name in ROUTES}


def test_every_operation_has_a_name_a_summary_and_its_problems(document):
    described = operations(document)
    names = [operation["operationId"] for operation in described.values()]

    assert len(names) == len(set(names))
    for (method, path), operation in described.items():
        assert operation.get("summary"), (method, path)
        assert operation["security"], (method, path)
        assert "401" in operation["responses"], (method, path)
        for status, response in operation["responses"].items():
            HTTPStatus(int(status))
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)


@pytest.mark.parametrize("form", COMPLETE)
def test_every_variable_is_in_the_schema_of_its_form(form, document):
    schemas = document["components"]["schemas"]
    name = forms_by_name()[form].__name__
    variables = forms_by_name()[form].variables().keys()

    for schema in (name, f"{name}WithWarnings", f"New{name}"):
        if schema in schemas:
            assert variables <= schemas[schema]["properties"].keys()
    assert variables - {"record_id"} <= schemas[f"Changed{name}"]["properties"].keys()


@pytest.mark.parametrize("form", COMPLETE)
def test_every_filter_of_a_list_is_a_parameter(form, document):
    described = {parameter["name"] for parameter in document["paths"][f"/api/v1/forms/{form}/"]["get"]["parameters"]}

    beside = {"cursor", "limit", "site", "record_id", "status", "updated_since"}
    variables = {f"{name}__blank" for name in forms_by_name()[form].variables() if name != "record_id"}
    assert beside | variables <= described


@pytest.fixture
def valid(document):
    """Check an answer against the schema that the document gives for it."""

    def check(response, method, path):
        described = document["paths"][path][method]["responses"][str(response.status_code)]
        (schema,) = [content["schema"] for content in described["content"].values()]
        Draft202012Validator({**schema, "components": document["components"]}).validate(response.json())

    return check


@pytest.mark.parametrize("form", COMPLETE)
def test_what_is_answered_is_what_is_described(form, api, coordinator, patient, valid):
    client = api(username="typist")
    of_patient = "/api/v1/patients/{record_id}/"
    many, one = (
        ("/api/v1/patients/", of_patient)
        if form == "patient"
        else (f"{of_patient}{form}/", f"{of_patient}{form}/{{instance}}/")
    )
    here = many.replace("{record_id}", "MTP-001")
    entry = "/api/v1/patients/MTP-002/" if form == "patient" else f"{here}1/"

    valid(client.send("POST", here, body({}, of=form)), "post", many)
    valid(client.send("POST", here, body({"x": 1}, of=form)), "post", many)
    valid(client.get(here), "get", many)
    valid(client.get(f"{here}?x=1"), "get", many)
    valid(client.get(entry), "get", one)
    valid(client.send("PATCH", entry, {}, If_Match='"1"'), "patch", one)
    valid(client.send("PATCH", entry, {}), "patch", one)
    valid(client.send("PATCH", entry, {"status": "incomplete"}, If_Match='"2"'), "patch", one)
    valid(client.get(f"/api/v1/forms/{form}/"), "get", f"/api/v1/forms/{form}/")


def test_the_other_answers_are_as_described_as_well(api, coordinator, patient, valid):
    client = api(username="typist")
    item = {"form": "dosing", "record_id": "MTP-001", "values": COMPLETE["dosing"]}

    for path in ("/api/v1/me/", "/api/v1/sites/", "/api/v1/dictionary/"):
        valid(client.get(path), "get", path)
    for atomic in (True, False):
        valid(
            client.send("POST", "/api/v1/entries/", {"entries": [item], "atomic": atomic}), "post", "/api/v1/entries/"
        )
    valid(client.send("POST", "/api/v1/entries/", {}), "post", "/api/v1/entries/")


@pytest.mark.parametrize("form", COMPLETE)
def test_what_is_taken_is_what_is_described(form, document, coordinator):
    schemas = document["components"]["schemas"]
    new = Draft202012Validator(
        {**schemas[f"New{forms_by_name()[form].__name__}"], "components": document["components"]}
    )

    assert new.is_valid(body({}, of=form))
    assert new.is_valid(body({"status": "complete", "missing": {}}, of=form))
    for wrong in ({"no_such_variable": 1}, {"status": "done"}, {"missing": {"x": "?"}}, {"version": 1}):
        assert not new.is_valid(body(wrong, of=form))


def test_the_schema_and_the_service_agree_on_every_code_and_limit(document):
    for form in all_forms():
        properties = document["components"]["schemas"][f"New{form.__name__}"]["properties"]
        for name, variable in form.variables().items():
            schema = Draft202012Validator({**properties[name], "components": document["components"]})
            right, wrong = [None], [{}]
            if variable.field_type in ("radio", "dropdown"):
                right, wrong = [*variable.codes, None], ["no_such_code", ""]
            elif variable.excel_kind in ("integer", "decimal") and variable.field_type == "text":
                right = [variable.minimum, variable.maximum, None]
                wrong = [variable.minimum - 1, variable.maximum + 1, "5"]
            assert all(map(schema.is_valid, right)), name
            assert not any(map(schema.is_valid, wrong)), name


def test_a_form_has_no_instance_of_itself_in_the_document_twice(document, coordinator):
    assert saved("patient", by=coordinator).record_id == "MTP-001"
    assert len([path for path in document["paths"] if path.endswith("/{instance}/")]) == len(REPEATING)
