"""Locks: what they cover is changed through no door, not even in SQL, until they are lifted (negative tests: 10)."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from crf import locks as service
from crf.entry import change_entry, create_entries, create_entry, delete_entry, get_entry
from crf.forms import all_forms, forms_by_name
from crf.loading import NotLoaded, load_folder
from crf.locks import Target
from crf.models.lock import Lock
from crf.refusals import Locked, NotAllowed, NotFound, Refused
from registry.acting import Door, acting, the_system
from registry.rights import Role
from tests.conftest import as_owner, caller_now, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import REPEATING, patch, saved, submission

NOW = datetime(2024, 3, 12, 9, tzinfo=UTC)
DOSING = forms_by_name()["dosing"]
TARGETS = {
    "instance": Target(record_id="MTP-001", form=DOSING, instance=1),
    "form": Target(record_id="MTP-001", form=DOSING),
    "patient": Target(record_id="MTP-001"),
    "site": Target(site="MTP"),
}
TAKES_NO_ROWS = [name for name in TARGETS if name != "instance"]


def lock(target, *, by, reason="cleaned for the data cut"):
    """Lock a place."""
    with acting(by, door=Door.REST):
        return service.lock(target, reason=reason, by=by, now=NOW)


def unlock(placed, *, by):
    """Lift a lock."""
    with acting(by, door=Door.REST):
        return service.unlock(placed.pk, reason="a value is wrong", by=by, now=NOW)


def change(entry, changes, *, by):
    """Change a saved entry."""
    with acting(by, door=Door.REST, reason="source"):
        return change_entry(
            entry.form,
            entry.record_id,
            entry.instance,
            patch(entry.form.form_name(), changes),
            by=by,
            version=entry.version,
            reason="source",
        )


def delete(entry, *, by):
    """Delete a saved entry."""
    with acting(by, door=Door.REST, reason="source"):
        delete_entry(entry.form, entry.record_id, entry.instance, by=by, version=entry.version, reason="source")


@pytest.fixture
def dose(coordinator, patient):
    """The dosing period of MTP-001."""
    return saved("dosing", by=coordinator, record_id="MTP-001")


@pytest.mark.parametrize("target", TARGETS)
def test_a_locked_entry_is_marked_and_neither_changed_nor_deleted(target, coordinator, data_manager, dose):
    lock(TARGETS[target], by=data_manager)

    assert get_entry(DOSING, "MTP-001", 1, by=coordinator).locked is True
    for action in (lambda: change(dose, {"dose_mg": 10}, by=coordinator), lambda: delete(dose, by=coordinator)):
        with pytest.raises(Locked):
            action()


RAW = {
    "UPDATE": "UPDATE crf_dosing SET dose_mg = 10",
    "UPDATE of the version": "UPDATE crf_dosing SET version = version + 1",
    "deletion as the service does it": "UPDATE crf_dosing SET deleted_at = now()",
    "mark taken off": "UPDATE crf_dosing SET locked = false",
    "mark taken off with a change": "UPDATE crf_dosing SET locked = false, dose_mg = 10",
}


@pytest.mark.parametrize("sql", RAW)
@pytest.mark.parametrize("target", TARGETS)
def test_the_database_refuses_a_change_of_a_locked_row_from_anybody(target, sql, data_manager, dose):
    lock(TARGETS[target], by=data_manager)

    with pytest.raises(IntegrityError, match="locked"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RAW[sql])
    assert list(DOSING.objects.values_list("dose_mg", "locked", "version")) == [(5, True, 1)]


def test_the_orm_updates_no_locked_row(data_manager, dose):
    lock(TARGETS["instance"], by=data_manager)

    with pytest.raises(IntegrityError, match="locked"), transaction.atomic():
        DOSING.objects.update(dose_mg=10)
    row = DOSING.objects.get()
    row.dose_mg = 10
    with pytest.raises(IntegrityError, match="locked"), transaction.atomic():
        DOSING.objects.bulk_update([row], ["dose_mg"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_not_even_the_owner_of_the_tables_deletes_a_locked_row(data_manager, coordinator):
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    lock(TARGETS["instance"], by=data_manager)

    with pytest.raises(Exception, match="locked"), as_owner() as owner:
        owner.execute("DELETE FROM crf_dosing")
    assert DOSING.objects.count() == 1


@pytest.mark.parametrize("target", TARGETS)
def test_a_mark_without_a_lock_is_refused(target, dose):
    for statement in ("UPDATE crf_dosing SET locked = true", "UPDATE crf_patient SET locked = true"):
        with pytest.raises(IntegrityError, match="locked"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("target", TAKES_NO_ROWS)
def test_a_locked_place_takes_no_new_entry_through_any_door(target, coordinator, data_manager, dose, tmp_path):
    lock(TARGETS[target], by=data_manager)
    late = {"dose_start": "2018-01-01", "dose_end": "2018-02-01"}
    (tmp_path / "dosing.csv").write_text("record_id,dose_start,dose_end\nMTP-001,2018-01-01,2018-02-01\n")

    with pytest.raises(Refused) as one, acting(coordinator, door=Door.REST):
        create_entry(submission("dosing", late, record_id="MTP-001"), by=coordinator)
    with acting(coordinator, door=Door.REST):
        bulk = create_entries(
            [
                submission(
                    "dosing", {"dose_start": f"2017-0{day}-01", "dose_end": f"2017-0{day}-02"}, record_id="MTP-001"
                )
                for day in (1, 2)
            ],
            by=coordinator,
            atomic=False,
        )
    by = the_system()
    with pytest.raises(NotLoaded) as loaded, acting(by, door=Door.COMMAND):
        load_folder(tmp_path, by=by)
    with pytest.raises(IntegrityError, match="locked"), transaction.atomic():
        DOSING.objects.create(patient_id="MTP-001", site_id="MTP", instance=9)

    found = [one.value.problems, *(result.problems for result in bulk), loaded.value.problems]
    assert [[problem.code for problem in problems] for problems in found] == [["locked"]] * 4
    assert DOSING.objects.count() == 1


def test_what_is_not_covered_goes_on(coordinator, data_manager, patient):
    saved("patient", by=coordinator)
    lock(Target(record_id="MTP-001", form=DOSING), by=data_manager)

    for name in REPEATING:
        saved(name, by=coordinator, record_id="MTP-002")
        if name != "dosing":
            saved(name, by=coordinator, record_id="MTP-001")
    change(patient, {"sex": "M", "race": None}, by=coordinator)


def test_a_locked_site_enrols_nobody_and_others_do(coordinator, data_manager, patient):
    lock(Target(site="MTP"), by=data_manager)

    with pytest.raises(Refused) as refused:
        saved("patient", by=coordinator)
    assert [problem.code for problem in refused.value.problems] == ["locked"]
    assert saved("patient", by=data_manager, site="NIM").record_id == "NIM-001"


def test_of_a_bulk_call_the_entries_of_open_places_are_saved(coordinator, data_manager, patient):
    saved("patient", by=coordinator)
    lock(Target(record_id="MTP-001"), by=data_manager)

    with acting(coordinator, door=Door.REST):
        results = create_entries(
            [submission("dosing", record_id=record_id) for record_id in ("MTP-001", "MTP-002")],
            by=coordinator,
            atomic=False,
        )

    assert [[problem.code for problem in result.problems] for result in results] == [["locked"], []]


def test_a_refused_entry_is_forgotten_by_the_checks_of_the_others(coordinator, data_manager, patient):
    lock(Target(record_id="MTP-001", form=DOSING), by=data_manager)

    with acting(coordinator, door=Door.REST):
        _refused, event = create_entries(
            [
                submission(
                    "dosing", {"dose_end": "2020-03-01", "dose_stop_reason": "adverse_event"}, record_id="MTP-001"
                ),
                submission("adverse_event", {"ae_action": "discontinued"}, record_id="MTP-001"),
            ],
            by=coordinator,
            atomic=False,
        )

    assert [warning.code for warning in event.entry.warnings] == ["stopped_without_dosing_period"]


@pytest.mark.parametrize("target", ["instance", "form"])
def test_a_patient_with_a_lock_anywhere_is_not_deleted(target, coordinator, data_manager, patient, dose):
    lock(TARGETS[target], by=data_manager)

    with pytest.raises(Locked):
        delete(patient, by=coordinator)


@pytest.mark.parametrize(
    ("place", "of_the_patient", "of_the_site"),
    [("instance", set(), set()), ("form", {"dosing"}, set()), ("patient", None, set()), ("site", None, None)],
)
def test_what_takes_no_additions_is_known_before_one_is_tried(
    place, of_the_patient, of_the_site, data_manager, coordinator, dose
):
    every = {form.form_name() for form in all_forms()}
    placed = lock(TARGETS[place], by=data_manager)

    with acting(coordinator, door=Door.REST):
        there = {form.form_name() for form in service.forms_without_additions("MTP", record_id="MTP-001")}
        new = {form.form_name() for form in service.forms_without_additions("MTP")}
        elsewhere = service.forms_without_additions("NIM")
    unlock(placed, by=data_manager)

    assert there == (every if of_the_patient is None else of_the_patient)
    assert new == (every if of_the_site is None else of_the_site)
    assert elsewhere == frozenset()
    with acting(coordinator, door=Door.REST):
        assert service.forms_without_additions("MTP", record_id="MTP-001") == frozenset()


@pytest.mark.parametrize("target", TARGETS)
def test_a_lifted_lock_lets_changes_through_again(target, coordinator, data_manager, dose):
    placed = lock(TARGETS[target], by=data_manager)

    lifted = unlock(placed, by=data_manager)

    assert (lifted.unlocked_at, lifted.unlock_reason) == (NOW, "a value is wrong")
    assert get_entry(DOSING, "MTP-001", 1, by=coordinator).locked is False
    assert change(dose, {"dose_mg": 10}, by=coordinator).version == 2
    saved("dosing", {"dose_start": "2019-01-01", "dose_end": "2019-02-01"}, by=coordinator, record_id="MTP-001")


def test_what_another_lock_covers_stays_locked(coordinator, data_manager, dose):
    placed = lock(TARGETS["instance"], by=data_manager)
    lock(TARGETS["patient"], by=data_manager)

    unlock(placed, by=data_manager)

    assert get_entry(DOSING, "MTP-001", 1, by=coordinator).locked is True


def test_locking_changes_no_version(coordinator, data_manager, dose):
    unlock(lock(TARGETS["site"], by=data_manager), by=data_manager)

    assert get_entry(DOSING, "MTP-001", 1, by=coordinator) == dose


@pytest.mark.parametrize("target", TARGETS)
def test_a_place_is_locked_once_and_unlocked_once(target, data_manager, dose):
    placed = lock(TARGETS[target], by=data_manager)

    with pytest.raises(service.AlreadyLocked):
        lock(TARGETS[target], by=data_manager)
    unlock(placed, by=data_manager)
    with pytest.raises(service.AlreadyUnlocked):
        unlock(placed, by=data_manager)
    lock(TARGETS[target], by=data_manager)


@pytest.mark.parametrize("role", Role)
def test_only_data_managers_lock_and_unlock(role, data_manager, dose):
    by = caller_now(make_person(role, site="MTP", username="somebody"))
    placed = lock(TARGETS["patient"], by=data_manager)

    if role == Role.DATA_MANAGER:
        lock(TARGETS["instance"], by=by)
        unlock(placed, by=by)
        return
    with pytest.raises(NotAllowed):
        lock(TARGETS["instance"], by=by)
    with pytest.raises(NotAllowed):
        unlock(placed, by=by)


@pytest.mark.parametrize("target", TARGETS)
def test_what_another_site_has_is_not_there_to_lock(target, data_manager, dose):
    by = caller_now(make_person(Role.DATA_MANAGER, site="NIM", username="somebody"))
    placed = lock(TARGETS[target], by=data_manager)

    with pytest.raises(NotFound):
        lock(TARGETS[target], by=by)
    with pytest.raises(NotFound):
        unlock(placed, by=by)


@pytest.mark.parametrize(
    "target",
    [Target(record_id="MTP-002"), Target(record_id="MTP-001", form=DOSING, instance=2), Target(site="ZZZ"), Target()],
)
def test_what_is_not_there_is_not_locked(target, data_manager, dose):
    with pytest.raises(NotFound):
        lock(target, by=data_manager)


def test_locks_leave_a_history(data_manager, dose):
    unlock(lock(TARGETS["instance"], by=data_manager), by=data_manager)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_label, pgh_context->>'username' FROM crf_lockhistory ORDER BY pgh_id")
        assert cursor.fetchall() == [("insert", data_manager.username), ("update", data_manager.username)]
        cursor.execute("SELECT locked FROM crf_dosinghistory ORDER BY pgh_id")
        assert cursor.fetchall() == [(False,), (True,), (False,)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "target"), [("dosing", "form"), ("dosing", "patient"), ("dosing", "site"), ("patient", "site")]
)
def test_who_locks_waits_for_the_writer_at_work_and_marks_what_came(
    form, target, other_writer, coordinator, data_manager
):
    saved("patient", by=coordinator)
    place = {} if form == "patient" else {"record_id": "MTP-001"}
    writer = other_writer(lambda: saved(form, by=coordinator, **place), by=coordinator)
    writer.commits_when_somebody_waits()

    lock(TARGETS[target], by=data_manager)

    writer.ends()
    rows = forms_by_name()[form].objects.values_list("locked", flat=True)
    assert list(rows) == [True] * (2 if form == "patient" else 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.parametrize("target", TAKES_NO_ROWS)
def test_who_writes_waits_for_the_lock_at_work_and_is_refused(target, other_writer, coordinator, data_manager):
    saved("patient", by=coordinator)
    locker = other_writer(lambda: lock(TARGETS[target], by=data_manager), by=data_manager)
    locker.commits_when_somebody_waits()

    with pytest.raises(Refused) as refused:
        saved("dosing", by=coordinator, record_id="MTP-001")

    locker.ends()
    assert [problem.code for problem in refused.value.problems] == ["locked"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_who_enrols_waits_for_the_lock_of_the_site_and_is_refused(other_writer, coordinator, data_manager):
    locker = other_writer(lambda: lock(TARGETS["site"], by=data_manager), by=data_manager)
    locker.commits_when_somebody_waits()

    with pytest.raises(Refused) as refused:
        saved("patient", by=coordinator)

    locker.ends()
    assert [problem.code for problem in refused.value.problems] == ["locked"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_of_two_who_lock_the_same_at_once_one_is_told(coordinator, data_manager):
    saved("patient", by=coordinator)

    outcomes = at_once(*[lambda: lock(TARGETS["patient"], by=data_manager)] * 2)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyLocked", "Lock"]
    assert Lock.objects.count() == 1
