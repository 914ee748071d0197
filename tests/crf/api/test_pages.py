"""Lists: filters of every variable of every form, cursor pages, one count of queries whatever their length."""

from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest

from crf.fields import CheckboxField, DateField, FileField, NumberField, PartialDateField, TextField
from crf.forms import all_forms, forms_by_name
from registry.rights import Role
from tests.crf.examples import COMPLETE, REPEATING, saved
from tests.registry.test_api import codes, problem

VARIABLES = [(form.form_name(), name) for form in all_forms() for name in form.variables() if name != "record_id"]
LISTS = ["patients/", *(f"forms/{form}/" for form in COMPLETE), *(f"patients/MTP-001/{form}/" for form in REPEATING)]


def form_of(path):
    """Return the form that a list is of."""
    return "patient" if path == "patients/" else path.rstrip("/").split("/")[-1]


def results(client, path, **parameters):
    """Return the rows of a list."""
    response = client.get(f"/api/v1/{path}?{urlencode(parameters)}")
    assert response.status_code == 200, response.content
    return response.json()["results"]


def refused(client, path, **parameters):
    """Return field and code with which a list is refused."""
    response = client.get(f"/api/v1/{path}?{urlencode(parameters)}")
    assert response.status_code == 400
    return codes(response)


@pytest.fixture
def client(api):
    """A coordinator of MTP."""
    return api(username="typist")


@pytest.fixture
def three(coordinator, patient):
    """Three entries of every form at MTP, of which the first patient has all but two patients."""
    for _number in range(2):
        saved("patient", by=coordinator)
    for form in REPEATING:
        for number in range(3):
            day = f"201{number}-01-01"
            changes = {"dose_start": day, "dose_end": day} if form == "dosing" else {}
            saved(form, changes, by=coordinator, record_id="MTP-001")


# Pages


@pytest.mark.parametrize("path", LISTS)
def test_a_list_shows_each_entry_as_it_reads_alone_but_without_warnings(path, client, three):
    for row in results(client, path):
        form, number = row["form"], row["instance"]
        place = f"patients/{row['record_id']}/" + ("" if form == "patient" else f"{form}/{number}/")
        alone = client.get(f"/api/v1/{place}").json()
        alone.pop("warnings")
        assert row == alone


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_lead_forwards_and_back_over_every_entry_once(path, limit, client, three):
    whole = results(client, path)
    address, seen, back = f"/api/v1/{path}?limit={limit}", [], None
    while address:
        page = client.get(address).json()
        assert len(page["results"]) <= limit
        seen += page["results"]
        address, back = page["next"], page["previous"]

    assert len(whole) == 3
    assert seen == whole
    if limit < 3:
        assert client.get(back).json()["results"][-1] == whole[-(3 % limit or limit) - 1]


def test_an_entry_that_is_added_while_a_client_reads_comes_once_at_the_end(client, three, coordinator):
    first = client.get("/api/v1/patients/?limit=2").json()

    saved("patient", by=coordinator)

    rest = client.get(first["next"]).json()["results"]
    assert [row["record_id"] for row in first["results"] + rest] == [f"MTP-00{number}" for number in range(1, 5)]


def test_filters_go_on_from_page_to_page(client, three, coordinator):
    saved("patient", {"sex": "F"}, by=coordinator)

    first = client.get("/api/v1/patients/?limit=2&sex=M").json()

    assert [row["sex"] for row in first["results"] + client.get(first["next"]).json()["results"]] == ["M"] * 3


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1.5", "x", "", "٣", "9" * 5_000, "1e2", " 1"])
def test_a_limit_is_a_number_from_1_to_1000(limit, client, three):
    assert refused(client, "patients/", limit=limit) == [("limit", "out_of_range")]


def test_a_page_has_up_to_1000_rows(client, three):
    assert len(results(client, "patients/", limit=1000)) == 3


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "cD1hYmM=",
        "cD0tMQ==",
        "bz0tMQ==",
        "bz05OTk5OTk5OTk5",
        "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
        "cD0A",
        "%00",
        "é",
        "cj0x" * 500,
        "cD0nIE9SIDE9MQ==",
    ],
)
def test_a_cursor_that_is_none_of_the_list_is_refused_or_leads_nowhere_wrong(cursor, client, three):
    response = client.get(f"/api/v1/patients/?cursor={quote(cursor, safe='%=')}")

    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert codes(response) == [("cursor", "invalid")]


