"""Tables that come back: what is new is saved, what differs is changed, what is the same leaves no trace."""

from dataclasses import dataclass, field

import pytest
from django.utils import timezone

from crf.forms import Form, Status, forms_by_name
from crf.locks import Target, lock
from crf.models.data_query import DataQuery, QueryState
from crf.reading import Submission, read_json
from crf.refusals import ReasonNeeded
from crf.upsert import NothingSaved, upsert_entries
from registry.acting import Door, acting
from tests.crf.conftest import at_once
from tests.crf.examples import COMPLETE, saved

pytestmark = pytest.mark.django_db

PATIENT, DOSING = forms_by_name()["patient"], forms_by_name()["dosing"]


@dataclass
class Draft:
    """A draft whose submission is the same whatever is saved."""

    form: type[Form]
    record_id: str
    instance: int | None
    values: dict = field(default_factory=dict)
    site: str | None = None

    def against(self, current):
        """Return the submission; a new patient takes its identifier from it."""
        submission: Submission = read_json(self.form, self.values, creating=False)
        submission.site = self.site
        if current is None and self.form is PATIENT:
            submission.values["record_id"] = self.record_id
        return submission


def upsert(drafts, *, by, reason="A correction"):
    with acting(by, door=Door.REDCAP, reason=reason):
        return upsert_entries(drafts, by=by, reason=reason)


def dose(record_id, instance, **changes):
    return Draft(DOSING, record_id, instance, {**COMPLETE["dosing"], **changes})


def problems(drafts, *, by, **options):
    with pytest.raises(NothingSaved) as caught:
        upsert(drafts, by=by, **options)
    return [
        (index, problem.field, problem.code)
        for index, result in enumerate(caught.value.results)
        for problem in result.problems
    ]


def test_new_and_changed_entries_are_saved_together(coordinator, patient, count):
    saved("dosing", by=coordinator, record_id=patient.record_id)
    drafts = [
        Draft(PATIENT, "MTP-002", None, COMPLETE["patient"]),
        dose("MTP-002", None),
        dose(patient.record_id, 1, dose_end="2020-06-30"),
        dose(patient.record_id, None, dose_start="2020-07-01"),
        Draft(PATIENT, patient.record_id, 1, {"race": "ASIAN"}),
    ]

    results = upsert(drafts, by=coordinator)

    assert [(r.entry.record_id, r.entry.instance, r.entry.version) for r in results] == [
        ("MTP-002", 1, 1),
        ("MTP-002", 1, 1),
        ("MTP-001", 1, 2),
        ("MTP-001", 2, 1),
        ("MTP-001", 1, 2),
    ]
    assert count("crf_dosing") == 3


def test_what_is_the_same_leaves_no_trace(coordinator, patient, count):
    saved("dosing", by=coordinator, record_id=patient.record_id)
    before = count("crf_dosinghistory"), count("crf_patienthistory")

    results = upsert(
        [dose(patient.record_id, 1), Draft(PATIENT, patient.record_id, 1, COMPLETE["patient"])], by=coordinator
    )

    assert [result.entry.version for result in results] == [1, 1]
    assert (count("crf_dosinghistory"), count("crf_patienthistory")) == before


def test_one_refused_draft_refuses_all(coordinator, patient, count):
    drafts = [
        Draft(PATIENT, "MTP-002", None, COMPLETE["patient"]),
        Draft(PATIENT, patient.record_id, 1, {"race": "ASIAN", "sex": "X"}),
        dose("MTP-009", 1),
    ]

    assert problems(drafts, by=coordinator) == [(1, "sex", "unknown_code"), (2, "record_id", "patient_not_found")]
    assert (count("crf_patient"), count("crf_patienthistory")) == (1, 1)


def test_changes_are_judged_by_the_chart_as_it_will_be(coordinator, patient):
    saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id=patient.record_id)
    saved("dosing", {"dose_start": "2020-07-01"}, by=coordinator, record_id=patient.record_id)
    later = [dose("MTP-001", 1, dose_end="2020-07-31"), dose("MTP-001", 2, dose_start="2020-08-01")]
    earlier = [dose("MTP-001", 1, dose_end="2020-05-31"), dose("MTP-001", 2, dose_start="2020-06-01")]
    overlapping = [dose("MTP-001", 1, dose_end="2020-07-31"), dose("MTP-001", 2, dose_start="2020-07-31")]

    upsert(later, by=coordinator)
    upsert(earlier, by=coordinator)

    found = problems(overlapping, by=coordinator)
    assert found == [(0, "dose_start", "overlapping_period"), (1, "dose_start", "overlapping_period")]


