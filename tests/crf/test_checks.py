from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from crf.checks import hard_findings, reads_of, required_but_blank, soft_findings
from crf.forms import MissingReason, Status, all_forms, branching, forms_by_name
from tests.crf.examples import COMPLETE

TODAY = date(2024, 3, 12)


def row(name, changes=None):
    """Return the smallest complete row of a form, with JSON values changed."""
    form = forms_by_name()[name]
    values = {**COMPLETE[name], **(changes or {})}
    read = {key: None if value is None else form.variables()[key].read(value) for key, value in values.items()}
    given = {"record_id": "MTP-001"} if name == "patient" else {}
    return dict.fromkeys(form.variables()) | given | {"instance": 1} | read


def chart_of(name, rows):
    """Return the chart that the checks of a form read: JSON values by form, numbered from 11."""
    read = {}
    for other in reads_of(forms_by_name()[name]):
        found = [row(other, changes) for changes in (rows or {}).get(other, [])]
        read[other] = [{**entry, "instance": 11 + number} for number, entry in enumerate(found)]
    return read


def hard(name, changes=None, *, rows=None, status=Status.COMPLETE, missing=None, instance=1):
    """Return what the hard checks find, as pairs of field and code."""
    entry = {**row(name, changes), "instance": instance}
    found = hard_findings(
        forms_by_name()[name], entry, status=status, missing=missing or {}, chart=chart_of(name, rows), today=TODAY
    )
    return sorted((finding.field, finding.code) for finding in found)


def soft(name, changes=None, *, rows=None):
    """Return what the soft checks find, as pairs of field and code."""
    found = soft_findings(forms_by_name()[name], row(name, changes), chart=chart_of(name, rows))
    return sorted((finding.field, finding.code) for finding in found)


def dose(start, end=None, mg=5, **more):
    """Return the JSON values of a dosing period."""
    return {"dose_start": start, "dose_end": end, "dose_mg": mg, **more}


HARD = {
    ("patient", "hidden_field"): [
        ({"cle_subtype_other": "x"}, {"cle_subtype_other": "x", "cle_subtype": ["other"]}),
        ({"neuropathy_cause": "other"}, {"neuropathy_cause": "other", "neuropathy_history": True}),
        ({"childbearing_potential": False}, {"childbearing_potential": False, "sex": "F"}),
        (
            {"sex": "F", "childbearing_potential": False, "pregnancy_prevention": True},
            {"sex": "F", "childbearing_potential": True, "pregnancy_prevention": True},
        ),
    ],
    ("patient", "future_date"): [
        ({"birth_date": "2024-03-13"}, {"birth_date": "2024-03-12"}),
        ({"diagnosis_date": "2024-04"}, {"diagnosis_date": "2024-03"}),
        ({"diagnosis_date": "2025"}, {"diagnosis_date": "2024"}),
        ({"last_contact_date": "9999-12-31"}, {"last_contact_date": "2024-03-12"}),
    ],
    ("patient", "required"): [
        ({"sex": None}, {"sex": "U"}),
        ({"cle_subtype": None}, {"cle_subtype": ["dle"]}),
        ({"systemic_lupus": None}, {"systemic_lupus": False}),
    ],
    ("prior_treatment", "end_before_start"): [
        ({"prior_start": "2012", "prior_end": "2011"}, {"prior_start": "2012", "prior_end": "2012"}),
        ({"prior_start": "2012-05", "prior_end": "2012-04-30"}, {"prior_start": "2012-05", "prior_end": "2012"}),
        (
            {"prior_start": "2012-05-02", "prior_end": "2012-05-01"},
            {"prior_start": "2012-05-02", "prior_end": "2012-05"},
        ),
    ],
    ("prior_treatment", "hidden_field"): [
        ({"prior_drug_other": "x"}, {"prior_drug": "other", "prior_drug_other": "x"}),
        ({"prior_neuropathy": False}, {"prior_drug": "thalidomide", "prior_neuropathy": False}),
    ],
    ("prior_treatment", "future_date"): [({"prior_start": "2024-03-13"}, {"prior_start": "2024-03-12"})],
    ("prior_treatment", "required"): [({"prior_route": None}, {"prior_route": "oral"})],
    ("dosing", "end_before_start"): [(dose("2020-01-02", "2020-01-01"), dose("2020-01-02", "2020-01-02"))],
    ("dosing", "hidden_field"): [
        ({"dose_stop_reason": "lost"}, dose("2020-01-01", "2020-02-01", dose_stop_reason="lost")),
    ],
    ("dosing", "future_date"): [(dose("2024-03-13"), dose("2024-03-12"))],
    ("dosing", "required"): [(dose("2020-01-01", mg=None), dose("2020-01-01", mg=0))],
    ("lesion_assessment", "hidden_field"): [
        (
            {"lesion_response": "SD", "lesion_not_evaluable": "infected"},
            {"lesion_response": "NE", "lesion_not_evaluable": "infected"},
        ),
    ],
    ("lesion_assessment", "future_date"): [({"lesion_date": "2024-03-13"}, {"lesion_date": "2024-03-12"})],
    ("lesion_assessment", "required"): [({"lesion_date": None}, {"lesion_date": "2020-01-01"})],
    ("adverse_event", "end_before_start"): [
        ({"ae_start": "2020-02", "ae_end": "2020-01-31"}, {"ae_start": "2020-02", "ae_end": "2020-02-01"}),
        ({"ae_start": "2020", "ae_end": "2019"}, {"ae_start": "2020", "ae_end": "2020"}),
    ],
    ("adverse_event", "fatal_is_grade_5"): [
        ({"ae_grade": "5"}, {"ae_grade": "5", "ae_outcome": "fatal"}),
        ({"ae_grade": "4", "ae_outcome": "fatal"}, {"ae_grade": "4", "ae_outcome": "sequelae"}),
    ],
    ("adverse_event", "serious_without_criteria"): [
        ({"ae_serious": True}, {"ae_serious": True, "ae_serious_criteria": ["hospitalisation"]}),
        ({"ae_serious": True, "ae_serious_criteria": []}, {"ae_serious": False}),
    ],
    ("adverse_event", "hidden_field"): [
        ({"ae_serious_criteria": ["death"]}, {"ae_serious": True, "ae_serious_criteria": ["death"]}),
    ],
    ("adverse_event", "future_date"): [({"ae_start": "2024-04"}, {"ae_start": "2024-03"})],
    ("adverse_event", "required"): [({"ae_term": None}, {"ae_term": "Fatigue"})],
}
"""What each hard check refuses, and the nearest that it lets through, by form and code: JSON values."""

