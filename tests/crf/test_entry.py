# ruff: noqa: RUF001 -- digits and signs of other scripts are what is tested

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from crf import locks
from crf.entry import change_entry, create_entries, create_entry, delete_entry, get_entry
from crf.forms import Status, all_forms, forms_by_name
from crf.models.chart_change import ChartChange
from crf.partial_dates import PartialDate
from crf.refusals import Locked, NotAllowed, NotFound, ReasonNeeded, Refused, Stale
from registry.acting import Door, acting, acting_as_the_system
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import COMPLETE, REPEATING, patch, saved, submission

PATIENT, DOSING = forms_by_name()["patient"], forms_by_name()["dosing"]


def refused(name, changes=None, *, by, **place):
    """Return field and code of each problem with which an entry is refused."""
    with pytest.raises(Refused) as caught:
        saved(name, changes, by=by, **place)
    return [(problem.field, problem.code) for problem in caught.value.problems]


def changed(entry, changes, *, by, version=None, reason=None):
    """Change a saved entry."""
    with acting(by, door=Door.REST, reason=reason):
        return change_entry(
            entry.form,
            entry.record_id,
            entry.instance,
            patch(entry.form.form_name(), changes),
            by=by,
            version=version or entry.version,
            reason=reason,
        )


def deleted(entry, *, by, version=None, reason="entered twice"):
    """Delete a saved entry."""
    with acting(by, door=Door.REST, reason=reason):
        delete_entry(
            entry.form, entry.record_id, entry.instance, by=by, version=version or entry.version, reason=reason
        )


