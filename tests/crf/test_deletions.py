"""What was deleted is listed, and comes back as it was: with what was hidden together with it, checked once more."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from crf import data_queries
from crf.deletions import deleted_entries, restore_entry
from crf.entry import change_entry, delete_entry, get_entry
from crf.forms import all_forms, forms_by_name
from crf.locks import Target, lock, unlock
from crf.models.chart_change import ChartChange
from crf.models.data_query import DataQuery
from crf.refusals import Locked, NotAllowed, NotDeleted, NotFound, PatientDeleted, ReasonNeeded, Refused, Stale
from registry.acting import Door, acting
from registry.audit import Trail, read_trail
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import REPEATING, patch, saved

PATIENT, DOSING = forms_by_name()["patient"], forms_by_name()["dosing"]


def delete(entry, *, by, version=None, reason="entered twice"):
    with acting(by, door=Door.REST, reason=reason):
        version = version or entry.version
        delete_entry(entry.form, entry.record_id, entry.instance, by=by, version=version, reason=reason)


def restore(entry, *, by, version=None, reason="was right after all"):
    with acting(by, door=Door.REST, reason=reason):
        version = version or entry.version + 1
        return restore_entry(entry.form, entry.record_id, entry.instance, by=by, version=version, reason=reason)


def there(by):
    """Return what is there, as (form, record id, instance)."""
    found = set()
    for form in all_forms():
        record = "patient_id" if form.repeating else "record_id"
        found |= {(form.form_name(), *row) for row in form.objects.visible_to(by).values_list(record, "instance")}
    return found


@pytest.fixture
def chart(coordinator, patient):
    """A patient with one entry of each form."""
    return {"patient": patient, **{name: saved(name, by=coordinator, record_id="MTP-001") for name in REPEATING}}


@pytest.mark.parametrize("name", REPEATING)
def test_an_entry_comes_back_with_its_values_and_a_version_of_its_own(name, chart, coordinator):
    entry = chart[name]
    delete(entry, by=coordinator)

    restored = restore(entry, by=coordinator)

    found = get_entry(entry.form, "MTP-001", 1, by=coordinator)
    assert found == restored
    assert (found.values, found.status, found.missing) == (entry.values, entry.status, entry.missing)
    assert (found.version, found.updated_at > entry.updated_at) == (3, True)


def test_a_patient_comes_back_with_what_was_hidden_together_and_not_with_what_was_deleted_before(chart, coordinator):
    second = saved("adverse_event", by=coordinator, record_id="MTP-001")
    before = there(coordinator)
    delete(second, by=coordinator)
    delete(chart["patient"], by=coordinator)
    assert there(coordinator) == set()

    restore(chart["patient"], by=coordinator)

    assert there(coordinator) == before - {("adverse_event", "MTP-001", 2)}
    restore(second, by=coordinator)
    assert there(coordinator) == before


def test_a_patient_who_is_deleted_again_comes_back_with_what_was_there_the_last_time(chart, coordinator):
    delete(chart["patient"], by=coordinator)
    restore(chart["patient"], by=coordinator)
    delete(chart["dosing"], by=coordinator, version=3)
    delete(chart["patient"], by=coordinator, version=3)

    restore(chart["patient"], by=coordinator, version=4)

    assert {form for form, *_place in there(coordinator)} == {*chart} - {"dosing"}


def test_nobody_elses_entries_come_back(chart, coordinator):
    other = saved("patient", by=coordinator)
    for entry in (chart["patient"], other):
        delete(entry, by=coordinator)

    restore(chart["patient"], by=coordinator)

    assert {record_id for _form, record_id, _instance in there(coordinator)} == {"MTP-001"}


def test_an_entry_of_a_deleted_patient_waits_for_the_patient(chart, coordinator):
    delete(chart["dosing"], by=coordinator)
    delete(chart["patient"], by=coordinator)

    for name in ("dosing", "adverse_event"):
        with pytest.raises(PatientDeleted):
            restore(chart[name], by=coordinator)


def test_what_is_there_is_not_brought_back(chart, coordinator):
    for entry in chart.values():
        with pytest.raises(NotDeleted):
            restore(entry, by=coordinator, version=1)

    delete(chart["dosing"], by=coordinator)
    restore(chart["dosing"], by=coordinator)
    with pytest.raises(NotDeleted):
        restore(chart["dosing"], by=coordinator)


def test_what_never_was_is_not_brought_back(chart, coordinator):
    with pytest.raises(NotFound), acting(coordinator, door=Door.REST):
        restore_entry(DOSING, "MTP-001", 2, by=coordinator, version=1, reason="r")
    with pytest.raises(NotFound), acting(coordinator, door=Door.REST):
        restore_entry(PATIENT, "MTP-002", 1, by=coordinator, version=1, reason="r")


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_than_the_deleted_one_is_stale(version, chart, coordinator):
    delete(chart["dosing"], by=coordinator)

    with pytest.raises(Stale):
        restore(chart["dosing"], by=coordinator, version=version)
    assert ("dosing", "MTP-001", 1) not in there(coordinator)


@pytest.mark.parametrize("reason", [None, ""])
def test_bringing_back_needs_a_reason(reason, chart, coordinator):
    delete(chart["patient"], by=coordinator)

    with pytest.raises(ReasonNeeded):
        restore(chart["patient"], by=coordinator, reason=reason)
    assert there(coordinator) == set()


@pytest.mark.parametrize("role", Role)
def test_who_enters_data_at_the_site_brings_back_and_nobody_else(role, chart, coordinator):
    delete(chart["patient"], by=coordinator)
    delete_and_restore = caller_now(make_person(role, site="MTP", username="somebody"))

    if role in (Role.COORDINATOR, Role.DATA_MANAGER):
        restore(chart["patient"], by=delete_and_restore)
    else:
        with pytest.raises(NotAllowed):
            restore(chart["patient"], by=delete_and_restore)


@pytest.mark.parametrize("name", ["patient", "dosing"])
def test_at_another_site_there_is_nothing_to_bring_back(name, chart, coordinator):
    delete(chart[name], by=coordinator)
    elsewhere = caller_now(make_person(Role.COORDINATOR, site="NIM"))

    with pytest.raises(NotFound):
        restore(chart[name], by=elsewhere)
    with acting(elsewhere, door=Door.REST):
        assert deleted_entries(by=elsewhere) == []


# Checked once more


def test_a_period_that_overlaps_one_entered_meanwhile_stays_hidden(chart, coordinator):
    delete(chart["dosing"], by=coordinator)
    saved("dosing", {"dose_mg": 10}, by=coordinator, record_id="MTP-001")

    with pytest.raises(Refused) as caught:
        restore(chart["dosing"], by=coordinator)

    (problem,) = caught.value.problems
    assert (problem.form, problem.record_id, problem.instance) == ("dosing", "MTP-001", 1)
    assert problem.code == "overlapping_period"
    assert there(coordinator) >= {("dosing", "MTP-001", 2)}
    assert ("dosing", "MTP-001", 1) not in there(coordinator)


def test_what_no_longer_passes_a_hard_check_keeps_the_whole_patient_hidden(chart, coordinator):
    delete(chart["patient"], by=coordinator)
    with connection.cursor() as cursor:  # as if the check had come with a later version
        cursor.execute("UPDATE crf_adverseevent SET ae_end = '2019'")

    with pytest.raises(Refused) as caught:
        restore(chart["patient"], by=coordinator)

    assert [(problem.form, problem.code) for problem in caught.value.problems] == [
        ("adverse_event", "end_before_start")
    ]
    assert there(coordinator) == set()


def test_a_refused_restoration_undoes_nothing_else_of_its_transaction(chart, coordinator):
    delete(chart["dosing"], by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")

    with acting(coordinator, door=Door.REST):
        event = saved("adverse_event", by=coordinator, record_id="MTP-001")
        with pytest.raises(Refused):
            restore_entry(DOSING, "MTP-001", 1, by=coordinator, version=2, reason="r")

    assert get_entry(event.form, "MTP-001", event.instance, by=coordinator).version == 1


@pytest.mark.parametrize("name", REPEATING)
def test_the_number_of_a_deleted_entry_is_not_given_again(name, chart, coordinator):
    delete(chart[name], by=coordinator)

    assert saved(name, by=coordinator, record_id="MTP-001").instance == 2
    changes = {"dose_start": "2019-01-01", "dose_end": "2019-02-01"} if name == "dosing" else None
    with pytest.raises(Refused) as caught:
        saved(name, changes, by=coordinator, record_id="MTP-001", instance=1)
    assert [problem.code for problem in caught.value.problems] == ["entry_exists"]


def test_the_identifier_of_a_deleted_patient_is_not_given_again(patient, coordinator):
    delete(patient, by=coordinator)

    assert saved("patient", by=coordinator).record_id == "MTP-002"
    with pytest.raises(Refused) as caught:
        saved("patient", by=coordinator, record_id="MTP-001")
    assert [problem.code for problem in caught.value.problems] == ["record_exists"]


# Locks


def test_under_a_lock_nothing_comes_back(chart, coordinator, data_manager):
    delete(chart["patient"], by=coordinator)
    with acting(data_manager, door=Door.REST):
        placed = lock(Target(site="MTP"), reason="cleaned", by=data_manager, now=timezone.now())

    with pytest.raises(Locked):
        restore(chart["patient"], by=coordinator)
    assert there(coordinator) == set()

    with acting(data_manager, door=Door.REST):
        unlock(placed.pk, reason="late data", by=data_manager, now=timezone.now())
    restore(chart["patient"], by=coordinator)


@pytest.mark.parametrize("place", [{}, {"form": DOSING}])
def test_a_lock_on_the_patient_or_the_form_holds_deleted_entries_as_well(place, chart, coordinator, data_manager):
    delete(chart["dosing"], by=coordinator)
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001", **place), reason="cleaned", by=data_manager, now=timezone.now())

    with pytest.raises(Locked):
        restore(chart["dosing"], by=coordinator)


# What follows


def test_the_queries_of_the_checks_come_back(chart, coordinator):
    high = saved("dosing", {"dose_start": "2019-01-01", "dose_end": "2019-01-02", "dose_mg": 20}, by=coordinator,
                 record_id="MTP-001")  # fmt: skip
    raised = DataQuery.objects.get(check_code="dose_over_10_mg")
    delete(high, by=coordinator)
    raised.refresh_from_db()
    assert raised.state == "closed"

    restored = restore(high, by=coordinator)

    raised.refresh_from_db()
    assert (raised.state, raised.closed_at) == ("open", None)
    assert [step.kind for step in data_queries.steps_of(raised)][-2:] == ["closed_by_system", "reopened_by_system"]
    assert "dose_over_10_mg" in [warning.code for warning in restored.warnings]


@pytest.mark.parametrize("name", ["patient", "dosing"])
def test_what_people_asked_comes_back_unless_it_was_closed_before(name, chart, coordinator, data_manager):
    def ask(text):
        with acting(data_manager, door=Door.REST):
            return data_queries.open_query(
                DOSING, "MTP-001", 1, variable="dose_mg", text=text, by=data_manager, now=timezone.now()
            )

    ask("Is it so?")
    settled = ask("And so?")
    with acting(data_manager, door=Door.REST):
        data_queries.take_step(settled.pk, "closed", text="", by=data_manager, now=timezone.now())
    delete(chart[name], by=coordinator)
    assert set(DataQuery.objects.filter(origin="manual").values_list("state", flat=True)) == {"closed"}

    restore(chart[name], by=coordinator)

    states = dict(DataQuery.objects.filter(origin="manual").values_list("text", "state"))
    assert states == {"Is it so?": "open", "And so?": "closed"}


def test_a_query_of_an_entry_deleted_before_its_patient_stays_closed(chart, coordinator, data_manager):
    with acting(data_manager, door=Door.REST):
        now = timezone.now()
        data_queries.open_query(DOSING, "MTP-001", 1, variable="dose_mg", text="Is it so?", by=data_manager, now=now)
    delete(chart["dosing"], by=coordinator)
    delete(chart["patient"], by=coordinator)

    restore(chart["patient"], by=coordinator)

    assert DataQuery.objects.get(origin="manual").state == "closed"


def test_the_endpoints_of_the_patient_are_to_be_computed_again(chart, coordinator):
    delete(chart["patient"], by=coordinator)
    ChartChange.objects.all().delete()

    restore(chart["patient"], by=coordinator)

    assert set(ChartChange.objects.values_list("record_id", flat=True)) == {"MTP-001"}


def test_the_trail_tells_who_deleted_and_who_brought_back_and_why(chart, coordinator, data_manager):
    delete(chart["patient"], by=coordinator)
    restore(chart["patient"], by=data_manager)

    told = [(record.action, record.actor["username"], record.actor["reason"])
            for record in read_trail(Trail(form="patient"), by=data_manager)]  # fmt: skip
    assert told == [
        ("restored", data_manager.username, "was right after all"),
        ("deleted", coordinator.username, "entered twice"),
        ("created", coordinator.username, None),
    ]
    for name in REPEATING:
        actions = [record.action for record in read_trail(Trail(form=name), by=data_manager)]
        assert actions == ["restored", "deleted", "created"]


# At the same time


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["patient", "dosing"])
def test_of_two_who_bring_back_at_the_same_instant_one_does(name, sites, chart, coordinator):
    delete(chart[name], by=coordinator)

    results = at_once(*[lambda: restore(chart[name], by=coordinator)] * 2)

    (error,) = [result for result in results if isinstance(result, Exception)]
    assert isinstance(error, NotDeleted)
    assert get_entry(chart[name].form, "MTP-001", 1, by=coordinator).version == 3


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_an_overlapping_period_entered_and_one_brought_back_at_the_same_instant_one_is_there(
    sites, chart, coordinator
):
    delete(chart["dosing"], by=coordinator)

    results = at_once(
        lambda: restore(chart["dosing"], by=coordinator),
        lambda: saved("dosing", by=coordinator, record_id="MTP-001"),
    )

    (error,) = [result for result in results if isinstance(result, Exception)]
    assert [problem.code for problem in error.problems] == ["overlapping_period"]


# The list


def listed(by, **narrowed):
    with acting(by, door=Door.REST):
        return [(entry.form, entry.record_id, entry.instance) for entry in deleted_entries(by=by, **narrowed)]


def test_the_list_says_who_deleted_what_when_and_why(chart, coordinator):
    before = timezone.now()
    delete(chart["dosing"], by=coordinator, reason="another patient's")

    with acting(coordinator, door=Door.REST):
        (found,) = deleted_entries(by=coordinator)

    assert found.place[1:] == ("dosing", "MTP-001", 1)
    assert before <= found.deleted_at <= timezone.now()
    assert (found.site, found.version, found.locked, found.with_patient) == ("MTP", 2, False, False)
    assert (found.actor["username"], found.actor["reason"]) == (coordinator.username, "another patient's")


def test_the_list_tells_what_was_hidden_with_its_patient(chart, coordinator):
    delete(chart["dosing"], by=coordinator)
    delete(chart["patient"], by=coordinator)

    with acting(coordinator, door=Door.REST):
        found = {entry.form: entry.with_patient for entry in deleted_entries(by=coordinator)}

    assert found == {**dict.fromkeys(REPEATING, True), "dosing": False, "patient": False}


def test_who_locks_what_is_deleted_is_not_taken_for_who_deleted_it(chart, coordinator, data_manager):
    delete(chart["dosing"], by=coordinator)
    with acting(data_manager, door=Door.REST, reason="cleaned"):
        lock(Target(site="MTP"), reason="cleaned", by=data_manager, now=timezone.now())

    with acting(coordinator, door=Door.REST):
        (found,) = deleted_entries(by=coordinator)
    assert (found.locked, found.actor["username"]) == (True, coordinator.username)


def test_what_is_there_or_there_again_is_not_in_the_list(chart, coordinator):
    assert listed(coordinator) == []
    delete(chart["patient"], by=coordinator)
    restore(chart["patient"], by=coordinator)
    assert listed(coordinator) == []


def test_the_list_is_narrowed_and_paged(chart, coordinator, data_manager):
    far = saved("patient", by=data_manager, site="NIM")
    for entry in (chart["dosing"], chart["patient"], far):
        delete(entry, by=data_manager)

    everything = listed(data_manager)
    pages, before = [], None
    with acting(data_manager, door=Door.REST):
        while page := deleted_entries(by=data_manager, before=before, most=2):
            pages += [entry.place[1:] for entry in page]
            before = page[-1].place

    assert everything[0] == ("patient", "NIM-001", 1)
    assert everything[-1] == ("dosing", "MTP-001", 1)
    assert (pages, len(everything)) == (everything, 6)
    assert listed(data_manager, site="NIM") == [("patient", "NIM-001", 1)]
    assert listed(data_manager, form="dosing") == [("dosing", "MTP-001", 1)]
    assert len(listed(data_manager, record_id="MTP-001")) == 5
    assert len(listed(coordinator)) == 5


def test_what_was_changed_before_it_was_deleted_comes_back_changed(chart, coordinator):
    with acting(coordinator, door=Door.REST, reason="source"):
        change_entry(DOSING, "MTP-001", 1, patch("dosing", {"dose_mg": 7}), by=coordinator, version=1, reason="source")
    delete(chart["dosing"], by=coordinator, version=2)

    assert restore(chart["dosing"], by=coordinator, version=3).values["dose_mg"] == 7


def test_restoring_can_be_given_its_moment(chart, coordinator):
    delete(chart["dosing"], by=coordinator)
    moment = timezone.now() + timedelta(hours=1)

    with acting(coordinator, door=Door.REST):
        found = restore_entry(DOSING, "MTP-001", 1, by=coordinator, version=2, reason="r", now=moment)

    assert found.updated_at == moment
