from datetime import UTC, datetime

import pytest

from crf.forms import forms_by_name
from exports import job_files, jobs
from exports.models import Job, State
from registry.callers import create_token
from registry.models import Membership, Person, Token
from registry.rights import Role
from tests.conftest import Api, make_person

pytestmark = pytest.mark.django_db

EXPORTS = "/api/v1/exports/"
CONTENT = b"a workbook"
DIGEST = "0" * 64


def errors(response):
    """Return (field, code) of each error of a problem."""
    assert response.headers["Content-Type"] == "application/problem+json"
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def ask(client, **body):
    return client.send("post", EXPORTS, {"format": "xlsx", **body})


@pytest.fixture
def data_manager_api(api):
    return api(Role.DATA_MANAGER, site=None)


@pytest.fixture
def done(data_manager_api, export_folder, runner):
    """The address of a finished export of the data manager."""

    def deliver(work):
        work.draft.write_bytes(CONTENT)
        work.report(50, rows={"patient": {"counted": 1, "written": 1}})
        work.deliver(name="cut.xlsx", sha256=DIGEST, size=len(CONTENT))

    runner(deliver)
    response = ask(data_manager_api)
    jobs.run(response.json()["id"])
    return response.headers["Location"]


# Asking


def test_an_export_that_is_asked_for_waits_at_its_address(data_manager_api):
    response = ask(data_manager_api)

    job = Job.objects.get()
    assert response.status_code == 202
    assert response.headers["Location"] == f"{EXPORTS}{job.pk}/"
    assert response.json() == {
        "id": str(job.pk),
        "kind": "export",
        "state": "waiting",
        "progress": 0,
        "error": None,
        "error_code": None,
        "created_at": job.created_at.isoformat().replace("+00:00", "Z"),
        "started_at": None,
        "finished_at": None,
        "format": "xlsx",
        "forms": list(forms_by_name()),
        "sites": ["MTP", "NIM", "STR"],
        "privacy": "full",
        "labels": True,
        "filter": None,
        "rows": {},
        "file": None,
        "file_name": None,
        "size": None,
        "sha256": None,
    }
    assert data_manager_api.get(response.headers["Location"]).json() == response.json()


def test_what_is_asked_for_is_kept_with_the_job(data_manager_api):
    wanted = {
        "forms": ["dosing", "patient"],
        "sites": ["NIM"],
        "privacy": "limited",
        "labels": False,
        "filter": "[sex] = 'F'",
    }

    ask(data_manager_api, **wanted)

    assert Job.objects.get().parameters == {**wanted, "forms": ["patient", "dosing"]}


@pytest.mark.parametrize(
    ("role", "site", "sites", "privacy"),
    [
        (Role.COORDINATOR, "MTP", ["MTP"], "full"),
        (Role.INVESTIGATOR, "NIM", ["NIM"], "full"),
        (Role.INVESTIGATOR, None, ["MTP", "NIM", "STR"], "deidentified"),
        (Role.DATA_MANAGER, None, ["MTP", "NIM", "STR"], "full"),
    ],
)
def test_without_wishes_it_is_all_that_may_be_exported_at_the_fullest_level(api, role, site, sites, privacy):
    answer = ask(api(role, site=site)).json()

    assert (answer["sites"], answer["privacy"]) == (sites, privacy)