def history(form):
    """Return the history of a form, oldest first: what happened and the version that came of it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pgh_label, version FROM crf_{form}history ORDER BY pgh_id")  # noqa: S608
        return cursor.fetchall()


# Create


@pytest.mark.parametrize("name", REPEATING)
def test_a_saved_entry_is_read_back_as_it_was_returned(name, coordinator, patient):
    entry = saved(name, by=coordinator, record_id=patient.record_id)

    assert get_entry(entry.form, patient.record_id, 1, by=coordinator) == entry
    assert (entry.record_id, entry.site, entry.instance, entry.version, entry.locked) == ("MTP-001", "MTP", 1, 1, False)
    assert entry.values.keys() == entry.form.variables().keys()


def test_a_saved_patient_is_read_back_with_every_kind_of_value(coordinator):
    values = {
        "cle_subtype": ["other", "dle"],
        "cle_subtype_other": "nodular",
        "diagnosis_date": "2003-01",
        "race": None,
    }

    entry = saved("patient", values, by=coordinator)

    read = get_entry(PATIENT, "MTP-001", 1, by=coordinator)
    assert read == entry
    assert read.values["cle_subtype"] == ["dle", "other"]
    assert read.values["diagnosis_date"] == PartialDate(2003, 1)
    assert read.values["birth_date"] == date(1970, 5, 1)
    assert read.values["systemic_lupus"] is False
    assert read.values["race"] is None


def test_decimals_are_kept_exactly(coordinator, patient):
    entry = saved("dosing", {"dose_mg": Decimal("2.5")}, by=coordinator, record_id=patient.record_id)

    assert str(get_entry(DOSING, entry.record_id, 1, by=coordinator).values["dose_mg"]) == "2.50"


def test_the_record_id_is_the_next_of_the_site(coordinator, data_manager):
    found = [saved("patient", by=coordinator).record_id for _time in range(2)]
    found.append(saved("patient", by=data_manager, site="NIM").record_id)
    found.append(saved("patient", by=coordinator, record_id="MTP-041").record_id)
    found.append(saved("patient", by=coordinator).record_id)

    assert found == ["MTP-001", "MTP-002", "NIM-001", "MTP-041", "MTP-042"]


def test_the_record_id_has_three_digits_and_more_when_needed(coordinator):
    saved("patient", by=coordinator, record_id="MTP-999")

    assert saved("patient", by=coordinator).record_id == "MTP-1000"


def test_the_number_of_a_deleted_patient_is_not_given_again(coordinator):
    deleted(saved("patient", by=coordinator), by=coordinator)

    assert saved("patient", by=coordinator).record_id == "MTP-002"
    assert refused("patient", by=coordinator, record_id="MTP-001") == [("record_id", "record_exists")]


def test_when_a_site_is_full_the_next_patient_is_refused_in_words(coordinator):
    saved("patient", by=coordinator, record_id="MTP-9999999")

    assert refused("patient", by=coordinator) == [("record_id", "record_id_of_site")]


@pytest.mark.parametrize(
    "record_id",
    [
        "MTP-1",
        "MTP-01",
        "MTP-12345678",
        "mtp-001",
        "MTP001",
        "MTP-001 ",
        "MTP-00a",
        "MTP-٠٠١",
        "NIM-001",
        "M-001",
    ],
)
def test_a_record_id_that_is_not_of_the_site_is_refused(record_id, coordinator):
    assert refused("patient", by=coordinator, record_id=record_id, site="MTP") == [("record_id", "record_id_of_site")]


def test_a_number_is_given_once_however_many_zeros_lead_it(coordinator):
    saved("patient", by=coordinator, record_id="MTP-0001")

    assert refused("patient", by=coordinator, record_id="MTP-001") == [("record_id", "record_exists")]
    assert saved("patient", by=coordinator).record_id == "MTP-002"


def test_a_record_id_names_the_site_when_none_is_given(data_manager):
    assert saved("patient", by=data_manager, record_id="NIM-007").site == "NIM"
    assert refused("patient", by=data_manager) == [("site", "required")]


def test_a_patient_of_another_site_is_refused_as_if_the_site_did_not_exist(coordinator):
    assert refused("patient", by=coordinator, site="NIM") == [("site", "unknown_site")]
    assert refused("patient", by=coordinator, site="ZZZ") == [("site", "unknown_site")]
    assert refused("patient", by=coordinator, record_id="NIM-001") == [("site", "unknown_site")]
    assert refused("patient", by=coordinator, record_id="ZZZ-001") == [("site", "unknown_site")]


def test_a_record_id_is_given_once(coordinator, patient, count):
    assert refused("patient", by=coordinator, record_id="MTP-001") == [("record_id", "record_exists")]
    assert count("crf_patient") == 1


def test_instances_count_from_1_and_go_on_after_the_highest(coordinator, patient):
    found = [
        saved("lesion_assessment", by=coordinator, record_id="MTP-001", instance=instance).instance
        for instance in (None, None, 7, None, 3)
    ]

    assert found == [1, 2, 7, 8, 3]


def test_an_instance_is_given_once_even_after_its_entry_was_deleted(coordinator, patient):
    entry = saved("lesion_assessment", by=coordinator, record_id="MTP-001")

    assert refused("lesion_assessment", by=coordinator, record_id="MTP-001", instance=1) == [
        ("instance", "entry_exists")
    ]
    deleted(entry, by=coordinator)
    assert refused("lesion_assessment", by=coordinator, record_id="MTP-001", instance=1) == [
        ("instance", "entry_exists")
    ]
    assert saved("lesion_assessment", by=coordinator, record_id="MTP-001").instance == 2


@pytest.mark.parametrize(
    ("instance", "code"),
    [(0, "out_of_range"), (-1, "out_of_range"), (32_768, "out_of_range"), (10**30, "out_of_range")],
)
def test_an_instance_beyond_what_can_be_numbered_is_refused(instance, code, coordinator, patient):
    assert refused("lesion_assessment", by=coordinator, record_id="MTP-001", instance=instance) == [("instance", code)]


def test_the_highest_instance_is_saved_and_no_next_one_found_after_it(coordinator, patient):
    assert saved("lesion_assessment", by=coordinator, record_id="MTP-001", instance=32_767).instance == 32_767
    assert refused("lesion_assessment", by=coordinator, record_id="MTP-001") == [("instance", "out_of_range")]


def test_a_patient_form_has_no_second_instance(coordinator):
    assert saved("patient", by=coordinator, instance=1).instance == 1
    assert refused("patient", by=coordinator, instance=2) == [("instance", "out_of_range")]


def test_a_patient_that_does_not_exist_and_one_of_another_site_are_refused_alike(coordinator, data_manager):
    saved("patient", by=data_manager, site="NIM")

    for record_id in ("NIM-001", "NIM-002", None, "", "x", "MTP-001\x00"):
        assert refused("dosing", by=coordinator, record_id=record_id) == [("record_id", "patient_not_found")]


def test_a_deleted_patient_takes_no_entries(coordinator, patient):
    deleted(patient, by=coordinator)

    assert refused("dosing", by=coordinator, record_id="MTP-001") == [("record_id", "patient_not_found")]


@pytest.mark.parametrize("name", COMPLETE)
def test_without_a_status_an_entry_with_every_required_value_is_complete(name, coordinator, patient):
    place = {} if name == "patient" else {"record_id": "MTP-001"}
    required = next(iter(COMPLETE[name]))

    assert saved(name, by=coordinator, **place).status is Status.COMPLETE
    if name != "dosing":  # two periods would overlap
        assert saved(name, {required: None}, by=coordinator, **place).status is Status.INCOMPLETE
        assert (
            saved(name, {required: None}, by=coordinator, missing={required: "UNK"}, **place).status is Status.COMPLETE
        )


@pytest.mark.parametrize("status", ["incomplete", "unverified", "complete"])
def test_the_status_that_is_asked_for_is_kept(status, coordinator):
    assert str(saved("patient", by=coordinator, status=status).status.label) == status


def test_an_entry_that_is_not_complete_may_lack_what_is_required_and_a_complete_one_may_not(coordinator):
    assert saved("patient", {"sex": None}, by=coordinator, status="unverified").values["sex"] is None
    assert refused("patient", {"sex": None}, by=coordinator, status="complete") == [("sex", "required")]


def test_missing_reasons_stand_beside_the_value_and_never_in_it(coordinator):
    entry = saved("patient", by=coordinator, missing={"race": "NASK", "smoking_status": "UNK"})

    read = get_entry(PATIENT, entry.record_id, 1, by=coordinator)
    assert read.missing == {"race": "NASK", "smoking_status": "UNK"}
    assert (read.values["race"], read.values["smoking_status"]) == (None, None)


def test_one_problem_a_field_is_reported_and_every_field_is(coordinator, patient, count):
    wrong = {"dose_start": "2020-02-02", "dose_end": "2020-02-01", "dose_mg": 26, "antithrombotic": "x", "dose": 1}

    found = refused(
        "dosing", {**wrong, "dose_stop_reason": "lost"}, by=coordinator, record_id="MTP-001", status="complete"
    )

    assert sorted(found) == [
        ("antithrombotic", "unknown_code"),
        ("dose", "unknown_field"),
        ("dose_end", "end_before_start"),
        ("dose_mg", "out_of_range"),
    ]
    assert count("crf_dosing") == count("crf_dosinghistory") == 0


def test_today_is_that_of_the_moment_the_entry_is_saved(coordinator):
    now = datetime(2024, 3, 12, 23, 59, tzinfo=UTC)

    with acting(coordinator, door=Door.REST):
        today = create_entry(submission("patient", {"last_contact_date": "2024-03-12"}), by=coordinator, now=now)
        with pytest.raises(Refused) as caught:
            create_entry(submission("patient", {"last_contact_date": "2024-03-13"}), by=coordinator, now=now)

    assert today.updated_at == now
    assert [problem.code for problem in caught.value.problems] == ["future_date"]


def test_warnings_come_with_the_entry_when_it_is_saved_and_when_it_is_read(coordinator, patient):
    entry = saved("dosing", {"dose_mg": 15}, by=coordinator, record_id="MTP-001")

    assert sorted(finding.code for finding in entry.warnings) == ["dose_over_10_mg", "first_dose_not_5_mg"]
    assert get_entry(DOSING, "MTP-001", 1, by=coordinator).warnings == entry.warnings


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.MONITOR])
def test_who_only_reads_enters_nothing(role, patient, count):
    reader = caller_now(make_person(role, site="MTP"))

    assert refused("patient", by=reader, site="MTP") == [("record_id", "not_allowed")]
    assert refused("patient", by=reader) == [("record_id", "not_allowed")]
    assert refused("dosing", by=reader, record_id="MTP-001") == [("record_id", "not_allowed")]
    assert (count("crf_patient"), count("crf_dosing")) == (1, 0)


# Several in one call


def test_a_patient_and_the_other_forms_come_in_one_call_in_any_order(coordinator):
    entries = [submission(name, record_id="MTP-005") for name in reversed(COMPLETE)]

    with acting(coordinator, door=Door.REST):
        results = create_entries(entries, by=coordinator)

    assert [result.entry.form.form_name() for result in results] == list(reversed(COMPLETE))
    assert {result.entry.record_id for result in results} == {"MTP-005"}


def create(entries, *, by, atomic):
    """Return the codes of the problems of each entry of one call; an empty list for one that was saved."""
    with acting(by, door=Door.REST):
        results = create_entries(entries, by=by, atomic=atomic)
    return [[problem.code for problem in result.problems] for result in results]


def test_one_bad_entry_refuses_all_when_the_call_is_atomic(coordinator, patient, count):
    entries = [submission("lesion_assessment", record_id="MTP-001") for _time in range(3)]
    entries[1] = submission("lesion_assessment", {"clasi_activity": 71}, record_id="MTP-001")

    with pytest.raises(Refused) as caught:
        create(entries, by=coordinator, atomic=True)

    assert [problem.code for problem in caught.value.problems] == ["out_of_range"]
    assert count("crf_lesionassessment") == count("crf_lesionassessmenthistory") == 0


def test_the_good_entries_are_saved_when_the_call_is_not_atomic(coordinator, patient):
    entries = [submission("lesion_assessment", record_id="MTP-001") for _time in range(3)]
    entries[1] = submission("lesion_assessment", {"clasi_activity": 71}, record_id="MTP-001")

    assert create(entries, by=coordinator, atomic=False) == [[], ["out_of_range"], []]
    assert [get_entry(entries[0].form, "MTP-001", n, by=coordinator).instance for n in (1, 2)] == [1, 2]


def test_the_forms_of_a_refused_patient_are_refused_with_it(coordinator, count):
    entries = [
        submission("patient", {"sex": "X"}, record_id="MTP-001"),
        submission("dosing", record_id="MTP-001"),
        submission("patient", record_id="MTP-002"),
        submission("dosing", record_id="MTP-002"),
    ]

    found = create(entries, by=coordinator, atomic=False)

    assert found == [["unknown_code"], ["patient_not_found"], [], []]
    assert count("crf_dosing") == 1


def test_a_record_id_twice_in_one_call_is_refused_the_second_time(coordinator):
    entries = [submission("patient", record_id="MTP-001"), submission("patient", record_id="MTP-001")]

    assert create(entries, by=coordinator, atomic=False) == [[], ["record_exists"]]


def test_an_instance_twice_in_one_call_is_refused_the_second_time(coordinator, patient):
    entries = [submission("lesion_assessment", record_id="MTP-001", instance=n) for n in (1, 1, None, 2)]

    assert create(entries, by=coordinator, atomic=False) == [[], ["entry_exists"], [], ["entry_exists"]]


def test_periods_that_overlap_within_one_call_are_refused_from_the_second(coordinator, patient):
    periods = [("2020-01-01", "2020-01-31"), ("2020-01-31", "2020-02-10"), ("2020-02-01", None), ("2020-06-01", None)]
    entries = [submission("dosing", {"dose_start": a, "dose_end": b}, record_id="MTP-001") for a, b in periods]

    assert create(entries, by=coordinator, atomic=False) == [[], ["overlapping_period"], [], ["overlapping_period"]]


def test_record_ids_given_in_one_call_follow_those_that_are_asked_for(coordinator, data_manager):
    entries = [
        submission("patient", site="MTP"),
        submission("patient", record_id="MTP-010"),
        submission("patient", site="NIM"),
        submission("patient", site="MTP"),
    ]

    with acting(data_manager, door=Door.REST):
        results = create_entries(entries, by=data_manager)

    assert [result.entry.record_id for result in results] == ["MTP-001", "MTP-010", "NIM-001", "MTP-011"]


@pytest.mark.parametrize("how_many", [19, 20, 60])
def test_few_and_many_entries_are_saved_alike(how_many, coordinator, patient):
    hostile = {"ae_notes": 'tab\tline\nreturn\r"quoted" \\N \\. null {a,b} é 🦋', "ae_serious": True}
    hostile["ae_serious_criteria"] = ["death", "disability"]
    entries = [submission("adverse_event", hostile, record_id="MTP-001", missing={"ae_end": "UNK"})] * how_many

    with acting(coordinator, door=Door.REST):
        results = create_entries([*entries], by=coordinator)

    assert [result.entry.instance for result in results] == list(range(1, how_many + 1))
    assert get_entry(results[0].entry.form, "MTP-001", how_many, by=coordinator) == results[-1].entry
    assert history("adverseevent") == [("insert", 1)] * how_many


def test_nothing_in_is_nothing_out(coordinator):
    assert create([], by=coordinator, atomic=True) == []


def test_the_queries_of_a_call_do_not_grow_with_its_entries(coordinator, patient, django_assert_num_queries):
    def lesions(how_many):
        return [submission("lesion_assessment", record_id="MTP-001") for _time in range(how_many)]

    create(lesions(3), by=coordinator, atomic=True)
    for how_many in (3, 15):
        with django_assert_num_queries(4):
            create(lesions(how_many), by=coordinator, atomic=True)


# Change


def test_a_change_sets_what_was_sent_clears_what_was_null_and_keeps_the_rest(coordinator):
    entry = saved("patient", {"race": "WHITE", "smoking_status": "never"}, by=coordinator, status="unverified")

    after = changed(entry, {"race": None, "smoking_status": "former"}, by=coordinator, reason="not in the source")

    assert after == get_entry(PATIENT, "MTP-001", 1, by=coordinator)
    assert after.values == {**entry.values, "race": None, "smoking_status": "former"}
    assert (after.version, after.status) == (2, Status.UNVERIFIED)
    assert history("patient") == [("insert", 1), ("update", 2)]


def test_clearing_a_value_needs_a_reason_or_says_why_it_is_missing_whatever_the_status(coordinator):
    entry = saved("patient", {"race": "WHITE"}, by=coordinator, status="incomplete")

    with pytest.raises(ReasonNeeded):
        changed(entry, {"race": None}, by=coordinator)
    assert get_entry(PATIENT, "MTP-001", 1, by=coordinator) == entry
    after = changed(entry, {"race": None, "missing": {"race": "UNK"}}, by=coordinator)
    assert (after.values["race"], after.missing) == (None, {"race": "UNK"})


def test_what_is_absent_null_blank_or_missing_is_told_apart_and_only_taking_away_needs_a_reason(coordinator):
    entry = saved("patient", {"race": "WHITE"}, by=coordinator, status="incomplete")

    assert changed(entry, {}, by=coordinator).values["race"] == "WHITE"
    assert changed(entry, {"smoking_status": None}, by=coordinator).version == 1
    for blank in ("", "  "):
        with pytest.raises(Refused):
            changed(entry, {"race": blank}, by=coordinator)
    cleared = changed(entry, {"race": None}, by=coordinator, reason="not in the source")
    assert (cleared.values["race"], cleared.missing, cleared.version) == (None, {}, 2)


def test_a_change_that_changes_nothing_leaves_version_and_history_as_they_are(coordinator, patient):
    for nothing in (
        {},
        {"sex": "M"},
        {"status": "complete"},
        {"missing": {}},
        {"race": None},
        {"cle_subtype": ["dle"]},
    ):
        assert changed(patient, nothing, by=coordinator).version == 1

    assert history("patient") == [("insert", 1)]
    assert get_entry(PATIENT, "MTP-001", 1, by=coordinator).updated_at == patient.updated_at


def test_a_stale_change_is_refused_with_what_is_saved_and_what_was_sent(coordinator, patient):
    changed(patient, {"sex": "F"}, by=coordinator, reason="typing error")

    with pytest.raises(Stale) as caught:
        changed(patient, {"sex": "U", "race": "ASIAN"}, by=coordinator, reason="typing error")

    assert caught.value.current == get_entry(PATIENT, "MTP-001", 1, by=coordinator)
    assert caught.value.yours.values == {"sex": "U", "race": "ASIAN"}
    assert history("patient") == [("insert", 1), ("update", 2)]


def test_a_version_that_is_still_to_come_is_stale_as_well(coordinator, patient):
    with pytest.raises(Stale):
        changed(patient, {"sex": "F"}, by=coordinator, version=2, reason="typing error")


@pytest.mark.parametrize(
    "change", [{"sex": "F"}, {"race": "ASIAN"}, {"missing": {"race": "UNK"}}, {"status": "incomplete"}]
)
def test_a_complete_form_is_changed_with_a_reason_only(change, coordinator, patient):
    with pytest.raises(ReasonNeeded):
        changed(patient, change, by=coordinator)

    assert changed(patient, change, by=coordinator, reason="source document").version == 2


@pytest.mark.parametrize("status", ["incomplete", "unverified"])
def test_a_form_that_is_not_complete_is_changed_and_completed_without_a_reason(status, coordinator):
    entry = saved("patient", by=coordinator, status=status)

    assert changed(entry, {"sex": "F", "status": "complete"}, by=coordinator).status is Status.COMPLETE


def test_a_change_keeps_the_status_unless_another_is_sent(coordinator):
    entry = saved("patient", {"sex": None}, by=coordinator)

    assert changed(entry, {"sex": "M"}, by=coordinator).status is Status.INCOMPLETE


def test_a_value_takes_the_place_of_the_reason_why_there_was_none(coordinator):
    entry = saved("patient", by=coordinator, status="unverified", missing={"race": "UNK", "smoking_status": "NASK"})

    assert changed(entry, {"race": "ASIAN"}, by=coordinator).missing == {"smoking_status": "NASK"}


def test_a_reason_is_added_replaced_and_taken_back_without_the_others(coordinator):
    entry = saved("patient", by=coordinator, status="unverified", missing={"race": "UNK", "smoking_status": "NASK"})

    after = changed(entry, {"missing": {"race": None, "smoking_status": "UNK", "vital_status": "NAV"}}, by=coordinator)

    assert after.missing == {"smoking_status": "UNK", "vital_status": "NAV"}


def change_refused(entry, changes, *, by):
    """Return field and code of each problem with which a change is refused."""
    with pytest.raises(Refused) as caught:
        changed(entry, changes, by=by, reason="correction")
    return [(problem.field, problem.code) for problem in caught.value.problems]


def test_a_change_is_checked_against_the_whole_entry(coordinator, patient):
    dose = saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id="MTP-001")

    assert change_refused(patient, {"sex": None}, by=coordinator) == [("sex", "required")]
    assert change_refused(patient, {"childbearing_potential": True}, by=coordinator) == [
        ("childbearing_potential", "hidden_field")
    ]
    assert change_refused(patient, {"race": "x", "number": 2, "record_id": "MTP-002"}, by=coordinator) == [
        ("race", "unknown_code"),
        ("number", "unknown_field"),
        ("record_id", "read_only"),
    ]
    assert change_refused(dose, {"dose_start": "2020-07-01"}, by=coordinator) == [("dose_end", "end_before_start")]
    assert history("patient") == history("dosing") == [("insert", 1)]


def test_an_answer_on_which_others_depend_is_changed_together_with_them(coordinator):
    entry = saved("patient", {"sex": "F", "childbearing_potential": False}, by=coordinator)

    assert change_refused(entry, {"sex": "M"}, by=coordinator) == [("childbearing_potential", "hidden_field")]
    assert (
        changed(entry, {"sex": "M", "childbearing_potential": None}, by=coordinator, reason="correction").version == 2
    )


def test_a_period_may_change_within_itself_and_not_into_another(coordinator, patient):
    first = saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id="MTP-001")
    saved("dosing", {"dose_start": "2020-07-01"}, by=coordinator, record_id="MTP-001")

    assert changed(first, {"dose_start": "2020-02-01"}, by=coordinator, reason="correction").version == 2
    first.version = 2
    assert change_refused(first, {"dose_end": "2020-07-01"}, by=coordinator) == [("dose_start", "overlapping_period")]


def test_a_deleted_period_is_in_nobody_s_way(coordinator, patient):
    deleted(saved("dosing", by=coordinator, record_id="MTP-001"), by=coordinator)

    assert saved("dosing", by=coordinator, record_id="MTP-001").instance == 2


def test_the_entries_of_other_sites_are_neither_read_nor_changed_nor_deleted(coordinator, data_manager):
    saved("patient", by=data_manager, site="NIM")
    entry = saved("lesion_assessment", by=data_manager, record_id="NIM-001")

    for action in (
        lambda: get_entry(entry.form, "NIM-001", 1, by=coordinator),
        lambda: changed(entry, {"lesion_new": True}, by=coordinator),
        lambda: deleted(entry, by=coordinator),
        lambda: get_entry(entry.form, "NIM-001", 2, by=data_manager),
    ):
        with pytest.raises(NotFound):
            action()
    assert history("lesionassessment") == [("insert", 1)]


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.MONITOR])
def test_who_only_reads_changes_and_deletes_nothing(role, patient):
    reader = caller_now(make_person(role, site="MTP"))

    assert get_entry(PATIENT, "MTP-001", 1, by=reader) == patient
    for action in (lambda: changed(patient, {"sex": "F"}, by=reader), lambda: deleted(patient, by=reader)):
        with pytest.raises(NotAllowed):
            action()
    assert history("patient") == [("insert", 1)]


def lock(entry):
    """Lock an entry."""
    place = locks.Target(record_id=entry.record_id, form=entry.form, instance=entry.instance)
    with acting_as_the_system(door=Door.COMMAND) as by:
        locks.lock(place, reason="cleaned", by=by, now=datetime.now(tz=UTC))


def test_a_locked_entry_is_neither_changed_nor_deleted(coordinator, patient):
    lock(patient)

    for action in (lambda: changed(patient, {"sex": "F"}, by=coordinator), lambda: deleted(patient, by=coordinator)):
        with pytest.raises(Locked):
            action()
    assert get_entry(PATIENT, "MTP-001", 1, by=coordinator).locked is True


# Delete


@pytest.mark.parametrize("name", REPEATING)
def test_deleting_hides_the_entry_and_keeps_the_row(name, coordinator, patient, count):
    entry = saved(name, by=coordinator, record_id="MTP-001")

    deleted(entry, by=coordinator)

    with pytest.raises(NotFound):
        get_entry(entry.form, "MTP-001", 1, by=coordinator)
    assert count(entry.form._meta.db_table) == 1
    assert history(name.replace("_", "")) == [("insert", 1), ("update", 2)]


@pytest.mark.parametrize("reason", [None, ""])
def test_deleting_needs_a_reason_whatever_the_status(reason, coordinator):
    entry = saved("patient", by=coordinator, status="incomplete")

    with pytest.raises(ReasonNeeded):
        deleted(entry, by=coordinator, reason=reason)


def test_deleting_a_stale_version_is_refused(coordinator, patient):
    changed(patient, {"sex": "F"}, by=coordinator, reason="correction")

    with pytest.raises(Stale):
        deleted(patient, by=coordinator)
    assert get_entry(PATIENT, "MTP-001", 1, by=coordinator).version == 2


def test_what_was_deleted_is_not_there_to_be_deleted_again(coordinator, patient):
    deleted(patient, by=coordinator)

    for version in (1, 2):
        with pytest.raises(NotFound):
            deleted(patient, by=coordinator, version=version)


def test_a_patient_is_hidden_with_every_entry_and_nobody_else_is(coordinator, patient):
    saved("patient", by=coordinator)
    for name in REPEATING:
        for record_id in ("MTP-001", "MTP-002"):
            saved(name, by=coordinator, record_id=record_id)

    deleted(patient, by=coordinator)

    for form in all_forms():
        visible = form.objects.visible_to(coordinator).values_list("record_id" if not form.repeating else "patient_id")
        assert list(visible) == [("MTP-002",)]


def test_a_patient_with_a_locked_entry_is_not_deleted(coordinator, patient):
    lock(saved("dosing", by=coordinator, record_id="MTP-001"))

    with pytest.raises(Locked):
        deleted(patient, by=coordinator)
    assert get_entry(PATIENT, "MTP-001", 1, by=coordinator) == patient


# The list of changed charts


def charts():
    """Return the changed charts and take them off the list."""
    found = sorted(ChartChange.objects.values_list("record_id", "site_id").distinct())
    ChartChange.objects.all().delete()
    return found


def test_every_create_change_and_deletion_lists_the_chart_and_nothing_else_does(coordinator, patient):
    assert charts() == [("MTP-001", "MTP")]

    entry = saved("dosing", by=coordinator, record_id="MTP-001")
    assert charts() == [("MTP-001", "MTP")]

    get_entry(DOSING, "MTP-001", 1, by=coordinator)
    changed(entry, {}, by=coordinator)
    with pytest.raises(Refused):
        changed(entry, {"dose_mg": 26}, by=coordinator, reason="correction")
    assert charts() == []

    changed(entry, {"dose_mg": 10}, by=coordinator, reason="correction")
    assert charts() == [("MTP-001", "MTP")]
    deleted(entry, by=coordinator, version=2)
    assert charts() == [("MTP-001", "MTP")]


# Two at the same instant


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_two_writers_of_overlapping_periods_at_the_same_instant_one_is_refused(sites, coordinator):
    saved("patient", by=coordinator)

    for number in range(1, 4):
        start = f"20{10 + number}-01-01"
        dose = {"dose_start": start, "dose_end": start}
        results = at_once(*[lambda dose=dose: saved("dosing", dose, by=coordinator, record_id="MTP-001")] * 2)

        (error,) = [result for result in results if isinstance(result, Exception)]
        assert isinstance(error, Refused)
        assert [problem.code for problem in error.problems] == ["overlapping_period"]
        assert DOSING.objects.count() == number


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_new_instances_at_the_same_instant_get_two_numbers(sites, coordinator):
    saved("patient", by=coordinator)

    results = at_once(*[lambda: saved("lesion_assessment", by=coordinator, record_id="MTP-001")] * 4)

    assert sorted(entry.instance for entry in results) == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_new_patients_at_the_same_instant_get_two_record_ids(sites, coordinator):
    results = at_once(*[lambda: saved("patient", by=coordinator)] * 4)

    assert sorted(entry.record_id for entry in results) == ["MTP-001", "MTP-002", "MTP-003", "MTP-004"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_record_id_asked_for_by_two_at_the_same_instant_is_given_to_one(sites, coordinator):
    results = at_once(*[lambda: saved("patient", by=coordinator, record_id="MTP-007")] * 2)

    (error,) = [result for result in results if isinstance(result, Exception)]
    assert [(problem.field, problem.code) for problem in error.problems] == [("record_id", "record_exists")]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_two_changes_of_one_version_at_the_same_instant_one_is_stale(sites, coordinator):
    """Negative test 11."""
    entry = saved("patient", by=coordinator, status="unverified")

    results = at_once(
        lambda: changed(entry, {"race": "ASIAN"}, by=coordinator),
        lambda: changed(entry, {"race": "BLACK"}, by=coordinator),
    )

    (error,) = [result for result in results if isinstance(result, Exception)]
    (winner,) = [result for result in results if not isinstance(result, Exception)]
    assert isinstance(error, Stale)
    assert error.current.values["race"] == winner.values["race"]
    assert history("patient") == [("insert", 1), ("update", 2)]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_calls_that_number_patients_of_two_sites_in_opposite_orders_both_end(sites, data_manager):
    def call(*codes):
        entries = [submission("patient", site=site) for site in codes for _time in range(10)]
        return create(entries, by=data_manager, atomic=True)

    for _time in range(5):
        results = at_once(lambda: call("MTP", "NIM"), lambda: call("NIM", "MTP"))

        assert [error for error in results if isinstance(error, Exception)] == []


def raw_dose(record_id="MTP-001", *, start="2020-01-01", end=None, instance=9):
    """Write a dosing period past the service."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO crf_dosing"
            " (record_id, site_id, instance, status, version, missing, locked, dose_start, dose_end)"
            " VALUES (%s, left(%s, 3), %s, 0, 1, '{}', false, %s, %s)",
            [record_id, record_id, instance, start, end],
        )


