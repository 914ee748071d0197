import pytest
from django.db import connection

from exports import jobs
from exports.models import CohortOutcome, Job
from exports.recompute import recompute_stale
from registry.callers import create_token
from registry.rights import Role
from tests.conftest import Api, make_person
from tests.crf.examples import saved

pytestmark = pytest.mark.django_db

ENDPOINTS = "/api/v1/endpoints/"
PATIENTS = f"{ENDPOINTS}patients/"
RECOMPUTE = f"{ENDPOINTS}recompute/"
NOWHERE = "8d2f8f43-6f3c-4b06-9a52-6a3a53a1b7b1"

# The names of docs/endpoints.md, written out: what others program against.
SUMMARY = (
    "enrolled treated male female discoid age prior prior_thalidomide cr pr nr ne responders"
    " months_to_bor months_to_bor_cr months_to_bor_pr cr_months sustained_cr responders_on_treatment relapsed"
    " relapsed_after_dose_reduction any_ae serious_ae ae_discontinued ae_dose_reduced neuropathy thrombosis lupus_flare"
    " changed_without_relapse changed_without_relapse_for intervals kaplan_meier"
)
OUTCOME = (
    "record_id site treated index_date age_at_start last_contact treatment_end on_treatment discontinued_for"
    " dose_reduced_for n_prior_systemic prior_thalidomide bor responder bor_date months_to_bor bor_after_adjustment"
    " relapsed relapse_date relapse_setting months_to_relapse_or_censor cr_lost cr_months sustained_cr"
    " any_ae serious_ae grade3_ae ae_discontinued ae_dose_reduced neuropathy thrombosis lupus_flare evidence"
)
SUMMARY_KEYS, PATIENT_KEYS = SUMMARY.split(), OUTCOME.split()
SPREADS = ["age", "prior", "months_to_bor", "months_to_bor_cr", "months_to_bor_pr", "cr_months"]
COUNTS = [
    name for name in SUMMARY_KEYS if name not in (*SPREADS, "changed_without_relapse_for", "intervals", "kaplan_meier")
]

EVERY_ROLE = [(role, site) for role in Role for site in ("MTP", None)]
OF_ONE_SITE = [(role, "MTP") for role in Role]


def errors(response):
    """Return (field, code) of each error of a 400."""
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def record_ids(response):
    """Return the patients of a page."""
    assert response.status_code == 200
    return [outcome["record_id"] for outcome in response.json()["results"]]


@pytest.fixture
def reader(api):
    """A monitor of all sites."""
    return api(Role.MONITOR, site=None)


@pytest.fixture
def responder(data_manager):
    """MTP-001, treated from 2020-01-01 (dosing 1), complete response on 2020-03-01 (lesion assessment 2)."""
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001")
    saved("lesion_assessment", by=data_manager, record_id="MTP-001")
    cleared = {"lesion_date": "2020-03-01", "lesion_clearance": 100, "lesion_new": False}
    saved("lesion_assessment", cleared, by=data_manager, record_id="MTP-001")


@pytest.fixture
def three_sites(data_manager, responder):
    """The responder, an untreated patient at each of the other sites, and everything computed."""
    for site in ("NIM", "STR"):
        saved("patient", by=data_manager, record_id=f"{site}-001", site=site)
    recompute_stale()


# The summary


def test_before_the_first_computation_there_are_no_figures(reader):
    assert reader.get(ENDPOINTS).json() == {
        "overall": None,
        "by_site": {},
        "computed": {"at": None, "data_as_of": None, "stale": True, "running": False},
    }


def test_the_summary_has_the_keys_of_the_specification_overall_and_for_each_site(reader, three_sites):
    answer = reader.get(ENDPOINTS).json()

    assert list(answer) == ["overall", "by_site", "computed"]
    assert list(answer["computed"]) == ["at", "data_as_of", "stale", "running"]
    assert list(answer["by_site"]) == ["MTP", "NIM", "STR"]
    for cohort in (answer["overall"], *answer["by_site"].values()):
        assert list(cohort) == SUMMARY_KEYS
        assert {type(cohort[name]) for name in COUNTS} == {int}
        assert [list(cohort[name]) for name in SPREADS] == [["n", "median", "min", "max"]] * len(SPREADS)
        assert list(cohort["intervals"]) == ["cr", "pr", "response", "relapsed", "any_ae", "serious_ae"]
        assert list(cohort["kaplan_meier"]) == ["months_to_bor", "months_to_relapse", "cr_months"]