OVERLAPS = [
    (dose("2020-01-01"), dose("2020-06-01"), True),
    (dose("2020-01-01", "2020-05-31"), dose("2020-06-01"), False),
    (dose("2020-01-01", "2020-06-01"), dose("2020-06-01"), True),
    (dose("2020-01-01", "2020-01-01"), dose("2020-01-01", "2020-01-01"), True),
    (dose("2020-01-01", "2020-01-01"), dose("2020-01-02", "2020-01-02"), False),
    (dose("2020-01-01", "2020-12-31"), dose("2020-06-01", "2020-06-30"), True),
    (dose("2020-06-01", "2020-06-30"), dose("2020-01-01", "2020-12-31"), True),
    (dose("2020-06-01", "2020-06-30"), dose("2020-01-01", "2020-05-31"), False),
    (dose("2020-06-01"), dose("2020-01-01", "2020-05-31"), False),
    (dose("2020-06-01"), dose("2020-01-01", "2020-06-01"), True),
    (dose(None), dose("2020-01-01"), False),
    (dose("2020-01-01"), dose(None), False),
]
"""A period that is there already, a new one, and whether they share a day."""

FIRST_DOSE = {"dosing": [dose("2012-02-06")]}
SOFT = {
    ("patient", "last_contact_before_last_visit"): [
        (
            {"last_contact_date": "2020-01-01"},
            {"lesion_assessment": [{"lesion_date": "2019-01-01"}, {"lesion_date": "2020-01-02"}]},
            {"last_contact_date": "2020-01-02"},
            {"lesion_assessment": [{"lesion_date": "2020-01-02"}, {"lesion_date": None}]},
        ),
    ],
    ("patient", "childbearing_potential_not_recorded"): [
        (
            {"sex": "F", "birth_date": "1962-02-07"},
            FIRST_DOSE,
            {"sex": "F", "birth_date": "1962-02-06"},
            FIRST_DOSE,
        ),
        (
            {"sex": "F", "birth_date": "1980-01-01"},
            FIRST_DOSE,
            {"sex": "F", "birth_date": "1980-01-01", "childbearing_potential": False},
            FIRST_DOSE,
        ),
        ({"sex": "F", "birth_date": "1980-01-01"}, FIRST_DOSE, {"sex": "M", "birth_date": "1980-01-01"}, FIRST_DOSE),
        ({"sex": "F", "birth_date": "1980-01-01"}, FIRST_DOSE, {"sex": "F", "birth_date": "1980-01-01"}, {}),
    ],
    ("patient", "minor_at_first_dose"): [
        ({"birth_date": "1994-02-07"}, FIRST_DOSE, {"birth_date": "1994-02-06"}, FIRST_DOSE),
        (
            {"birth_date": "1994-02-07"},
            FIRST_DOSE,
            {"birth_date": "1994-02-07"},
            {"dosing": [dose("2012-02-06", mg=0)]},
        ),
    ],
    ("patient", "before_birth"): [
        (
            {"birth_date": "1970-05-01", "diagnosis_date": "1970-04"},
            {"patient": [{"birth_date": "1970-05-01"}]},
            {"birth_date": "1970-05-01", "diagnosis_date": "1970-05"},
            {"patient": [{"birth_date": "1970-05-01"}]},
        ),
    ],
    ("prior_treatment", "thalidomide_after_lenalidomide"): [
        (
            {"prior_drug": "thalidomide", "prior_end": "2012-02-07"},
            FIRST_DOSE,
            {"prior_drug": "thalidomide", "prior_end": "2012-02-06"},
            FIRST_DOSE,
        ),
        (
            {"prior_drug": "thalidomide", "prior_end": "2012-03"},
            FIRST_DOSE,
            {"prior_drug": "thalidomide", "prior_end": "2012-02"},
            FIRST_DOSE,
        ),
        (
            {"prior_drug": "thalidomide", "prior_end": "2013"},
            FIRST_DOSE,
            {"prior_drug": "methotrexate", "prior_end": "2013"},
            FIRST_DOSE,
        ),
    ],
    ("prior_treatment", "before_birth"): [
        (
            {"prior_start": "1969"},
            {"patient": [{"birth_date": "1970-05-01"}]},
            {"prior_start": "1970"},
            {"patient": [{"birth_date": "1970-05-01"}]},
        ),
    ],
    ("dosing", "dose_over_10_mg"): [
        (dose("2020-01-01", mg=Decimal("10.01")), FIRST_DOSE, dose("2020-01-01", mg=10), FIRST_DOSE),
    ],
    ("dosing", "first_dose_not_5_mg"): [
        (dose("2012-02-05", mg=10), FIRST_DOSE, dose("2012-02-07", mg=10), FIRST_DOSE),
        (dose("2012-02-06", mg=10), {}, dose("2012-02-06", mg=5), {}),
        (dose("2012-02-06", mg=Decimal("2.5")), {}, dose("2012-02-06", mg=0), {}),
    ],
    ("dosing", "no_antithrombotic"): [
        ({"antithrombotic": "none"}, {}, {"antithrombotic": "aspirin"}, {}),
        ({"antithrombotic": "none"}, {}, {"antithrombotic": "none", "dose_mg": 0}, {}),
    ],
    ("dosing", "before_birth"): [
        (
            dose("2020-01-01"),
            {"patient": [{"birth_date": "2020-01-02"}]},
            dose("2020-01-01"),
            {"patient": [{"birth_date": "2020-01-01"}]},
        ),
        (dose("2020-01-01"), {"patient": [{"birth_date": "2020-01-02"}]}, dose("2020-01-01"), {"patient": []}),
    ],
    ("lesion_assessment", "baseline_clearance_not_0"): [
        (
            {"lesion_date": "2012-02-06", "lesion_clearance": Decimal("0.1")},
            FIRST_DOSE,
            {"lesion_date": "2012-02-07", "lesion_clearance": Decimal("0.1")},
            FIRST_DOSE,
        ),
        (
            {"lesion_date": "2012-02-06", "lesion_clearance": 40},
            FIRST_DOSE,
            {"lesion_date": "2012-02-06", "lesion_clearance": 0},
            FIRST_DOSE,
        ),
        ({"lesion_date": "2012-02-06", "lesion_clearance": 40}, FIRST_DOSE, {"lesion_date": "2012-02-06"}, FIRST_DOSE),
    ],
    ("lesion_assessment", "response_differs_from_computed"): [
        (
            {"lesion_clearance": 95, "lesion_new": False, "lesion_response": "CR"},
            {},
            {"lesion_clearance": Decimal("95.1"), "lesion_new": False, "lesion_response": "CR"},
            {},
        ),
        (
            {"lesion_clearance": 50, "lesion_new": False, "lesion_response": "SD"},
            {},
            {"lesion_clearance": Decimal("49.9"), "lesion_new": False, "lesion_response": "SD"},
            {},
        ),
        (
            {"lesion_clearance": 96, "lesion_new": True, "lesion_response": "CR"},
            {},
            {"lesion_clearance": 96, "lesion_new": True, "lesion_response": "PD"},
            {},
        ),
        (
            {"lesion_clearance": 96, "lesion_new": False, "lesion_response": "NE"},
            {},
            {"lesion_clearance": None, "lesion_new": False, "lesion_response": "NE"},
            {},
        ),
    ],
    ("lesion_assessment", "before_birth"): [
        (
            {"lesion_date": "2020-01-01"},
            {"patient": [{"birth_date": "2020-01-02"}]},
            {"lesion_date": "2020-01-01"},
            {"patient": [{"birth_date": "2020-01-01"}]},
        ),
    ],
    ("adverse_event", "stopped_without_dosing_period"): [
        (
            {"ae_action": "discontinued"},
            {"dosing": [dose("2012-02-06", "2013-01-01", dose_stop_reason="lost")]},
            {"ae_action": "discontinued"},
            {"dosing": [dose("2012-02-06", "2013-01-01", dose_stop_reason="adverse_event")]},
        ),
        ({"ae_action": "discontinued"}, {}, {"ae_action": "interrupted"}, {}),
    ],
    ("adverse_event", "severe_but_not_serious"): [
        ({"ae_grade": "3"}, {}, {"ae_grade": "2"}, {}),
        ({"ae_grade": "4"}, {}, {"ae_grade": "4", "ae_serious": True, "ae_serious_criteria": ["life_threatening"]}, {}),
    ],
    ("adverse_event", "before_birth"): [
        (
            {"ae_start": "1970-04"},
            {"patient": [{"birth_date": "1970-05-01"}]},
            {"ae_start": "1970-05"},
            {"patient": [{"birth_date": "1970-05-01"}]},
        ),
    ],
}
"""What each soft check warns of, and the nearest that it does not, by form and code: JSON values and other rows."""