def test_a_period_written_past_the_service_is_kept_from_overlapping_by_the_database(coordinator, patient):
    saved("dosing", by=coordinator, record_id="MTP-001")

    with pytest.raises(IntegrityError, match="dosing_periods_do_not_overlap"), transaction.atomic():
        raw_dose(start="2021-01-01")


@pytest.mark.slow
@pytest.mark.parametrize("how_many", [1, 3])
@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.django_db(transaction=True)
def test_a_period_written_past_the_service_meanwhile_is_reported_as_the_check_would(
    how_many, atomic, sites, coordinator, other_writer
):
    saved("patient", by=coordinator)
    writer = other_writer(lambda: raw_dose(start="2020-06-01"), by=coordinator)
    writer.commits_when_somebody_waits()
    periods = [("2020-06-01", None), ("2019-01-01", "2019-02-01"), ("2019-03-01", "2019-04-01")][:how_many]
    entries = [submission("dosing", {"dose_start": a, "dose_end": b}, record_id="MTP-001") for a, b in periods]

    def call():
        with acting(coordinator, door=Door.REST):
            results = create_entries(entries, by=coordinator, atomic=atomic)
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")  # what else the call has to write must still be possible
        return [[problem.code for problem in result.problems] for result in results]

    if atomic:
        with pytest.raises(Refused) as caught:
            call()
        assert [(problem.field, problem.code) for problem in caught.value.problems] == [
            ("dose_start", "overlapping_period")
        ]
        assert DOSING.objects.count() == 1
    else:
        assert call() == [["overlapping_period"], [], []][:how_many]
        assert DOSING.objects.count() == how_many


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_change_that_meets_a_period_written_past_the_service_is_reported_as_the_check_would(
    sites, coordinator, other_writer
):
    saved("patient", by=coordinator)
    entry = saved("dosing", {"dose_end": "2020-02-01"}, by=coordinator, record_id="MTP-001")
    writer = other_writer(lambda: raw_dose(start="2020-06-01"), by=coordinator)
    writer.commits_when_somebody_waits()

    assert change_refused(entry, {"dose_end": "2020-06-01"}, by=coordinator) == [("dose_start", "overlapping_period")]