def test_what_a_constraint_refuses_is_told_of_its_draft(coordinator, patient):
    """Two periods that change places pass each other in no order; nothing is saved."""
    saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id=patient.record_id)
    saved("dosing", {"dose_start": "2020-07-01", "dose_end": "2020-12-31"}, by=coordinator, record_id=patient.record_id)
    swapped = [
        dose("MTP-001", 1, dose_start="2020-07-01", dose_end="2020-12-31"),
        dose("MTP-001", 2, dose_start="2020-01-01", dose_end="2020-06-30"),
    ]

    ((_index, field_name, code),) = problems(swapped, by=coordinator)

    assert (field_name, code) == ("dose_start", "overlapping_period")


def test_a_complete_form_changes_for_a_reason_only(coordinator, patient):
    change = Draft(PATIENT, patient.record_id, 1, {"race": "ASIAN"})

    with pytest.raises(ReasonNeeded):
        upsert([change], by=coordinator, reason=None)

    assert patient.status == Status.COMPLETE
    assert upsert([change], by=coordinator)[0].entry.version == 2


def test_a_locked_entry_is_refused_where_it_changes(coordinator, data_manager, patient):
    with acting(data_manager, door=Door.REST):
        lock(Target(site="MTP"), reason="cleaned", by=data_manager, now=timezone.now())

    assert upsert([Draft(PATIENT, "MTP-001", 1, COMPLETE["patient"])], by=coordinator)[0].entry.version == 1
    assert problems([Draft(PATIENT, "MTP-001", 1, {"race": "ASIAN"})], by=coordinator) == [(0, None, "locked")]


def test_a_patient_stays_at_the_site(coordinator, data_manager, patient):
    moved = Draft(PATIENT, "MTP-001", 1, {}, site="NIM")

    assert problems([moved], by=data_manager) == [(0, "site", "record_id_of_site")]
    assert upsert([Draft(PATIENT, "MTP-001", 1, {}, site="MTP")], by=data_manager)[0].entry.version == 1


def test_a_patient_of_another_site_is_not_found_and_not_made(coordinator, data_manager):
    saved("patient", by=data_manager, record_id="NIM-001", site="NIM")

    drafts = [Draft(PATIENT, "NIM-001", 1, {"race": "ASIAN"}), dose("NIM-001", 1)]

    codes = {code for _index, _field, code in problems(drafts, by=coordinator)}
    assert codes <= {"record_exists", "unknown_site", "patient_not_found"}


def test_data_queries_follow_what_is_changed_and_what_is_new(coordinator, patient):
    saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id=patient.record_id)

    upsert([dose("MTP-001", 1, dose_mg=12), dose("MTP-001", 2, dose_start="2020-07-01", dose_mg=15)], by=coordinator)
    opened = set(DataQuery.objects.filter(check_code="dose_over_10_mg").values_list("instance", "state"))
    upsert([dose("MTP-001", 1, dose_mg=5)], by=coordinator)

    assert opened == {(1, QueryState.OPEN), (2, QueryState.OPEN)}
    states = DataQuery.objects.filter(check_code="dose_over_10_mg").values_list("instance", "state")
    assert set(states) == {(1, QueryState.CLOSED), (2, QueryState.OPEN)}


def test_a_value_goes_for_a_reason_only(coordinator):
    draft = saved("patient", {"race": "ASIAN"}, by=coordinator, status="incomplete")
    without = Draft(PATIENT, draft.record_id, 1, {"race": None})

    with pytest.raises(ReasonNeeded):
        upsert([without], by=coordinator, reason=None)

    assert upsert([without], by=coordinator)[0].entry.values["race"] is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_calls_with_the_same_table_save_it_once(coordinator, patient, count):
    def send():
        return upsert([dose("MTP-001", 1), Draft(PATIENT, "MTP-001", 1, {"race": "ASIAN"})], by=coordinator)

    results = at_once(send, send)

    assert all(isinstance(result, list) for result in results)
    assert (count("crf_dosing"), count("crf_dosinghistory"), count("crf_patienthistory")) == (1, 1, 2)
