"""Tests of crf.work_lists: what waits for a person, and what they did last."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crf import locks
from crf.data_queries import open_query, take_step
from crf.entry import change_entry, create_entry, delete_entry
from crf.forms import forms_by_name
from crf.models.data_query import StepKind
from crf.work_lists import SHOWN, my_queries, recent_work, unfinished
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import caller_now, make_person, see_everything
from tests.crf.examples import patch, saved, submission

NOW = timezone.now()
PATIENT = forms_by_name()["patient"]


@pytest.fixture
def monitor(sites):
    return caller_now(make_person(Role.MONITOR, site="MTP"))


@pytest.fixture
def asked(patient, monitor):
    """Return a query that the monitor opened."""
    with acting(monitor, door=Door.REST):
        query = open_query(PATIENT, "MTP-001", 1, variable="sex", text="Is it so?", by=monitor, now=NOW)
    see_everything()
    return query


def waiting(by, sites=("MTP",)):
    return [query.pk for query in my_queries(by, sites=sites)]


def test_an_open_query_waits_for_who_may_answer_and_an_answered_one_for_who_may_close(
    asked, coordinator, monitor, data_manager
):
    assert (waiting(coordinator), waiting(monitor), waiting(data_manager)) == ([asked.pk], [], [asked.pk])

    with acting(coordinator, door=Door.REST):
        take_step(asked.pk, StepKind.ANSWERED, text="It is.", by=coordinator, now=NOW)
    see_everything()

    assert (waiting(coordinator), waiting(monitor), waiting(data_manager)) == ([], [asked.pk], [asked.pk])

    with acting(monitor, door=Door.REST):
        take_step(asked.pk, StepKind.CLOSED, text="", by=monitor, now=NOW)
    see_everything()

    assert (waiting(coordinator), waiting(monitor), waiting(data_manager)) == ([], [], [])


def test_a_query_of_another_site_waits_for_nobody_here(asked, data_manager):
    other = caller_now(make_person(Role.COORDINATOR, site="NIM"))

    assert waiting(other, sites=("MTP", "NIM")) == []
    assert waiting(data_manager, sites=("NIM",)) == []


def test_the_number_of_queries_that_wait_is_known_beyond_those_shown(patient, monitor, coordinator):
    with acting(monitor, door=Door.REST):
        for number in range(SHOWN + 1):
            open_query(PATIENT, "MTP-001", 1, variable="sex", text=f"{number}", by=monitor, now=NOW)
    see_everything()

    shown = my_queries(coordinator, sites=["MTP"])

    assert (len(shown), shown[0].waiting, shown[0].text) == (SHOWN, SHOWN + 1, "0")


def test_entries_that_lack_most_come_first_then_the_order_of_the_forms(coordinator):
    saved("patient", by=coordinator)
    event = {"ae_grade": None, "ae_serious": None}
    saved("adverse_event", event, by=coordinator, record_id="MTP-001", status="incomplete")
    saved("dosing", {"antithrombotic": None}, by=coordinator, record_id="MTP-001", status="incomplete")
    saved("lesion_assessment", by=coordinator, record_id="MTP-001", status="unverified")
    saved("patient", {"systemic_lupus": None}, by=coordinator, status="incomplete")

    found = [(entry.form, entry.record_id, list(entry.blank)) for entry in unfinished(sites=["MTP"])]

    assert found == [
        ("adverse_event", "MTP-001", ["ae_grade", "ae_serious"]),
        ("patient", "MTP-002", ["systemic_lupus"]),
        ("dosing", "MTP-001", ["antithrombotic"]),
        ("lesion_assessment", "MTP-001", []),
    ]


def test_what_has_a_reason_for_being_missing_is_not_lacking(coordinator):
    saved("patient", {"systemic_lupus": None}, by=coordinator, status="incomplete", missing={"systemic_lupus": "NAV"})

    (entry,) = unfinished(sites=["MTP"])

    assert list(entry.blank) == []


def test_a_list_of_what_is_missing_ends(coordinator):
    for _number in range(SHOWN + 1):
        saved("patient", by=coordinator, status="incomplete")

    assert len(unfinished(sites=["MTP"])) == SHOWN
    assert unfinished(sites=["NIM"]) == []


def recent(by, now=NOW):
    now = max(now, timezone.now())
    return [(saved.form, saved.instance) for saved in recent_work(by, sites=["MTP"], now=now)]


def test_recent_work_is_what_the_person_saved_the_latest_first_each_entry_once(coordinator, data_manager):
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    saved("lesion_assessment", by=data_manager, record_id="MTP-001")
    with acting(coordinator, door=Door.REST):
        change_entry(PATIENT, "MTP-001", 1, patch("patient", {"sex": "F"}), by=coordinator, version=1, reason="typo")
    see_everything()

    assert recent(coordinator) == [("patient", 1), ("dosing", 1)]
    assert recent(data_manager) == [("lesion_assessment", 1)]


def test_what_is_deleted_or_long_past_is_no_recent_work(coordinator):
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    with acting(coordinator, door=Door.REST):
        delete_entry(forms_by_name()["dosing"], "MTP-001", 1, by=coordinator, version=1, reason="typo")
    see_everything()

    assert recent(coordinator) == [("patient", 1)]
    assert recent(coordinator, now=NOW + timedelta(days=91)) == []


def test_locking_is_not_saving(coordinator, data_manager):
    with acting(coordinator, door=Door.REST):
        create_entry(submission("patient"), by=coordinator, now=NOW - timedelta(days=1))
    with acting(data_manager, door=Door.REST):
        locks.lock(locks.Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=NOW)
    see_everything()

    assert recent(data_manager) == []


@pytest.mark.parametrize("count", [1, 3])
def test_each_list_takes_one_query_whatever_there_is(coordinator, django_assert_num_queries, count):
    for _number in range(count):
        saved("patient", by=coordinator, status="incomplete")

    with django_assert_num_queries(3):
        assert len(unfinished(sites=["MTP"])) == count
        assert len(recent_work(coordinator, sites=["MTP"], now=timezone.now())) == count
        list(my_queries(coordinator, sites=["MTP"]))
