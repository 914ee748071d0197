"""The health page: what is wrong, in words, with what to do (negative test 43)."""

from datetime import timedelta
from html import unescape

import pytest
from django.conf import settings as now_set
from django.core.management import call_command
from django.utils import timezone

from registry import health, vital_signs
from registry.accesses import AccessKind, note_access
from registry.accounts.sessions import POLL, SEEN, SEEN_IS_KEPT_TO
from registry.acting import Door, acting_as_the_system
from registry.health import Health
from registry.health_page import BACKUP_IS_FRESH, line_of, lines_of_care
from registry.models import AccessEvent
from registry.vital_signs import Sign, Status


@pytest.fixture(autouse=True)
def _no_answer_of_before():
    health.kept.forget()


def shown(page):
    return unescape(page.content.decode())


def test_every_sign_is_said_in_words():
    names = {name for module in health.vital_signs() for name in (*module.OF_THE_DATABASE, *module.SIGNS)}
    told = {name for module in health.vital_signs() for name in module.IN_WORDS}

    assert told == names | {"database"}


@pytest.mark.parametrize(
    ("sign", "measure"),
    [
        (("worker", Sign(Status.OK, seconds=3.2)), "last seen 3.2 s ago"),
        (("worker", Sign(Status.DEGRADED, "was never seen")), ""),
        (("disk", Sign(Status.OK, free_percent=25)), "25 % free"),
        (
            ("oldest_waiting_job", Sign(Status.DEGRADED, "jobs wait too long", seconds=400.0)),
            "the oldest waits for 400.0 s",
        ),
        (("writing", Sign(Status.OK)), ""),
    ],
)
def test_a_measure_is_told_where_there_is_one(sign, measure):
    assert line_of(*sign).measure == measure


def test_what_is_degraded_is_marked_with_what_to_do(manager, monkeypatch):
    found = Health(Status.DEGRADED, {"database": Sign(Status.OK), "broker": Sign(Status.DEGRADED, "does not answer")})
    monkeypatch.setattr(health.kept, "look", lambda: found)

    page = shown(manager.get("/health/"))

    assert "Data can be entered, but not all is well." in page
    assert "Jobs wait; data entry goes on. Start Valkey or Redis, or look at BROKER_URL." in page
    assert str(vital_signs.IN_WORDS["database"].remedy) not in page


def test_htmx_gets_the_part_that_changes_alone(manager):
    page = shown(manager.get("/health/", headers={"HX-Request": "true"}))

    assert page.startswith("<section")
    assert "<html" not in page


def test_a_page_that_looks_by_itself_keeps_no_session_alive(manager):
    session = manager.session
    session[SEEN] -= SEEN_IS_KEPT_TO
    session.save()

    manager.get("/health/", headers={"HX-Request": "true", POLL: "1"})
    assert manager.session[SEEN] == session[SEEN]

    manager.get("/health/")
    assert manager.session[SEEN] > session[SEEN]


@pytest.mark.parametrize(("past", "status"), [(timedelta(), Status.OK), (timedelta(seconds=1), Status.DEGRADED)])
def test_a_backup_is_due_after_two_days(past, status, sites):
    with acting_as_the_system(door=Door.COMMAND) as by:
        note_access(AccessKind.MADE_BACKUP, rows=dict.fromkeys(by.sites, 0))
        made = AccessEvent.objects.order_by("-at").first().at

    assert lines_of_care(now=made + BACKUP_IS_FRESH + past)[0].status is status


def test_a_verified_history_and_a_broken_one_are_told_apart(sites):
    assert lines_of_care(now=timezone.now())[1].measure == "never, as far as is known here"

    call_command("verify_history")
    well = lines_of_care(now=timezone.now())[1]
    with acting_as_the_system(door=Door.COMMAND) as by:
        note_access(AccessKind.VERIFIED_HISTORY, rows=dict.fromkeys(by.sites, 0), details={"chains": 9, "broken": 1})
    broken = lines_of_care(now=timezone.now())[1]

    assert (well.status, broken.status) == (Status.OK, Status.DEGRADED)
    assert "not as it was written" in str(broken.remedy)


def test_the_page_names_the_installation(manager):
    assert now_set.INSTALLATION_NAME in shown(manager.get("/health/"))