def test_the_figures_are_those_of_all_sites_and_of_each(reader, three_sites):
    answer = reader.get(ENDPOINTS).json()

    counted = {
        name: [cohort[key] for key in ("enrolled", "treated", "cr")] for name, cohort in answer["by_site"].items()
    }
    assert counted == {"MTP": [1, 1, 1], "NIM": [1, 0, 0], "STR": [1, 0, 0]}
    assert [answer["overall"][key] for key in ("enrolled", "treated", "cr")] == [3, 1, 1]
    assert answer["overall"]["months_to_bor"] == {
        "n": 1,
        "median": 60 / 30.4375,
        "min": 60 / 30.4375,
        "max": 60 / 30.4375,
    }


@pytest.mark.parametrize(("role", "site"), EVERY_ROLE)
def test_every_role_reads_the_pooled_summary_of_all_sites(api, three_sites, role, site):
    response = api(role, site=site, username="reader").get(ENDPOINTS)

    assert response.status_code == 200
    assert list(response.json()["by_site"]) == ["MTP", "NIM", "STR"]


def test_the_summary_names_no_patient(reader, three_sites):
    assert b"-001" not in reader.get(ENDPOINTS).content


def test_a_change_makes_the_figures_stale_until_they_are_computed_again(reader, three_sites, data_manager):
    fresh = reader.get(ENDPOINTS).json()

    saved("patient", by=data_manager, record_id="MTP-002", site="MTP")
    stale = reader.get(ENDPOINTS).json()
    recompute_stale()
    again = reader.get(ENDPOINTS).json()

    assert [answer["computed"]["stale"] for answer in (fresh, stale, again)] == [False, True, False]
    assert stale["overall"] == fresh["overall"]
    assert again["overall"]["enrolled"] == fresh["overall"]["enrolled"] + 1
    assert again["computed"]["at"] > fresh["computed"]["at"]


def test_it_says_when_the_figures_were_computed_and_of_which_data(reader, three_sites):
    computed = reader.get(ENDPOINTS).json()["computed"]

    stored = CohortOutcome.objects.get()
    assert computed["at"] == stored.computed_at.isoformat().replace("+00:00", "Z")
    assert computed["data_as_of"] == stored.data_as_of.isoformat().replace("+00:00", "Z")


def test_it_says_whether_a_computation_is_under_way(reader, three_sites):
    waiting = Job.objects.get(pk=reader.send("post", RECOMPUTE, {}).json()["id"])
    meanwhile = reader.get(ENDPOINTS).json()["computed"]["running"]

    jobs.run(waiting.pk)

    assert (meanwhile, reader.get(ENDPOINTS).json()["computed"]["running"]) == (True, False)


# The outcomes of patients


def test_a_patient_has_the_keys_of_the_specification_and_the_rows_that_decided(reader, three_sites):
    outcome = reader.get(PATIENTS).json()["results"][0]

    evidence = outcome["evidence"]
    assert list(outcome) == PATIENT_KEYS
    assert list(evidence) == PATIENT_KEYS[2:-1]
    assert (outcome["record_id"], outcome["site"], outcome["treated"], outcome["index_date"]) == (
        "MTP-001",
        "MTP",
        True,
        "2020-01-01",
    )
    assert (outcome["bor"], outcome["bor_date"], outcome["months_to_bor"]) == ("CR", "2020-03-01", 60 / 30.4375)
    assert evidence["index_date"] == [{"form": "dosing", "instance": 1}]
    assert evidence["bor_date"] == [{"form": "lesion_assessment", "instance": 2}]


def test_an_untreated_patient_is_listed_with_nulls(reader, three_sites):
    outcome = reader.get(PATIENTS, {"record_id": "NIM-001"}).json()["results"][0]

    del outcome["evidence"]
    assert outcome == dict.fromkeys(PATIENT_KEYS[:-1]) | {"record_id": "NIM-001", "site": "NIM", "treated": False}


@pytest.mark.parametrize(("role", "site"), EVERY_ROLE)
def test_every_role_sees_the_patients_of_its_sites_and_no_other(api, three_sites, role, site):
    response = api(role, site=site, username="reader").get(PATIENTS)

    assert record_ids(response) == (["MTP-001"] if site else ["MTP-001", "NIM-001", "STR-001"])


@pytest.mark.parametrize("wanted", [{"site": "NIM"}, {"record_id": "NIM-001"}, {"site": "NIM", "record_id": "NIM-001"}])
@pytest.mark.parametrize(("role", "site"), OF_ONE_SITE)
def test_a_patient_of_another_site_cannot_be_asked_for(api, three_sites, role, site, wanted):
    somebody = api(role, site=site)

    assert somebody.get(PATIENTS, wanted).json() == {"next": None, "previous": None, "results": []}


