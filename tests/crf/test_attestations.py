"""Verification and signature: bound to exact values, dropped with a trace when they change (negative tests: 17)."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from crf import attestations as service
from crf.entry import change_entry, delete_entry
from crf.forms import forms_by_name
from crf.locks import Target, lock
from crf.models.attestation import Meaning, Signature, Verification
from crf.refusals import NotAllowed, NotFound, Stale
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import as_owner, caller_now, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import COMPLETE, REPEATING, patch, saved

NOW = datetime(2024, 3, 12, 9, tzinfo=UTC)
DOSING = forms_by_name()["dosing"]


@pytest.fixture
def monitor(sites):
    """A monitor of MTP."""
    return caller_now(make_person(Role.MONITOR, site="MTP", username="monitor.mtp"))


@pytest.fixture
def investigator(sites):
    """An investigator of MTP."""
    return caller_now(make_person(Role.INVESTIGATOR, site="MTP", username="investigator.mtp"))


@pytest.fixture
def dose(coordinator, patient):
    """The dosing period of MTP-001."""
    return saved("dosing", by=coordinator, record_id="MTP-001")


def verify(entry, *, by, version=None):
    """Verify an entry."""
    with acting(by, door=Door.REST):
        place = (entry.form, entry.record_id, entry.instance)
        return service.verify(*place, version=version or entry.version, by=by, now=NOW)


def sign(entry, *, by, version=None, meaning=Meaning.APPROVED):
    """Sign an entry."""
    with acting(by, door=Door.REST):
        place = (entry.form, entry.record_id, entry.instance)
        return service.sign_entry(*place, version=version or entry.version, meaning=meaning, by=by, now=NOW)


def sign_patient(*, by, record_id="MTP-001"):
    """Sign a patient with all entries."""
    with acting(by, door=Door.REST):
        return service.sign_patient(record_id, meaning=Meaning.RESPONSIBLE, by=by, now=NOW)


def change(entry, changes, *, by, reason="source document"):
    """Change a saved entry."""
    with acting(by, door=Door.REST, reason=reason):
        place = (entry.form, entry.record_id, entry.instance)
        submission = patch(entry.form.form_name(), changes)
        return change_entry(*place, submission, by=by, version=entry.version, reason=reason)


def dropped():
    """Return the variables that dropped each verification and signature, None for what is in force."""
    return [
        list(model.objects.order_by("id").values_list("dropped_variables", flat=True))
        for model in (Verification, Signature)
    ]


def test_both_keep_name_time_version_and_the_digest_of_the_values(monitor, investigator, dose):
    verification, signature = verify(dose, by=monitor), sign(dose, by=investigator)

    digest = hashlib.sha256(service.canonical(dose)).hexdigest()
    for found, name in ((verification, monitor.username), (signature, investigator.username)):
        assert (found.name, found.at, found.version, found.sha256) == (name, NOW, 1, digest)
    assert (signature.meaning, dropped()) == ("approved", [[None], [None]])


def test_the_canonical_spelling_is_json_with_sorted_names_and_texts(dose):
    spelled = service.canonical(dose)

    content = json.loads(spelled)
    assert spelled == json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert (content["values"]["dose_mg"], content["values"]["dose_end"]) == ("5", None)
    assert content.keys() == {"record_id", "form", "instance", "status", "missing", "values"}


# Dropped when a value changes, whichever way


def by_the_service(entry, coordinator):
    change(entry, {"dose_mg": 10}, by=coordinator)


def by_the_orm(_entry, _coordinator):
    DOSING.objects.update(dose_mg=10)


def by_bulk_update(_entry, _coordinator):
    row = DOSING.objects.get()
    row.dose_mg = 10
    DOSING.objects.bulk_update([row], ["dose_mg"])


def by_sql(_entry, _coordinator):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crf_dosing SET dose_mg = 10")


@pytest.mark.parametrize("write", [by_the_service, by_the_orm, by_bulk_update, by_sql])
def test_one_changed_value_drops_both_and_the_trace_says_which(write, monitor, investigator, coordinator, dose):
    verify(dose, by=monitor)
    sign(dose, by=investigator)

    write(dose, coordinator)

    assert dropped() == [[["dose_mg"]], [["dose_mg"]]]


def test_the_trace_says_when_and_by_which_change(investigator, coordinator, dose):
    sign(dose, by=investigator)

    change(
        dose,
        {"dose_mg": 10, "dose_comment": "As prescribed."} if "dose_comment" in dose.values else {"dose_mg": 10},
        by=coordinator,
    )

    signature = Signature.objects.get()
    assert (signature.dropped_version, signature.dropped_at is not None) == (2, True)
    said = {key: signature.dropped_by[key] for key in ("username", "door", "reason")}
    assert said == {"username": coordinator.username, "door": "rest", "reason": "source document"}


@pytest.mark.parametrize(
    ("changes", "variables"),
    [
        ({"status": "unverified"}, ["status"]),
        ({"missing": {"dose_end": "UNK"}}, ["missing"]),
        ({"dose_mg": 10, "dose_schedule": "alternate_days"}, ["dose_mg", "dose_schedule"]),
    ],
)
def test_status_and_missing_reasons_count_as_values(changes, variables, investigator, coordinator, dose):
    if "dose_schedule" in changes:
        codes = list(DOSING.variables()["dose_schedule"].codes)
        changes = changes | {"dose_schedule": next(code for code in codes if code not in ("daily", "other"))}
    sign(dose, by=investigator)

    change(dose, changes, by=coordinator)

    assert dropped() == [[], [variables]]


def test_deleting_drops_and_leaves_the_rows(monitor, investigator, coordinator, dose):
    verify(dose, by=monitor)
    sign(dose, by=investigator)

    with acting(coordinator, door=Door.REST, reason="entered twice"):
        delete_entry(DOSING, "MTP-001", 1, by=coordinator, version=1, reason="entered twice")

    assert dropped() == [[["deleted_at"]], [["deleted_at"]]]


def test_what_changes_nothing_drops_nothing(investigator, coordinator, dose):
    sign(dose, by=investigator)

    change(dose, {"dose_mg": 5}, by=coordinator)
    DOSING.objects.update(version=7)

    assert dropped() == [[], [None]]


def test_a_change_drops_nothing_of_other_entries(investigator, coordinator, dose, patient):
    other = saved("dosing", {"dose_start": "2019-01-01", "dose_end": "2019-02-01"}, by=coordinator, record_id="MTP-001")
    sign(other, by=investigator)
    sign(patient, by=investigator)

    change(dose, {"dose_mg": 10}, by=coordinator)

    assert dropped() == [[], [None, None]]


@pytest.mark.parametrize("name", COMPLETE)
def test_every_form_drops_what_was_attested_of_it(name, monitor, coordinator, patient):
    entry = patient if name == "patient" else saved(name, by=coordinator, record_id="MTP-001")
    verify(entry, by=monitor)

    entry.form.objects.update(status=1)

    assert dropped() == [[["status"]], []]


def test_a_dropped_one_is_given_again_and_the_trace_stays(monitor, coordinator, dose):
    verify(dose, by=monitor)
    now = change(dose, {"dose_mg": 10}, by=coordinator)

    verify(now, by=monitor)

    assert dropped() == [[["dose_mg"], None], []]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_row_that_the_owner_of_the_tables_removes_drops_what_was_attested(monitor, coordinator):
    saved("patient", by=coordinator)
    verify(saved("dosing", by=coordinator, record_id="MTP-001"), by=monitor)

    with as_owner() as owner:
        owner.execute("DELETE FROM crf_dosing")

    assert dropped() == [[["deleted_at"]], []]


# Who, what and when


def test_a_locked_entry_is_verified_and_signed(monitor, investigator, data_manager, dose):
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=NOW)

    verify(dose, by=monitor)
    sign(dose, by=investigator)

    assert dropped() == [[None], [None]]


def test_locking_drops_nothing(investigator, data_manager, dose):
    sign(dose, by=investigator)

    with acting(data_manager, door=Door.REST):
        lock(Target(site="MTP"), reason="cleaned", by=data_manager, now=NOW)

    assert dropped() == [[], [None]]


def test_only_a_complete_form_is_signed_and_any_is_verified(monitor, investigator, coordinator, patient):
    entry = saved("dosing", by=coordinator, record_id="MTP-001", status="incomplete")

    with pytest.raises(service.NotComplete) as caught:
        sign(entry, by=investigator)
    assert caught.value.entries == [entry]
    verify(entry, by=monitor)


@pytest.mark.parametrize("act", [verify, sign])
def test_a_version_that_is_not_the_present_one_is_not_attested(act, monitor, investigator, coordinator, dose):
    change(dose, {"dose_mg": 10}, by=coordinator)

    with pytest.raises(Stale):
        act(dose, by=monitor if act is verify else investigator)
    assert dropped() == [[], []]


def test_the_same_is_attested_once(monitor, investigator, dose):
    for act, by in ((verify, monitor), (sign, investigator)):
        act(dose, by=by)
        with pytest.raises(service.AlreadyAttested):
            act(dose, by=by)
    sign(dose, by=investigator, meaning=Meaning.REVIEWED)


@pytest.mark.parametrize("role", Role)
def test_monitors_verify_and_investigators_sign(role, dose):
    by = caller_now(make_person(role, site="MTP", username="somebody"))

    for act, may in ((verify, Role.MONITOR), (sign, Role.INVESTIGATOR)):
        if role == may:
            act(dose, by=by)
        else:
            with pytest.raises(NotAllowed):
                act(dose, by=by)


@pytest.mark.parametrize(("act", "role"), [(verify, Role.MONITOR), (sign, Role.INVESTIGATOR)])
def test_what_another_site_has_is_not_there(act, role, dose):
    with pytest.raises(NotFound):
        act(dose, by=caller_now(make_person(role, site="NIM", username="somebody")))


def test_a_patient_is_signed_with_every_entry_and_only_the_changed_one_drops(investigator, coordinator, patient):
    entries = [saved(name, by=coordinator, record_id="MTP-001") for name in REPEATING]

    signed = sign_patient(by=investigator)

    assert [signature.form for signature in signed] == list(COMPLETE)
    change(entries[REPEATING.index("dosing")], {"dose_mg": 10}, by=coordinator)
    in_force = Signature.objects.filter(dropped_at=None).values_list("form", flat=True)
    assert sorted(in_force) == sorted(set(COMPLETE) - {"dosing"})
    assert [signature.form for signature in sign_patient(by=investigator)] == ["dosing"]
    with pytest.raises(service.AlreadyAttested):
        sign_patient(by=investigator)


def test_a_patient_with_an_incomplete_form_is_not_signed(investigator, coordinator, patient):
    entry = saved("dosing", by=coordinator, record_id="MTP-001", status="incomplete")

    with pytest.raises(service.NotComplete) as caught:
        sign_patient(by=investigator)

    assert caught.value.entries == [entry]
    assert dropped() == [[], []]


@pytest.mark.parametrize("table", ["crf_verification", "crf_signature"])
@pytest.mark.parametrize("sql", ["UPDATE {} SET dropped_at = NULL", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_application_takes_nothing_back(sql, table, monitor, investigator, dose):
    verify(dose, by=monitor)
    sign(dose, by=investigator)

    with pytest.raises(Exception, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.format(table))
    assert dropped() == [[None], [None]]


def test_attestations_leave_a_history(monitor, investigator, coordinator, dose):
    verify(dose, by=monitor)
    sign(dose, by=investigator)
    change(dose, {"dose_mg": 10}, by=coordinator)

    with connection.cursor() as cursor:
        for table, by in (("verification", monitor), ("signature", investigator)):
            cursor.execute(f"SELECT pgh_label, pgh_context->>'username' FROM crf_{table}history ORDER BY pgh_id")  # noqa: S608 -- constants
            assert cursor.fetchall() == [("insert", by.username), ("update", coordinator.username)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_signature_and_a_change_at_once_leave_no_signature_under_values_nobody_saw(investigator, coordinator):
    saved("patient", by=coordinator)
    dose = saved("dosing", by=coordinator, record_id="MTP-001")

    signed, _changed = at_once(
        lambda: sign(dose, by=investigator), lambda: change(dose, {"dose_mg": 10}, by=coordinator)
    )

    assert isinstance(signed, Stale) or dropped() == [[], [["dose_mg"]]]
    assert not Signature.objects.filter(dropped_at=None).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_signature_waits_for_a_change_made_past_the_service(other_writer, investigator, coordinator):
    saved("patient", by=coordinator)
    dose = saved("dosing", by=coordinator, record_id="MTP-001")

    def write():
        with acting(coordinator, door=Door.REST):
            DOSING.objects.update(dose_mg=10, version=2)

    writer = other_writer(write, by=coordinator)
    writer.commits_when_somebody_waits()

    with pytest.raises(Stale):
        sign(dose, by=investigator)
    writer.ends()
