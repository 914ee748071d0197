import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from exports.endpoints.published import PUBLISHED
from exports.models import CohortOutcome, Job, Kind
from exports.recompute import recompute_stale
from registry.rights import Role
from tests.conftest import see_everything
from tests.crf.examples import saved

pytestmark = pytest.mark.django_db

ENDPOINTS = "/endpoints/"
PART = {"HX-Request": "true"}
EVERY_ROLE = [(role, site) for role in Role for site in ("MTP", None)]


def texts(html):
    """What a reader sees of the table: label, overall, published."""
    shown = re.sub(r'<p class="note">.*?</p>|<span class="(interval|sr-only)">.*?</span>', "", html, flags=re.S)
    cells = [
        re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr.*?</tr>", shown, re.S)
    ]
    return [[" ".join(strip_tags(cell).split()) for cell in row] for row in cells]


def named(response):
    """The patients of a page."""
    return re.findall(r'href="/patients/([A-Z]{3}-\d{3})/outcome/', response.content.decode())


@pytest.fixture
def three_sites(data_manager):
    """A responder at MTP and an untreated patient at each of the other sites, computed."""
    saved("patient", by=data_manager, record_id="MTP-001", site="MTP")
    saved("dosing", by=data_manager, record_id="MTP-001")
    cleared = {"lesion_date": "2020-03-01", "lesion_clearance": 97, "lesion_new": False}
    saved("lesion_assessment", cleared, by=data_manager, record_id="MTP-001")
    for site in ("NIM", "STR"):
        saved("patient", by=data_manager, record_id=f"{site}-001", site=site)
    recompute_stale()


# The table


@pytest.mark.slow
def test_the_table_shows_the_published_figures_beside_those_of_the_cohort(browser, cohort19):
    page = browser(Role.INVESTIGATOR).get(ENDPOINTS).content.decode()

    told = [row[:3] for row in texts(page)]
    for line in PUBLISHED:
        assert [line.label, line.published_text, f"{line.published_text} ="] in told
    assert 'class="published differs"' not in page


@pytest.mark.slow
def test_the_table_has_the_exact_intervals_and_the_figures_of_each_site(browser, cohort19):
    page = browser(Role.INVESTIGATOR).get(ENDPOINTS).content.decode()

    rows = {row[0]: row for row in texts(page) if row}
    assert rows["Figure"] == ["Figure", "Overall", "Published", "MTP", "NIM", "STR"]
    assert rows["Patients treated"] == ["Patients treated", "19", "19 =", "11", "4", "4"]
    assert '12 (63.2%)</a> <span class="interval">38.4-83.7</span>' in page


def test_a_figure_that_is_not_the_published_one_is_marked(browser, three_sites):
    page = browser(Role.INVESTIGATOR).get(ENDPOINTS).content.decode()

    assert ["Patients treated", "1", "19", "1", "0", "0"] in texts(page)
    assert 'class="published differs"' in page


@pytest.mark.parametrize(("role", "site"), EVERY_ROLE)
def test_every_role_reads_the_table_and_opens_only_what_is_of_its_sites(browser, three_sites, data_manager, role, site):
    saved("dosing", by=data_manager, record_id="NIM-001")
    recompute_stale()

    page = browser(role, site=site, username="reader").get(ENDPOINTS).content.decode()

    opens = {end: f'href="/endpoints/treated/{end}"' in page for end in ("", "MTP/", "NIM/", "STR/")}
    assert opens == {"": True, "MTP/": True, "NIM/": site is None, "STR/": False}  # nobody is treated at STR
    assert ["Patients treated", "2", "19", "1", "1", "0"] in texts(page)


def test_before_the_first_computation_the_page_says_so(browser):
    page = browser(Role.MONITOR).get(ENDPOINTS).content.decode()

    assert "There are no figures yet." in page
    assert "Older than the data" in page


def test_how_fresh_the_figures_are_is_asked_for_again_until_they_are_up_to_date(browser, three_sites, data_manager):
    monitor = browser(Role.MONITOR)
    fresh = monitor.get(ENDPOINTS).content.decode()
    saved("dosing", by=data_manager, record_id="NIM-001")
    stale = monitor.get(ENDPOINTS).content.decode()
    address = re.search(r'hx-get="([^"]+)"', stale)[1].replace("&amp;", "&")

    same = monitor.get(address, headers=PART)
    see_everything()
    recompute_stale()
    anew = monitor.get(address, headers=PART).content.decode()

    assert ("Up to date" in fresh, "hx-get" in fresh) == (True, False)
    assert "Older than the data" in stale
    assert same.status_code == 204
    assert "Up to date" in anew
    assert "hx-get" not in anew
    assert ["Patients treated", "2", "19", "1", "1", "0"] in texts(anew)


def test_a_computation_that_runs_is_told_without_the_table_being_put_in_anew(browser, three_sites):
    monitor = browser(Role.MONITOR)
    version = CohortOutcome.objects.get().computed_at.isoformat()

    monitor.post(f"{ENDPOINTS}recompute/")
    part = monitor.get(ENDPOINTS, {"shown": version}, headers=PART).content.decode()

    assert "Being recomputed" in part
    assert "<table" not in part


def test_a_new_computation_is_asked_for_once_while_one_waits(browser, three_sites):
    monitor = browser(Role.MONITOR)

    first = monitor.post(f"{ENDPOINTS}recompute/")
    monitor.post(f"{ENDPOINTS}recompute/")

    see_everything()
    assert (first.status_code, first["Location"]) == (303, ENDPOINTS)
    assert [job.kind for job in Job.objects.all()] == [Kind.ENDPOINTS]