HARD_CASES = [(*key, wrong, right) for key, cases in HARD.items() for wrong, right in cases]
SOFT_CASES = [(*key, *case) for key, cases in SOFT.items() for case in cases]


@pytest.mark.parametrize(("name", "code", "wrong", "right"), HARD_CASES)
def test_a_hard_check_refuses_what_it_is_for_and_lets_through_what_is_next_to_it(name, code, wrong, right):
    assert {found for _field, found in hard(name, wrong)} == {code}
    assert hard(name, right) == []


@pytest.mark.parametrize(("there", "new", "shared"), OVERLAPS)
def test_two_periods_overlap_when_they_share_a_day(there, new, shared):
    expected = [("dose_start", "overlapping_period")] if shared else []

    assert hard("dosing", new, rows={"dosing": [there]}, status=Status.INCOMPLETE) == expected


def test_a_period_does_not_overlap_with_itself():
    there = {"dosing": [dose("2020-01-01", "2020-12-31")]}

    assert hard("dosing", dose("2020-06-01"), rows=there, instance=11) == []
    assert hard("dosing", dose("2020-06-01"), rows=there, instance=12) == [("dose_start", "overlapping_period")]


@pytest.mark.parametrize(("name", "code", "odd", "rows", "usual", "usual_rows"), SOFT_CASES)
def test_a_soft_check_warns_of_what_it_is_for_and_not_of_what_is_next_to_it(name, code, odd, rows, usual, usual_rows):
    assert code in {found for _field, found in soft(name, odd, rows=rows)}
    assert code not in {found for _field, found in soft(name, usual, rows=usual_rows)}


