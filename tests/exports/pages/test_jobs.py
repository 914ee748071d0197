import html

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from exports import jobs
from exports.models import Job, Kind, State
from registry.models import Person
from registry.rights import Role
from tests.conftest import make_person, see_everything

pytestmark = pytest.mark.django_db

JOBS = "/jobs/"
NOBODY = "8d2f8f43-6f3c-4b06-9a52-6a3a53a1b7b1"
CUT = {"forms": ["patient"], "sites": ["MTP"], "privacy": "full", "labels": True, "filter": "[sex] = 'F'"}


@pytest.fixture
def make_job(sites):
    """Return a function that saves a job of somebody at some sites."""

    def make(*sites, by="asker", state=State.WAITING, **fields):
        see_everything()
        person = Person.objects.filter(username=by).first() or (by and make_person(username=by))
        ended = {} if state in (State.WAITING, State.RUNNING) else {"finished_at": timezone.now()}
        return Job.objects.create(
            kind=Kind.EXPORT, parameters=CUT, requested_by=person, sites=list(sites), state=state, **ended, **fields
        )

    return make


def state_of(job):
    see_everything()
    return Job.objects.get(pk=job.pk).state


def test_jobs_of_everybody_are_listed_with_who_and_what_went_wrong_but_not_what_they_are_about(browser, make_job):
    make_job("MTP", state=State.FAILED, error="The disk is full.", attempts=3)
    make_job("MTP", "NIM", "STR", by=None)

    page = browser(Role.DATA_MANAGER, site=None).get(JOBS).content.decode()

    for told in ("asker", "the system", "The disk is full.", "MTP, NIM, STR", "Try again", "Call off"):
        assert told in page
    assert "[sex]" not in page


def test_why_a_job_was_given_up_is_told_in_the_language_of_the_reader(browser, make_job):
    job = make_job("MTP", attempts=jobs.MAX_ATTEMPTS)
    jobs.sweep(now=timezone.now())
    client = browser(Role.DATA_MANAGER, site=None)
    client.cookies["django_language"] = "fr"

    page = client.get(JOBS).content.decode()

    assert state_of(job) == State.FAILED
    assert "Chaque essai a été interrompu." in html.unescape(page)


def test_only_jobs_all_of_whose_sites_are_managed_are_listed(browser, make_job):
    of_mine, of_more = make_job("MTP"), make_job("MTP", "NIM")

    page = browser(Role.DATA_MANAGER, site="MTP").get(JOBS).content.decode()

    assert (str(of_mine.pk) in page, str(of_more.pk) in page) == (True, False)


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR, None])
def test_who_manages_nothing_sees_no_jobs(browser, make_job, role):
    job = make_job("MTP")
    client = browser(role)

    assert client.get(JOBS).status_code == 403
    assert client.post(f"{JOBS}{job.pk}/cancel/").status_code == 403
    assert state_of(job) == State.WAITING


def test_a_job_of_somebody_else_is_called_off(browser, make_job):
    job = make_job("MTP")

    response = browser(Role.DATA_MANAGER, site=None).post(f"{JOBS}{job.pk}/cancel/")

    assert (response.status_code, response["Location"]) == (303, JOBS)
    assert state_of(job) == State.CANCELLED


def test_a_job_that_failed_waits_again_for_who_asked_for_it(browser, make_job):
    job = make_job("MTP", state=State.FAILED, error="It broke off.", error_code="gave_up", attempts=3)

    browser(Role.DATA_MANAGER, site=None).post(f"{JOBS}{job.pk}/restart/")

    see_everything()
    again = Job.objects.get(pk=job.pk)
    assert (again.state, again.attempts, again.error, again.finished_at) == (State.WAITING, 0, "", None)
    assert again.requested_by.username == "asker"


@pytest.mark.parametrize(
    ("state", "action", "words"),
    [
        (State.CANCELLED, "cancel", "The job had ended already."),
        (State.WAITING, "restart", "Only a job that failed is tried again."),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_is_said(browser, make_job, state, action, words):
    job = make_job("MTP", state=state)

    response = browser(Role.DATA_MANAGER, site=None).post(f"{JOBS}{job.pk}/{action}/", follow=True)

    assert words in response.content.decode()
    assert state_of(job) == state


@pytest.mark.parametrize("action", ["cancel", "restart"])
def test_a_job_of_another_site_does_not_exist(browser, make_job, action):
    job = make_job("NIM", state=State.FAILED, error="It broke off.")
    client = browser(Role.DATA_MANAGER, site="MTP")

    assert client.post(f"{JOBS}{job.pk}/{action}/").status_code == 404
    assert client.post(f"{JOBS}{NOBODY}/{action}/").status_code == 404
    assert state_of(job) == State.FAILED


def test_the_list_is_asked_for_again_while_a_job_is_open_and_left_alone_while_nothing_changes(browser, make_job):
    client = browser(Role.DATA_MANAGER, site=None)
    nothing = client.get(JOBS).content.decode()
    make_job("MTP")
    watched = client.get(JOBS).content.decode()
    address = watched.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")

    same = client.get(address, headers={"HX-Request": "true"})
    see_everything()
    Job.objects.update(state=State.CANCELLED, finished_at=timezone.now())
    other = client.get(address, headers={"HX-Request": "true"})

    assert "hx-get" not in nothing
    assert same.status_code == 204
    assert "Cancelled" in other.content.decode()
    assert "hx-get" not in other.content.decode()


def test_the_list_asks_the_database_as_often_for_three_jobs_as_for_one(browser, make_job):
    client = browser(Role.DATA_MANAGER, site=None)
    make_job("MTP")
    with CaptureQueriesContext(connection) as of_one:
        client.get(JOBS)
    make_job("MTP")
    make_job("NIM", by="other")

    with CaptureQueriesContext(connection) as of_three:
        client.get(JOBS)

    assert len(of_three) == len(of_one)