# The patients behind a figure


@pytest.mark.slow
def test_a_figure_opens_its_patients_at_the_sites_of_the_person_and_tells_of_the_others_how_many(browser, cohort19):
    response = browser(Role.INVESTIGATOR).get(f"{ENDPOINTS}cr/")

    page = " ".join(response.content.decode().split())
    assert len(named(response)) == 8
    assert {record_id[:3] for record_id in named(response)} == {"MTP"}
    assert "At other sites are 4 who are counted and 4 who are not." in page
    assert "It counts 12 of 19 (Patients treated)." in page


@pytest.mark.slow
def test_the_others_whom_a_figure_is_out_of_are_there_too(browser, cohort19):
    counted = named(browser(Role.INVESTIGATOR).get(f"{ENDPOINTS}cr/MTP/"))
    others = named(browser(Role.MONITOR).get(f"{ENDPOINTS}cr/MTP/?who=others"))

    assert (len(counted), len(others)) == (8, 3)
    assert not set(counted) & set(others)


@pytest.mark.slow
def test_who_sees_all_sites_sees_all_patients_of_a_figure(browser, cohort19):
    response = browser(Role.MONITOR, site=None).get(f"{ENDPOINTS}relapsed/")

    assert len(named(response)) == 4
    assert "At other sites" not in response.content.decode()


@pytest.mark.slow
@pytest.mark.parametrize("line", PUBLISHED, ids=lambda line: line.key)
def test_each_figure_of_the_table_opens(browser, cohort19, line):
    response = browser(Role.MONITOR, site=None).get(f"{ENDPOINTS}{line.key}/")

    assert response.status_code == 200
    if line.published_text.isdigit() and line.key not in ("age", "cr_months"):
        assert len(named(response)) == int(line.published_text)


@pytest.mark.slow
def test_a_curve_opens_with_the_times_and_which_are_censored(browser, cohort19):
    page = browser(Role.MONITOR, site=None).get(f"{ENDPOINTS}kaplan_meier.cr_months/").content.decode()

    assert page.count("censored") == 10


@pytest.mark.parametrize("end", ["cr/NIM/", "cr/XYZ/", "nothing/", "cr/?who=me", "../patients/NIM-001/outcome/"])
def test_what_is_of_other_sites_or_not_there_at_all_is_not_found(browser, three_sites, end):
    assert browser(Role.INVESTIGATOR).get(f"{ENDPOINTS}{end}").status_code == 404


def test_a_figure_asks_the_database_as_often_for_three_patients_as_for_one(browser, three_sites, data_manager):
    monitor = browser(Role.MONITOR, site=None)
    with CaptureQueriesContext(connection) as of_one:
        one = monitor.get(f"{ENDPOINTS}treated/")
    for site in ("NIM", "STR"):
        saved("dosing", by=data_manager, record_id=f"{site}-001")
    see_everything()
    recompute_stale()

    with CaptureQueriesContext(connection) as of_three:
        three = monitor.get(f"{ENDPOINTS}treated/")

    assert (len(named(one)), len(named(three))) == (1, 3)
    assert len(of_three) == len(of_one)


# The outcome of a patient


def test_the_outcome_tells_in_words_what_decided_it_and_names_the_rows(browser, three_sites):
    page = browser(Role.COORDINATOR).get("/patients/MTP-001/outcome/").content.decode()

    bor = next(row for row in texts(page) if row and row[0] == "Best overall response")
    assert bor == [
        "Best overall response",
        "Complete response",
        "97 % clearance, no new lesions on 2020-03-01 (assessment 1): above 95 %, the first assessment to reach it.",
        "Lesion assessment 1 2020-03-01: 97 % clearance, no new lesions (CR)",
    ]
    assert "The chart changed" not in page


def test_a_chart_that_changed_is_told_as_it_is_now_and_that_the_figures_follow(browser, three_sites, data_manager):
    new = {"lesion_date": "2020-04-01", "lesion_clearance": 40, "lesion_new": True}
    saved("lesion_assessment", new, by=data_manager, record_id="MTP-001")

    page = browser(Role.COORDINATOR).get("/patients/MTP-001/outcome/").content.decode()

    assert "The chart changed since the figures were computed." in page
    assert "40 % clearance, new lesions on" in page


def test_an_untreated_patient_is_enrolled_and_nothing_more(browser, three_sites):
    page = browser(Role.COORDINATOR, site="NIM").get("/patients/NIM-001/outcome/").content.decode()

    assert "There is no dosing period with a dose above 0: enrolled, and in no other figure." in page
    assert "Best overall response" not in page


def test_the_outcome_asks_the_database_as_often_for_three_rows_as_for_one(browser, three_sites, data_manager):
    monitor = browser(Role.MONITOR)
    with CaptureQueriesContext(connection) as of_one:
        monitor.get("/patients/MTP-001/outcome/")
    for month in (4, 5):
        again = {"lesion_date": f"2020-0{month}-01", "lesion_clearance": 97, "lesion_new": False}
        saved("lesion_assessment", again, by=data_manager, record_id="MTP-001")

    with CaptureQueriesContext(connection) as of_three:
        monitor.get("/patients/MTP-001/outcome/")

    assert len(of_three) == len(of_one)