def test_a_token_of_one_site_shows_that_site_only(sites, three_sites):
    client = Api(create_token(make_person(Role.MONITOR), site=sites["NIM"])[0])

    assert record_ids(client.get(PATIENTS)) == ["NIM-001"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"site": "NIM"}, ["NIM-001"]),
        ({"record_id": "STR-001"}, ["STR-001"]),
        ({"site": "NIM", "record_id": "NIM-001"}, ["NIM-001"]),
        ({"site": "NIM", "record_id": "STR-001"}, []),
        ({"site": "ZZZ"}, []),
        ({"site": "nim"}, []),
        ({"record_id": "MTP-002"}, []),
        ({"record_id": ""}, []),
    ],
)
def test_patients_are_found_by_site_and_record_id(reader, three_sites, wanted, found):
    assert record_ids(reader.get(PATIENTS, wanted)) == found


def test_the_pages_of_a_list_hold_every_patient_once(reader, three_sites):
    first = reader.get(PATIENTS, {"limit": 2}).json()
    second = reader.get(first["next"]).json()
    back = reader.get(second["previous"]).json()

    pages = [[outcome["record_id"] for outcome in page["results"]] for page in (first, second, back)]
    assert pages == [["MTP-001", "NIM-001"], ["STR-001"], ["MTP-001", "NIM-001"]]
    assert (first["previous"], second["next"]) == (None, None)