@pytest.mark.parametrize("path", LISTS)
def test_the_queries_of_a_list_do_not_grow_with_its_rows(path, client, coordinator, django_assert_num_queries):
    form = form_of(path)
    saved("patient", by=coordinator)
    of_one_patient = path.startswith("patients/MTP-001")
    client.get("/api/v1/me/")  # the first use of a token is noted

    for rows in (1, 3):
        while len(results(client, path)) < rows:
            day = {"dose_start": "2010-01-01", "dose_end": "2010-01-01"} if form == "dosing" else {}
            if day and results(client, path):
                day = {
                    "dose_start": f"202{len(results(client, path))}-06-01",
                    "dose_end": f"202{len(results(client, path))}-06-01",
                }
            saved(form, day, by=coordinator, record_id=None if form == "patient" else "MTP-001")
        with django_assert_num_queries(4 if of_one_patient else 3):
            assert len(results(client, path)) == rows


# Filters beside the variables


def test_lists_are_filtered_by_site(api, data_manager, patient):
    saved("patient", by=data_manager, site="NIM")
    reader = api(Role.MONITOR, site=None)

    assert [row["record_id"] for row in results(reader, "patients/")] == ["MTP-001", "NIM-001"]
    assert [row["record_id"] for row in results(reader, "patients/", site="NIM")] == ["NIM-001"]
    assert results(reader, "patients/", site="ZZZ") == []
    assert refused(reader, "patients/", site="N\x00") == [("site", "unprintable")]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_filtered_by_record_id_and_status(path, client, three, coordinator):
    saved("patient", {"sex": None}, by=coordinator)

    complete = results(client, path, status="complete")
    assert {row["status"] for row in complete} == {"complete"}
    assert results(client, path, status="unverified") == []
    assert {row["record_id"] for row in results(client, path, record_id="MTP-001")} == {"MTP-001"}
    assert results(client, path, record_id="MTP-009") == []
    assert refused(client, path, status="2") == [("status", "unknown_code")]
    assert refused(client, path, record_id="MTP-001\x00") == [("record_id", "unprintable")]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_filtered_by_when_it_was_updated(path, client, three):
    form = forms_by_name()[form_of(path)]
    *_earlier, last = form.objects.order_by("updated_at")
    second = timedelta(seconds=1)

    assert len(results(client, path, updated_since=last.updated_at.isoformat())) >= 1
    assert len(results(client, path, updated_since=(last.updated_at - timedelta(days=1)).isoformat())) == 3
    assert results(client, path, updated_since=(last.updated_at + second).isoformat()) == []


@pytest.mark.parametrize(
    "moment",
    [
        "2024-03-12",
        "2024-03-12T09:30:00",
        "x",
        "",
        "2024-02-30T00:00:00Z",
        "2024-03-12T24:00:01Z",
        "2024-03-12T09:30:00+99:00",
        "1710235800",
        "\x00",
    ],
)
def test_a_moment_that_is_none_is_refused(moment, client):
    assert refused(client, "patients/", updated_since=moment) == [("updated_since", "not_a_time")]


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-12:00", "2024-03-31T02:30:00+01:00"]
)
def test_a_moment_far_away_is_taken(moment, client):
    assert results(client, "patients/", updated_since=moment) == []


# Filters of every variable


def example(variable):
    """Return a JSON value of a variable, the text that filters by it, and the text of another one."""
    if isinstance(variable, CheckboxField):
        first, second, *_others = variable.codes
        return [first], first, second
    if variable.field_type == "yesno":
        return True, "1", "0"
    if variable.codes:
        first, second, *_others = variable.codes
        return first, first, second
    if isinstance(variable, DateField):
        return "2012-02-06", "2012-02-06", "2012-02-07"
    if isinstance(variable, PartialDateField):
        return "2012-02", "2012-02", "2012"
    if isinstance(variable, NumberField):
        return 7, "7", "8"
    return "Some text, é", "Some text, é", "some text, é"