@pytest.mark.parametrize(
    ("role", "site", "body"),
    [
        (Role.MONITOR, None, {}),
        (Role.COORDINATOR, None, {}),
        (Role.INVESTIGATOR, None, {"privacy": "full"}),
        (Role.INVESTIGATOR, None, {"privacy": "limited", "sites": ["MTP", "NIM"]}),
        (None, None, {}),
    ],
)
def test_a_cut_beyond_the_rights_of_the_caller_is_refused_and_no_job_saved(api, role, site, body):
    response = ask(api(role, site=site), **body)

    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("format", "required")]),
        ({"format": "csv"}, [("format", "unknown_code")]),
        ({"format": 1}, [("format", "wrong_type")]),
        ({"format": None}, [("format", "wrong_type")]),
        ({"format": "xlsx", "form": ["patient"]}, [("form", "unknown_field")]),
        ({"format": "xlsx", "forms": ["patients"]}, [("forms", "unknown_form")]),
        ({"format": "xlsx", "forms": "patient"}, [("forms", "wrong_type")]),
        ({"format": "xlsx", "forms": []}, [("forms", "wrong_type")]),
        ({"format": "xlsx", "forms": ["patient", "patient"]}, [("forms", "repeated_code")]),
        ({"format": "xlsx", "sites": ["ZZZ"]}, [("sites", "unknown_site")]),
        ({"format": "xlsx", "sites": [["MTP"]]}, [("sites", "wrong_type")]),
        ({"format": "xlsx", "privacy": "none"}, [("privacy", "unknown_code")]),
        ({"format": "xlsx", "labels": 1}, [("labels", "wrong_type")]),
        ({"format": "csv", "labels": "no"}, [("format", "unknown_code"), ("labels", "wrong_type")]),
    ],
)
def test_whatever_is_wrong_with_a_request_is_named_and_no_job_saved(data_manager_api, body, expected):
    response = data_manager_api.send("post", EXPORTS, body)

    assert response.status_code == 400
    assert errors(response) == expected
    assert not Job.objects.exists()


def test_a_site_one_may_not_see_reads_like_one_that_does_not_exist(api):
    coordinator = api(Role.COORDINATOR, site="MTP")

    foreign, unknown = ask(coordinator, sites=["NIM"]), ask(coordinator, sites=["ZZZ"])

    assert foreign.status_code == 400
    assert foreign.json() == unknown.json()


def test_a_token_of_one_site_exports_that_site_only(sites):
    person = make_person(Role.DATA_MANAGER)
    client = Api(create_token(person, site=sites["NIM"])[0])

    assert ask(client).json()["sites"] == ["NIM"]
    assert errors(ask(client, sites=["MTP"])) == [("sites", "unknown_site")]


def test_a_repeated_request_with_an_idempotency_key_asks_once(data_manager_api):
    first, second = (
        data_manager_api.send("post", EXPORTS, {"format": "xlsx"}, Idempotency_Key="one") for _time in range(2)
    )

    assert first.json() == second.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert Job.objects.count() == 1


# Watching


def test_a_finished_export_says_what_is_in_its_file(data_manager_api, done):
    answer = data_manager_api.get(done).json()

    assert (answer["state"], answer["progress"], answer["error"]) == ("done", 100, None)
    assert answer["rows"] == {"patient": {"counted": 1, "written": 1}}
    assert (answer["file"], answer["file_name"]) == (f"{done}file/", "cut.xlsx")
    assert (answer["size"], answer["sha256"]) == (len(CONTENT), DIGEST)


def test_a_failed_export_says_why(data_manager_api):
    address = ask(data_manager_api).headers["Location"]
    Job.objects.update(state=State.FAILED, error="The disk is full.", finished_at=datetime.now(UTC))

    answer = data_manager_api.get(address).json()

    assert (answer["state"], answer["error"], answer["file"]) == ("failed", "The disk is full.", None)


def test_the_list_has_ones_own_exports_the_latest_first(api, data_manager_api):
    ask(api(Role.COORDINATOR, site="MTP"))
    mine = [ask(data_manager_api).json()["id"] for _time in range(3)]

    first_page = data_manager_api.get(EXPORTS, {"limit": 2}).json()
    second_page = data_manager_api.get(first_page["next"]).json()

    assert [job["id"] for job in first_page["results"] + second_page["results"]] == mine[::-1]
    assert second_page["next"] is None


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_any_length_takes_the_same_queries(data_manager_api, django_assert_num_queries, count):
    for _time in range(count):
        ask(data_manager_api)

    with django_assert_num_queries(3):
        data_manager_api.get(EXPORTS)


