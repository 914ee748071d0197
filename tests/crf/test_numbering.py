"""The identifiers of patients: the next free one, and another one for a patient who has a wrong one."""

from datetime import UTC, datetime

import pytest

from crf import attestations, data_queries, locks
from crf.forms import forms_by_name, patient_form
from crf.models.attestation import Signature, Verification
from crf.models.data_query import DataQuery, DataQueryStep
from crf.models.lock import Lock
from crf.numbering import following, next_record_id, rename_patient
from crf.refusals import Locked
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved

pytestmark = pytest.mark.django_db

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
DOSING = forms_by_name()["dosing"]


def acts(by, service, *arguments, **options):
    """Run a service as somebody."""
    with acting(by, door=Door.REST):
        return service(*arguments, by=by, **options)


@pytest.mark.parametrize(
    ("record_id", "after"), [("MTP-007", "MTP-008"), ("MTP-999", "MTP-1000"), ("A1-0099", "A1-100")]
)
def test_the_identifier_after_another(record_id, after):
    assert following(record_id) == after


def test_the_next_identifier_is_counted_at_each_site(coordinator, patient):
    with acting(coordinator, door=Door.REST):
        assert (next_record_id("MTP"), next_record_id("NIM")) == ("MTP-002", "NIM-001")


def test_what_is_known_of_a_patient_follows_the_new_identifier(coordinator, data_manager, patient):
    """Entries, queries with their steps, verifications, signatures and lifted locks."""
    saved("dosing", {"dose_mg": 12}, by=coordinator, record_id="MTP-001")
    monitor = caller_now(make_person(Role.MONITOR, site="MTP"))
    investigator = caller_now(make_person(Role.INVESTIGATOR, site="MTP"))
    acts(monitor, data_queries.open_query, DOSING, "MTP-001", 1, variable="dose_mg", text="So much?", now=NOW)
    acts(monitor, attestations.verify, DOSING, "MTP-001", 1, version=1, now=NOW)
    acts(investigator, attestations.sign_patient, "MTP-001", meaning="approved", now=NOW)
    placed = acts(data_manager, locks.lock, locks.Target(record_id="MTP-001"), reason="cleaned", now=NOW)
    acts(data_manager, locks.unlock, placed.pk, reason="a wrong identifier", now=NOW)

    acts(coordinator, rename_patient, "MTP-001", to="MTP-009")

    for model in (DOSING, DataQuery, DataQueryStep, Verification, Signature, Lock):
        assert set(model.objects.values_list("patient_id", flat=True)) == {"MTP-009"}, model
    assert list(patient_form().objects.values_list("record_id", "number", "version")) == [("MTP-009", 9, 2)]


@pytest.mark.parametrize(
    "target",
    [
        locks.Target(site="MTP"),
        locks.Target(record_id="MTP-001"),
        locks.Target(record_id="MTP-001", form=DOSING),
        locks.Target(record_id="MTP-001", form=DOSING, instance=1),
    ],
    ids=["site", "patient", "form", "instance"],
)
def test_a_patient_under_any_lock_keeps_the_identifier(coordinator, data_manager, patient, target):
    saved("dosing", by=coordinator, record_id="MTP-001")
    acts(data_manager, locks.lock, target, reason="cleaned", now=NOW)

    with pytest.raises(Locked):
        acts(coordinator, rename_patient, "MTP-001", to="MTP-009")
