import pytest

from crf.filters import parse_filter
from crf.models.report import Report
from crf.reports import MAX_TITLE, filter_of, variables_of
from registry.rights import Role
from tests.registry.test_api import problem

pytestmark = pytest.mark.django_db

REPORTS = "/api/v1/reports/"
SERIOUS = {
    "name": "serious_events",
    "title": "Serious events",
    "forms": ["adverse_event"],
    "variables": ["ae_term", "ae_grade"],
    "filter": "[ae_serious] = '1'",
}


@pytest.fixture
def author(api):
    return api(Role.MONITOR, site="MTP", username="author")


@pytest.fixture
def report(author):
    """The address of a saved report."""
    return author.send("post", REPORTS, SERIOUS).headers["Location"]


def errors(response):
    return [(error["field"], error["code"]) for error in problem(response)["errors"]]


def test_a_saved_report_is_at_its_address(author):
    response = author.send("post", REPORTS, SERIOUS)

    saved = Report.objects.get()
    assert response.status_code == 201
    assert response.headers["Location"] == f"{REPORTS}{saved.pk}/"
    told = {"made_by": "author", "made_at": saved.made_at.isoformat().replace("+00:00", "Z")}
    assert response.json() == {"id": saved.pk, **SERIOUS, **told}
    assert author.get(response.headers["Location"]).json() == response.json()


def test_what_is_left_out_means_all(author):
    answer = author.send("post", REPORTS, {"name": "all", "title": "All", "filter": " ", "forms": None}).json()

    assert (answer["forms"], answer["variables"], answer["filter"]) == ([], [], None)


@pytest.mark.parametrize("role", list(Role))
def test_everybody_who_may_read_finds_every_report(role, api, report):
    reader = api(role, site="NIM", username="reader")

    assert [found["name"] for found in reader.get(REPORTS).json()["results"]] == ["serious_events"]
    assert reader.get(report).status_code == 200


def test_who_may_not_read_finds_and_saves_none(api, report):
    nobody = api(None, username="nobody")

    assert [nobody.get(REPORTS).status_code, nobody.get(report).status_code] == [403, 403]
    assert nobody.send("post", REPORTS, {**SERIOUS, "name": "other"}).status_code == 403
    assert nobody.delete(report).status_code == 403


@pytest.mark.parametrize(
    ("role", "site", "status"),
    [
        (Role.COORDINATOR, "MTP", 403),
        (Role.INVESTIGATOR, None, 403),
        (Role.MONITOR, "MTP", 403),
        (Role.DATA_MANAGER, "NIM", 204),
        (Role.DATA_MANAGER, None, 204),
    ],
)
def test_somebody_elses_report_is_deleted_by_data_managers_only(role, site, status, api, report):
    response = api(role, site=site, username="other").delete(report)

    assert response.status_code == status
    assert Report.objects.exists() is (status == 403)


def test_who_made_a_report_may_delete_it_and_the_history_stays(author, report):
    assert author.delete(report).status_code == 204

    assert author.get(report).status_code == 404
    history = Report.pgh_event_model.objects.order_by("pgh_id")
    assert [(row.pgh_label, row.pgh_context["username"]) for row in history] == [
        ("insert", "author"),
        ("delete", "author"),
    ]


def test_a_name_is_given_once(author, report):
    response = author.send("post", REPORTS, SERIOUS)

    assert (response.status_code, errors(response)) == (409, [("name", "report_exists")])
    assert Report.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": None}, [("name", "required")]),
        ({"title": None, "name": None}, [("name", "required"), ("title", "required")]),
        ({"name": 1}, [("name", "wrong_type")]),
        ({"forms": "adverse_event"}, [("forms", "wrong_type")]),
        ({"variables": [1]}, [("variables", "wrong_type")]),
        ({"filter": 1}, [("filter", "wrong_type")]),
        ({"colour": "red"}, [("colour", "unknown_field")]),
        ({"name": "Serious"}, [("name", "not_a_name")]),
        ({"name": "a" * 51}, [("name", "not_a_name")]),
        ({"title": " "}, [("title", "blank")]),
        ({"title": "a" * (MAX_TITLE + 1)}, [("title", "too_long")]),
        ({"title": "a\x00"}, [("title", "unprintable")]),
        ({"forms": ["events"], "variables": []}, [("forms", "unknown_form")]),
        ({"forms": ["adverse_event"] * 2}, [("forms", "repeated_code")]),
        ({"variables": ["nope"]}, [("variables", "unknown_variable")]),
        ({"variables": ["dose_mg"]}, [("variables", "unknown_variable")]),
        ({"variables": ["ae_term"] * 2}, [("variables", "repeated_code")]),
        ({"filter": "[nope] = 1"}, [("filter", "unknown_variable")]),
        ({"filter": "[record_id] = 'MTP-001'"}, [("filter", "identifies_a_patient")]),
        ({"filter": "[birth_date] > '1950-01-01'"}, [("filter", "identifies_a_patient")]),
        ({"filter": "[ae_serious]", "name": ""}, [("name", "not_a_name"), ("filter", "not_a_condition")]),
    ],
)
def test_what_is_no_report_is_refused_and_not_saved(author, changes, expected):
    response = author.send("post", REPORTS, {**SERIOUS, **changes})

    assert (response.status_code, errors(response)) == (400, expected)
    assert not Report.objects.exists()


def test_how_far_apart_two_dates_are_tells_nobody_who_it_is(author):
    apart = "datediff([birth_date], [last_contact_date], 'y') > 50"

    assert author.send("post", REPORTS, {**SERIOUS, "forms": [], "filter": apart}).status_code == 201


def test_names_and_titles_go_up_to_their_limits(author):
    response = author.send("post", REPORTS, {"name": "a" * 50, "title": "b" * MAX_TITLE})

    assert response.status_code == 201


def test_the_list_costs_the_same_with_one_report_and_with_three(author, django_assert_num_queries):
    for number in range(3):
        author.send("post", REPORTS, {**SERIOUS, "name": f"report_{number}"})
        if number in (0, 2):
            with django_assert_num_queries(3):
                assert len(author.get(REPORTS).json()["results"]) == number + 1


def test_a_report_knows_its_variables_by_form_in_the_order_of_the_dictionary():
    found = variables_of(Report(forms=["adverse_event", "dosing"], variables=["ae_grade", "ae_term", "gone"]))

    assert found == {"adverse_event": ("ae_term", "ae_grade")}
    assert list(variables_of(Report(forms=["dosing", "patient"]))) == ["patient", "dosing"]


def test_a_report_without_a_filter_leaves_nothing_out():
    assert filter_of(Report(filter="")) is None
    assert filter_of(Report(filter="true")) == parse_filter("true")
