"""The audit trail says who changed what, when, through which door, from what to what and why."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from crf.entry import change_entry, delete_entry
from crf.forms import forms_by_name
from registry.accesses import AccessKind
from registry.acting import Door, acting
from registry.audit import Trail, forms_of_the_trail, read_trail, whole_trail
from registry.environment import PROJECT
from registry.history import history_models
from registry.models import SignInEvent
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import patch, saved


@pytest.fixture
def dose(patient, coordinator):
    """A dose of a patient of MTP."""
    return saved("dosing", by=coordinator, record_id=patient.record_id)


@pytest.fixture
def elsewhere(data_manager):
    """A patient of NIM, of whom people of MTP must not learn."""
    return saved("patient", by=data_manager, site="NIM")


def change(entry, changes, *, by, reason="source document"):
    with acting(by, door=Door.REST, reason=reason):
        submission = patch(entry.form.form_name(), changes)
        return change_entry(
            entry.form, entry.record_id, entry.instance, submission, by=by, version=entry.version, reason=reason
        )


def told(records):
    return [(record.action, record.form, record.record_id, record.instance) for record in records]


def test_a_change_is_told_with_who_when_why_and_both_values(dose, coordinator):
    before = timezone.now()
    change(dose, {"dose_mg": 7}, by=coordinator, reason="read from the chart")

    latest = read_trail(Trail(form="dosing"), by=coordinator, most=1)[0]

    assert told([latest]) == [("changed", "dosing", dose.record_id, 1)]
    assert latest.changes == {"dose_mg": (5, 7)}
    assert latest.site == "MTP"
    assert latest.actor["username"] == coordinator.username
    assert latest.actor["reason"] == "read from the chart"
    assert latest.actor["door"] == "rest"
    assert before <= latest.place.at <= timezone.now()


def test_creation_tells_every_value_and_deletion_that_the_entry_was_hidden(dose, coordinator):
    with acting(coordinator, door=Door.REST, reason="entered twice"):
        delete_entry(dose.form, dose.record_id, 1, by=coordinator, version=1, reason="entered twice")

    deleted, created = read_trail(Trail(form="dosing"), by=coordinator)

    assert (deleted.action, created.action) == ("deleted", "created")
    assert list(deleted.changes) == ["deleted_at"]
    assert created.changes["dose_mg"] == (None, 5)


def test_a_change_past_the_service_is_told_as_well(patient, coordinator):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crf_patient SET patient_notes = 'x' WHERE record_id = %s", [patient.record_id])

    latest = read_trail(Trail(record_id=patient.record_id), by=coordinator, most=1)[0]

    assert (latest.action, latest.changes) == ("changed", {"patient_notes": (None, "x")})


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"form": "dosing"}, ["changed", "created"]),
        ({"variable": "dose_mg"}, ["changed", "created"]),
        ({"variable": "dose_end"}, []),
        ({"form": "dosing", "variable": "ae_grade"}, []),
        ({"user": "nobody"}, []),
        ({"record_id": "MTP-999"}, []),
    ],
)
def test_the_trail_is_of_what_is_asked(dose, coordinator, asked, found):
    change(dose, {"dose_mg": 7}, by=coordinator)

    assert [record.action for record in read_trail(Trail(**asked), by=coordinator)] == found


def test_a_reason_why_there_is_no_value_is_a_change_of_the_variable(dose, coordinator):
    change(dose, {"missing": {"dose_end": "UNK"}}, by=coordinator)

    latest = read_trail(Trail(variable="dose_end"), by=coordinator, most=1)[0]

    assert latest.changes == {"missing": ({}, {"dose_end": "UNK"})}


def test_times_count_from_the_first_and_up_to_the_last(dose, coordinator):
    (record,) = read_trail(Trail(form="dosing"), by=coordinator)
    at, moment = record.place.at, timedelta(microseconds=1)

    def found(**times):
        return len(read_trail(Trail(form="dosing", **times), by=coordinator))

    assert (found(since=at), found(since=at + moment)) == (1, 0)
    assert (found(until=at + moment), found(until=at)) == (1, 0)


def test_pages_follow_each_other_without_gap_or_overlap(dose, coordinator):
    for dose_mg in (7, 8, 9):
        dose = change(dose, {"dose_mg": dose_mg}, by=coordinator)

    in_pages = list(whole_trail(Trail(), by=coordinator, at_once=2))

    assert [record.place for record in in_pages] == [
        record.place for record in read_trail(Trail(), by=coordinator, most=100)
    ]
    assert len([record for record in in_pages if record.form == "dosing"]) == 4


def test_nobody_learns_of_another_site(elsewhere, dose, coordinator):
    assert {record.site for record in whole_trail(Trail(), by=coordinator)} == {"MTP"}
    assert read_trail(Trail(record_id=elsewhere.record_id), by=coordinator) == []


def test_people_and_roles_are_for_those_who_manage_them(data_manager, coordinator):
    assert "membership" in forms_of_the_trail(data_manager)
    assert "membership" not in forms_of_the_trail(coordinator)
    assert read_trail(Trail(form="membership"), by=data_manager) != []
    assert read_trail(Trail(form="membership"), by=coordinator) == []


def test_who_has_no_role_sees_nothing(dose):
    nobody = caller_now(make_person(None))

    assert read_trail(Trail(), by=nobody) == []


def test_the_queries_of_a_trail_do_not_grow_with_its_records(dose, coordinator, django_assert_num_queries):
    change(dose, {"dose_mg": 7}, by=coordinator)

    with django_assert_num_queries(1):
        read_trail(Trail(), by=coordinator)


def test_reading_identifiers_is_in_the_trail(api, patient, coordinator):
    client = api(Role.MONITOR)
    client.get(f"/api/v1/patients/{patient.record_id}/")
    client.get("/api/v1/forms/patient/")
    client.get("/api/v1/forms/dosing/")

    listed, single = read_trail(Trail(form="access"), by=coordinator)

    assert (listed.action, listed.details) == ("read_identifiers", {"form": "patient", "rows": 1})
    assert (single.action, single.record_id) == ("read_identifiers", patient.record_id)
    assert single.actor["username"] == "monitor.mtp"


def test_every_form_of_the_study_is_in_the_trail(coordinator):
    assert set(forms_by_name()) < set(forms_of_the_trail(coordinator))


# Sign-ins


def came_in(person, kind="signed_in"):
    SignInEvent.objects.create(kind=kind, person=person, address="10.0.0.1")


def test_sign_ins_are_in_the_trail_of_those_who_manage_people(data_manager, coordinator):
    somebody = make_person(Role.MONITOR, site="MTP", username="somebody")
    came_in(somebody)
    came_in(None, kind="failed")

    failed, signed_in = read_trail(Trail(form="sign_in"), by=data_manager)

    assert (failed.action, failed.actor["username"]) == ("failed", None)
    assert (signed_in.action, signed_in.actor["username"], signed_in.details) == (
        "signed_in",
        "somebody",
        {"address": "10.0.0.1"},
    )
    assert len(read_trail(Trail(user="somebody", form="sign_in"), by=data_manager)) == 1
    assert read_trail(Trail(form="sign_in"), by=coordinator) == []
    assert read_trail(Trail(form="sign_in", record_id="MTP-001"), by=data_manager) == []
    assert read_trail(Trail(form="sign_in", variable="sex"), by=data_manager) == []


def test_sign_ins_come_in_pages_and_within_times(data_manager):
    for _time in range(3):
        came_in(None, kind="failed")
    everything = read_trail(Trail(form="sign_in"), by=data_manager)

    assert list(whole_trail(Trail(form="sign_in"), by=data_manager, at_once=1)) == everything
    assert len(everything) == 3
    until = everything[0].place.at
    assert read_trail(Trail(form="sign_in", since=until + timedelta(microseconds=1)), by=data_manager) == []


def test_who_manages_one_site_learns_of_the_people_and_roles_there_and_of_no_others(sites):
    manager = caller_now(make_person(Role.DATA_MANAGER, site="MTP", username="manager"))
    for site in ("MTP", "NIM"):
        came_in(make_person(Role.MONITOR, site=site, username=f"monitor.{site}"))

    assert {record.actor["username"] for record in read_trail(Trail(form="sign_in"), by=manager)} == {"monitor.MTP"}
    names = {record.changes["username"][1] for record in read_trail(Trail(form="person"), by=manager)}
    assert names == {"manager", "monitor.MTP"}
    assert {record.site for record in read_trail(Trail(form="membership"), by=manager)} == {"MTP"}


# Everything that is tracked


def test_everything_tracked_has_a_name_of_its_own_that_the_guide_tells(data_manager):
    names = forms_of_the_trail(data_manager)
    guide = (PROJECT / "docs" / "api.md").read_text()
    told = guide.partition("## Audit trail")[2].partition("## ")[0]

    assert len(names) == len(set(names)) == len(history_models()) + 2
    assert [name for name in names if name not in forms_by_name() and f"`{name}`" not in told] == []
    assert [kind.value for kind in AccessKind if f"`{kind.value}`" not in told] == []


def test_queries_locks_verifications_signatures_and_reports_are_told_by_their_names(dose, api, data_manager):
    manager, monitor, place = api(Role.DATA_MANAGER), api(Role.MONITOR), {"record_id": "MTP-001", "form": "dosing"}
    at = {**place, "instance": 1}
    sent = [
        monitor.send("POST", "/api/v1/queries/", {**at, "variable": "dose_mg", "text": "Is it so?"}),
        monitor.send("POST", "/api/v1/verifications/", {**at, "version": 1}),
        manager.send("POST", "/api/v1/reports/", {"name": "doses", "title": "Doses", "forms": ["dosing"]}),
        manager.send("POST", "/api/v1/locks/", {**at, "reason": "cleaned"}),
    ]
    assert [response.status_code for response in sent] == [201] * 4

    for name in ("data_query", "data_query_step", "verification", "report", "lock"):
        (record,) = read_trail(Trail(form=name), by=data_manager)
        assert (record.action, record.form, bool(record.actor["username"])) == ("created", name, True)


def test_times_are_utc_whatever_the_connection_thinks(dose, coordinator):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'Pacific/Auckland'")
    before = timezone.now()

    change(dose, {"dose_mg": 7}, by=coordinator)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'")  # as Django reads
    (record, *_earlier) = read_trail(Trail(form="dosing"), by=coordinator)
    assert before <= record.place.at <= timezone.now()


def test_the_trail_itself_is_not_read_without_a_trace(api, patient, coordinator):
    client = api(Role.MONITOR)

    client.get("/api/v1/audit/?form=patient")
    b"".join(client.get("/api/v1/audit/?format=csv").streaming_content)
    client.get("/api/v1/audit/?form=dosing")

    file, page = read_trail(Trail(form="access"), by=coordinator)
    assert (page.action, page.record_id, page.details["rows"]) == ("read_audit_trail", "MTP-001", 1)
    assert (file.action, file.record_id, file.actor["username"]) == ("read_audit_trail", None, "monitor.mtp")