@pytest.fixture
def one(coordinator, patient):
    """Save one row of a form with one variable set past the service, and one row without it; return the first."""

    def make(form, name, value):
        model = forms_by_name()[form]
        rows = [patient, saved("patient", by=coordinator)] if form == "patient" else []
        for number in range(2 if form != "patient" else 0):
            day = {"dose_start": f"201{number}-01-01", "dose_end": f"201{number}-01-01"} if form == "dosing" else {}
            rows.append(saved(form, day, by=coordinator, record_id="MTP-001"))
        model.objects.update(**{name: None}, **({"dose_start": None} if name == "dose_end" else {}))
        read = model.variables()[name].read(value) if not isinstance(model.variables()[name], FileField) else value
        key = {"record_id": rows[0].record_id} if form == "patient" else {"instance": 1}
        model.objects.filter(**key).update(**{name: read})
        return [(rows[0].record_id, rows[0].instance)]

    return make


@pytest.mark.parametrize(("form", "name"), VARIABLES)
def test_every_variable_of_every_form_filters_its_list(form, name, one, client):
    variable = forms_by_name()[form].variables()[name]
    value, same, other = example(variable)
    if name in ("dose_start", "dose_end"):  # of one day, as the period is
        value, same, other = "2010-01-01", "2010-01-01", "2010-01-02"
    expected = one(form, name, value)

    def found(**parameters):
        return [(row["record_id"], row["instance"]) for row in results(client, f"forms/{form}/", **parameters)]

    if not isinstance(variable, FileField):
        assert found(**{name: same}) == expected
        assert found(**{name: other}) == []
    assert found(**{f"{name}__blank": "false"}) == expected
    assert len(found(**{f"{name}__blank": "true"})) == 1
    assert refused(client, f"forms/{form}/", **{f"{name}__blank": "1"}) == [(f"{name}__blank", "wrong_type")]


ORDERED = [
    key
    for key in VARIABLES
    if isinstance(forms_by_name()[key[0]].variables()[key[1]], NumberField | DateField | PartialDateField)
]


@pytest.mark.parametrize(("form", "name"), ORDERED)
def test_every_number_and_date_filters_from_and_up_to_a_limit(form, name, one, client):
    variable = forms_by_name()[form].variables()[name]
    value, below, at, above = "2010-01-01", "2009-12-31", "2010-01-01", "2010-01-02"
    if isinstance(variable, NumberField):
        value, below, at, above = 7, "6", "7", "8"
    expected = one(form, name, value)

    def found(comparison, text):
        rows = results(client, f"forms/{form}/", **{f"{name}__{comparison}": text})
        return [(row["record_id"], row["instance"]) for row in rows]

    assert [found("gte", text) for text in (below, at, above)] == [expected, expected, []]
    assert [found("lte", text) for text in (below, at, above)] == [[], expected, expected]


@pytest.mark.parametrize(("form", "name"), [key for key in VARIABLES if key not in ORDERED])
def test_what_has_no_order_has_no_limits(form, name, client):
    assert refused(client, f"forms/{form}/", **{f"{name}__gte": "1"}) == [(f"{name}__gte", "unknown_parameter")]


@pytest.mark.parametrize(("form", "name"), VARIABLES)
@pytest.mark.parametrize("text", ["\x00", "", "' OR 1=1 --", "9" * 400])
def test_a_filter_that_is_no_value_of_its_variable_is_refused_or_finds_nothing(form, name, text, client):
    variable = forms_by_name()[form].variables()[name]
    response = client.get(f"/api/v1/forms/{form}/?{urlencode({name: text})}")

    plain_text = isinstance(variable, TextField) and not isinstance(variable, FileField)
    if plain_text and text not in ("\x00", ""):
        assert response.json()["results"] == []
    else:
        assert response.status_code == 400
        assert problem(response)["errors"][0]["field"] == name


def test_several_filters_hold_together(client, three, coordinator):
    saved("patient", {"sex": "F", "race": "ASIAN"}, by=coordinator)
    saved("patient", {"sex": "F", "race": "WHITE"}, by=coordinator)

    assert [row["record_id"] for row in results(client, "patients/", sex="F", race="WHITE")] == ["MTP-005"]


def test_the_same_filter_twice_is_refused(client):
    response = client.get("/api/v1/patients/?sex=F&sex=M")

    assert (response.status_code, codes(response)) == (400, [("sex", "repeated_parameter")])


def test_a_post_takes_no_filters(client):
    response = client.send("POST", "/api/v1/patients/?sex=F", COMPLETE["patient"])

    assert (response.status_code, codes(response)) == (400, [("sex", "unknown_parameter")])


def test_a_head_request_is_answered_like_its_get(client, three):
    response = client.head("/api/v1/patients/?sex=M&limit=1")

    assert (response.status_code, response.content) == (200, b"")