def test_every_check_that_a_form_declares_or_implies_has_an_example():
    declared = {(form.form_name(), check.code) for form in all_forms() for check in form.hard_checks}
    implied = {(form.form_name(), code) for form in all_forms() for code in ("future_date", "required")}
    branched = {(form.form_name(), "hidden_field") for form in all_forms() if branching(form)}

    assert HARD.keys() | {("dosing", "overlapping_period")} == declared | implied | branched


def test_every_warning_that_a_form_declares_or_implies_has_an_example():
    declared = {(form.form_name(), check.code) for form in all_forms() for check in form.soft_checks}

    assert SOFT.keys() == declared | {(form.form_name(), "before_birth") for form in all_forms()}


@pytest.mark.parametrize("name", COMPLETE)
def test_the_smallest_complete_entry_passes_every_check(name):
    assert hard(name) == []
    assert soft(name) == []


@pytest.mark.parametrize("name", COMPLETE)
def test_an_empty_draft_passes_every_check(name):
    blank = dict.fromkeys(COMPLETE[name])

    assert hard(name, blank, status=Status.INCOMPLETE) == []
    assert hard(name, blank, status=Status.UNVERIFIED) == []
    assert soft(name, blank, rows=FIRST_DOSE | {"patient": [{}]}) == []


@pytest.mark.parametrize("name", COMPLETE)
def test_every_required_variable_is_needed_when_complete_and_a_reason_stands_in_for_it(name):
    form = forms_by_name()[name]
    required = [variable for variable, field in form.variables().items() if field.required and variable != "record_id"]

    assert sorted(COMPLETE[name]) == sorted(required)
    for variable in required:
        assert (variable, "required") in hard(name, {variable: None})
        assert hard(name, {variable: None}, missing={variable: "UNK"}) == []
        assert required_but_blank(form, row(name, {variable: None}), missing={}) == [variable]