@pytest.mark.parametrize("path", ["", "file/"])
@pytest.mark.parametrize(
    ("role", "site"), [(Role.DATA_MANAGER, None), (Role.COORDINATOR, "MTP"), (Role.MONITOR, None), (None, None)]
)
def test_an_export_of_somebody_else_is_not_there(api, done, role, site, path):
    """Negative test 5."""
    somebody = api(role, site=site, username="somebody.else")

    assert somebody.get(f"{done}{path}").status_code == 404
    assert somebody.send("delete", done).status_code == 404


@pytest.mark.parametrize(
    "path", ["8d2f8f43-6f3c-4b06-9a52-6a3a53a1b7b1/", "8d2f8f43-6f3c-4b06-9a52-6a3a53a1b7b1/file/", "1/", "x/file/"]
)
def test_an_export_that_does_not_exist_is_not_there(data_manager_api, path):
    assert data_manager_api.get(f"{EXPORTS}{path}").status_code == 404


@pytest.mark.parametrize("path", ["", "file/"])
def test_without_a_token_nothing_is_answered(client, done, path):
    assert client.get(f"{done}{path}").status_code == 401
    assert client.get(EXPORTS).status_code == 401


def test_an_unknown_parameter_is_refused(data_manager_api, done):
    assert errors(data_manager_api.get(EXPORTS, {"state": "done"})) == [("state", "unknown_parameter")]
    assert errors(data_manager_api.get(done, {"limit": "1"})) == [("limit", "unknown_parameter")]


# Fetching


def test_the_file_comes_whole_as_an_attachment_that_no_browser_guesses_about(data_manager_api, done):
    response = data_manager_api.get(f"{done}file/")

    assert b"".join(response.streaming_content) == CONTENT
    assert response.headers["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert response.headers["Content-Disposition"] == 'attachment; filename="cut.xlsx"'
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_file_is_not_there_before_the_export_is_done(data_manager_api):
    address = ask(data_manager_api).headers["Location"]

    response = data_manager_api.get(f"{address}file/")

    assert (response.status_code, response.json()["code"]) == (409, "job_is_not_done")


def test_a_file_that_was_not_kept_is_gone(data_manager_api, done):
    job_files.file_of(Job.objects.get()).unlink()

    response = data_manager_api.get(f"{done}file/")

    assert (response.status_code, response.json()["code"]) == (410, "file_is_gone")


def test_who_lost_the_right_to_a_cut_no_longer_gets_its_file(data_manager_api, done):
    Membership.objects.update(role=Role.MONITOR)

    response = data_manager_api.get(f"{done}file/")

    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")


def test_who_lost_a_site_no_longer_sees_an_export_of_it(data_manager_api, done):
    Membership.objects.update(site_id="MTP")

    assert data_manager_api.get(done).status_code == 404
    assert data_manager_api.get(f"{done}file/").status_code == 404


@pytest.mark.parametrize(
    "end",
    [
        lambda: Token.objects.update(revoked_at=datetime.now(UTC)),
        lambda: Token.objects.update(expires_at=datetime.now(UTC)),
        lambda: Person.objects.update(is_active=False),
    ],
    ids=["revoked", "expired", "deactivated"],
)
def test_a_link_is_worth_nothing_without_a_valid_token(data_manager_api, done, end):
    end()

    assert data_manager_api.get(f"{done}file/").status_code == 401


# Calling off


def test_an_export_can_be_called_off_until_it_has_ended(data_manager_api):
    address = ask(data_manager_api).headers["Location"]

    first = data_manager_api.send("delete", address)
    second = data_manager_api.send("delete", address)

    assert first.status_code == 204
    assert data_manager_api.get(address).json()["state"] == "cancelled"
    assert (second.status_code, second.json()["code"]) == (409, "job_has_ended")