def test_the_filters_hold_on_every_page(reader, data_manager, three_sites):
    for number in (2, 3):
        saved("patient", by=data_manager, record_id=f"MTP-00{number}", site="MTP")
    recompute_stale()

    first = reader.get(PATIENTS, {"limit": 2, "site": "MTP"}).json()

    assert record_ids(reader.get(first["next"])) == ["MTP-003"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_any_length_takes_the_same_queries(reader, data_manager, django_assert_num_queries, count):
    for number in range(1, count + 1):
        saved("patient", by=data_manager, record_id=f"MTP-00{number}", site="MTP")
    recompute_stale()
    reader.get(ENDPOINTS)  # the first use of a token is noted

    with django_assert_num_queries(3):
        assert len(record_ids(reader.get(PATIENTS))) == count


def test_a_deleted_patient_is_gone_from_the_list_with_the_next_computation(reader, three_sites):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crf_patient SET deleted_at = now() WHERE record_id = 'NIM-001'")

    recompute_stale()

    assert record_ids(reader.get(PATIENTS)) == ["MTP-001", "STR-001"]


# A new computation


def test_a_computation_that_is_asked_for_waits_at_its_address(reader):
    response = reader.send("post", RECOMPUTE, {})

    job = Job.objects.get()
    assert response.status_code == 202
    assert response.headers["Location"] == f"{RECOMPUTE}{job.pk}/"
    assert response.json() == {
        "id": str(job.pk),
        "kind": "endpoints",
        "state": "waiting",
        "progress": 0,
        "error": None,
        "error_code": None,
        "created_at": job.created_at.isoformat().replace("+00:00", "Z"),
        "started_at": None,
        "finished_at": None,
    }
    assert reader.get(response.headers["Location"]).json() == response.json()


def test_a_computation_that_was_done_says_so_and_the_figures_are_there(reader, responder):
    address = reader.send("post", RECOMPUTE, {}).headers["Location"]

    jobs.run(Job.objects.get().pk)

    answer = reader.get(address).json()
    assert (answer["state"], answer["progress"], answer["error"]) == ("done", 100, None)
    assert reader.get(ENDPOINTS).json()["overall"]["cr"] == 1
    assert not reader.get(ENDPOINTS).json()["computed"]["stale"]


def test_the_workers_are_told_of_a_computation(reader, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(jobs.app, "send_task", lambda _name, *, kwargs, **_: rung.append(kwargs["job_id"]))

    with django_capture_on_commit_callbacks(execute=True):
        response = reader.send("post", RECOMPUTE, {})

    assert rung == [response.json()["id"]]


def test_a_computation_covers_all_patients_whoever_asks(api, three_sites, data_manager):
    saved("patient", by=data_manager, record_id="NIM-002", site="NIM")
    coordinator = api(Role.COORDINATOR, site="MTP")

    job_id = coordinator.send("post", RECOMPUTE, {}).json()["id"]
    jobs.run(job_id)

    assert coordinator.get(ENDPOINTS).json()["by_site"]["NIM"]["enrolled"] == 2


def test_a_repeated_request_with_an_idempotency_key_asks_once(reader):
    first, second = (reader.send("post", RECOMPUTE, {}, Idempotency_Key="one") for _time in range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert Job.objects.count() == 1


def test_without_a_key_each_request_is_a_computation_of_its_own(reader):
    addresses = {reader.send("post", RECOMPUTE, {}).headers["Location"] for _time in range(2)}

    assert len(addresses) == Job.objects.count() == 2


@pytest.mark.parametrize(("role", "site"), EVERY_ROLE)
def test_every_role_may_ask_for_a_computation(api, role, site):
    assert api(role, site=site).send("post", RECOMPUTE, {}).status_code == 202


@pytest.mark.parametrize(("role", "site"), [(Role.DATA_MANAGER, None), (Role.MONITOR, None), (None, None)])
def test_a_computation_that_somebody_else_asked_for_is_not_there(api, reader, role, site):
    address = reader.send("post", RECOMPUTE, {}).headers["Location"]

    assert api(role, site=site, username="somebody.else").get(address).status_code == 404


def test_an_export_is_no_computation(api):
    manager = api(Role.DATA_MANAGER, site=None)
    job_id = manager.send("post", "/api/v1/exports/", {"format": "xlsx"}).json()["id"]

    assert manager.get(f"{RECOMPUTE}{job_id}/").status_code == 404


@pytest.mark.parametrize("number", [NOWHERE, "1", "x"])
def test_a_computation_that_does_not_exist_is_not_there(reader, number):
    assert reader.get(f"{RECOMPUTE}{number}/").status_code == 404


# Who may not, and what is refused


@pytest.mark.parametrize(("method", "path"), [("get", ENDPOINTS), ("get", PATIENTS), ("post", RECOMPUTE)])
def test_nobody_without_a_role_gets_any_of_it(api, three_sites, method, path):
    response = api(None).send(method, path, {})

    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ENDPOINTS), ("get", PATIENTS), ("post", RECOMPUTE), ("get", f"{RECOMPUTE}{NOWHERE}/")],
)
@pytest.mark.parametrize("token", [None, "0" * 32])
def test_nobody_without_a_valid_token_gets_any_of_it(three_sites, method, path, token):
    response = Api(token).send(method, path, {})

    assert response.status_code == 401
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("path", "parameters", "error"),
    [
        (ENDPOINTS, {"site": "MTP"}, ("site", "unknown_parameter")),
        (ENDPOINTS, {"limit": "1"}, ("limit", "unknown_parameter")),
        (PATIENTS, {"sites": "MTP"}, ("sites", "unknown_parameter")),
        (PATIENTS, {"bor": "CR"}, ("bor", "unknown_parameter")),
        (PATIENTS, {"site": ["MTP", "NIM"]}, ("site", "repeated_parameter")),
        (PATIENTS, {"site": "MTP\x00"}, ("site", "unprintable")),
        (PATIENTS, {"record_id": "MTP-001\n"}, ("record_id", "unprintable")),
        (PATIENTS, {"limit": "0"}, ("limit", "out_of_range")),
        (PATIENTS, {"limit": "1001"}, ("limit", "out_of_range")),
        (PATIENTS, {"cursor": "x"}, ("cursor", "invalid")),
    ],
)
def test_a_wrong_parameter_is_named(reader, three_sites, path, parameters, error):
    assert errors(reader.get(path, parameters)) == [error]


def test_a_limit_within_the_limits_is_taken(reader, three_sites):
    assert len(record_ids(reader.get(PATIENTS, {"limit": "1"}))) == 1
    assert len(record_ids(reader.get(PATIENTS, {"limit": "1000"}))) == 3


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"site": "MTP"}, ("site", "unknown_field")),
        ({"reason": "now"}, ("reason", "unknown_field")),
        ([], (None, "wrong_type")),
        ("{", (None, "not_json")),
    ],
)
def test_a_computation_takes_nothing_but_an_empty_object(reader, body, error):
    assert errors(reader.send("post", RECOMPUTE, body)) == [error]
    assert not Job.objects.exists()


def test_a_computation_takes_no_parameter(reader):
    assert errors(reader.send("post", f"{RECOMPUTE}?site=MTP", {})) == [("site", "unknown_parameter")]
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [("post", ENDPOINTS), ("delete", ENDPOINTS), ("post", PATIENTS), ("get", RECOMPUTE), ("patch", RECOMPUTE)],
)
def test_an_address_does_what_it_is_for_and_no_more(reader, method, path):
    assert reader.send(method, path, {}).status_code == 405