@pytest.mark.parametrize("reason", MissingReason.values)
def test_each_missing_reason_is_known(reason):
    assert hard("lesion_assessment", missing={"lesion_new": reason}) == []


@pytest.mark.parametrize("reason", ["", "unk", "UNK ", "ND", "Unknown"])
def test_any_other_missing_reason_is_refused(reason):
    assert hard("lesion_assessment", missing={"lesion_new": reason}) == [("lesion_new", "unknown_missing_reason")]


def test_a_value_and_a_missing_reason_exclude_each_other():
    missing = {"lesion_new": "UNK"}

    assert hard("lesion_assessment", {"lesion_new": False}, missing=missing) == [
        ("lesion_new", "value_and_missing_reason")
    ]
    assert hard("lesion_assessment", {"lesion_new": None}, missing=missing) == []


def test_a_hidden_variable_takes_no_missing_reason():
    missing = {"lesion_not_evaluable": "UNK"}

    assert hard("lesion_assessment", {"lesion_response": "SD"}, missing=missing) == [
        ("lesion_not_evaluable", "hidden_field")
    ]
    assert hard("lesion_assessment", {"lesion_response": "NE"}, missing=missing) == []


def test_what_is_hidden_is_told_in_the_order_of_the_dictionary():
    answers = {"cle_subtype_other": "x", "neuropathy_cause": "other", "childbearing_potential": True}
    answers |= {"pregnancy_prevention": True, "pregnancy_test_date": "2020-01-01"}
    form = forms_by_name()["patient"]

    found = hard_findings(
        form, row("patient", answers), status=Status.COMPLETE, missing={}, chart=chart_of("patient", {}), today=TODAY
    )

    assert [finding.field for finding in found] == list(answers)


def test_every_date_of_every_form_is_refused_in_the_future():
    for form in all_forms():
        for name, variable in form.variables().items():
            if variable.validation in ("date_ymd", "partial_date"):
                assert (name, "future_date") in hard(form.form_name(), {name: "2024-03-13"}, status=Status.INCOMPLETE)
                assert (name, "future_date") not in hard(
                    form.form_name(), {name: "2024-03-12"}, status=Status.INCOMPLETE
                )


def test_the_words_of_every_finding_name_the_values_and_never_a_class_or_a_placeholder():
    for name, code, wrong, _right in HARD_CASES:
        found = hard_findings(
            forms_by_name()[name],
            row(name, wrong),
            status=Status.COMPLETE,
            missing={},
            chart=chart_of(name, {}),
            today=TODAY,
        )
        for finding in found:
            assert finding.message.endswith("."), code
            assert not set("{}<>") & set(finding.message.replace("<>", "")), code
            assert "None" not in finding.message, code


def test_what_is_found_is_told_in_the_language_of_whoever_reads_it_with_the_label_in_it():
    (finding,) = soft_findings(
        forms_by_name()["dosing"],
        row("dosing", {"dose_start": "2000-01-02"}),
        chart=chart_of("dosing", {"patient": [{"birth_date": "2001-01-01"}]}),
    )

    assert finding.message == "First day at this dose is before the patient's date of birth. Check both dates."
    with translation.override("fr"):
        assert finding.message.startswith("Premier jour à cette dose\xa0: la date précède")


def test_a_refusal_names_label_and_reasons_in_the_language_of_whoever_reads_it():
    with translation.override("fr"):
        (finding,) = hard_findings(
            forms_by_name()["dosing"],
            row("dosing"),
            status=Status.COMPLETE,
            missing={"dose_end": "XX"},
            chart=chart_of("dosing", {}),
            today=TODAY,
        )

        assert finding.message.startswith("Dernier jour à cette dose\xa0:")
        assert "NASK (Non demandé)" in finding.message
