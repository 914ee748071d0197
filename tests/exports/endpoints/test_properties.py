"""What holds for every patient, whatever the rows say; a failing chart is `random_chart(seed)` of the seed printed."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from exports.endpoints.chart import Chart
from exports.endpoints.cohort import summarise_cohort
from exports.endpoints.outcome import OUTCOME_NAMES, EvidenceRow, Outcome
from exports.endpoints.rules import outcome_of
from tests.exports.endpoints.charts import charts, event, member_of
from tests.exports.endpoints.oracle import expected_outcome

pytestmark = pytest.mark.slow
several = settings(max_examples=150, deadline=None)


def without_evidence(outcome: Outcome) -> dict[str, Any]:
    return {name: value for name, value in outcome.items() if name != "evidence"}


def rows_of(chart: Chart) -> tuple[Any, ...]:
    """The rows of the four repeating forms."""
    return astuple(chart)[1:]


def shifted(chart: Chart, days: int) -> Chart:
    def later(value: Any) -> Any:
        return value + timedelta(days=days) if isinstance(value, date) else value

    def row_later(row: Any) -> Any:
        return type(row)(*map(later, astuple(row)))

    return Chart(row_later(chart.patient), *([row_later(row) for row in form] for form in rows_of(chart)))


@settings(max_examples=600, deadline=None)
@given(charts())
def test_the_rules_agree_with_a_naive_reading_of_the_specification(chart):
    assert without_evidence(outcome_of(chart)) == expected_outcome(chart)


@several
@given(charts(), st.randoms(use_true_random=False))
def test_the_order_in_which_rows_arrive_changes_no_outcome(chart, random):
    shuffled = Chart(chart.patient, *(random.sample(form, len(form)) for form in rows_of(chart)))

    assert without_evidence(outcome_of(shuffled)) == without_evidence(outcome_of(chart))


@several
@given(charts(), st.integers(-365, 365))
def test_shifting_all_dates_changes_nothing_but_dates_and_age(chart, days):
    dates = {"index_date", "last_contact", "treatment_end", "bor_date", "relapse_date", "age_at_start"}

    before, after = outcome_of(chart), outcome_of(shifted(chart, days))

    assert {name for name in before if before[name] != after[name]} <= dates


@several
@given(charts())
def test_one_more_adverse_event_changes_safety_outcomes_only(chart):
    safety = set(OUTCOME_NAMES[OUTCOME_NAMES.index("any_ae") :])
    worst = event(grade="5", serious=True, action="discontinued", interest="lupus_flare", instance=9)

    before = outcome_of(chart)
    after = outcome_of(replace(chart, adverse_events=[*chart.adverse_events, worst]))

    assert {name for name in OUTCOME_NAMES if before[name] != after[name]} <= safety


@several
@given(charts())
def test_the_outcomes_of_one_patient_hold_together(chart):
    outcome = outcome_of(chart)

    if not outcome["treated"]:
        assert [outcome[name] for name in OUTCOME_NAMES[1:]] == [None] * (len(OUTCOME_NAMES) - 1)
        return
    assert outcome["responder"] == (outcome["bor"] in ("CR", "PR"))
    assert outcome["on_treatment"] == (outcome["treatment_end"] is None)
    assert (outcome["relapsed"] is None) == (not outcome["responder"])
    assert (outcome["relapse_setting"] is not None) == (outcome["relapsed"] is True)
    assert (outcome["cr_lost"] is None) == (outcome["bor"] != "CR")
    assert not (outcome["sustained_cr"] and outcome["relapsed"])
    if outcome["responder"]:
        assert outcome["months_to_bor"] > 0
        assert outcome["months_to_relapse_or_censor"] >= (outcome["cr_months"] or 0) >= 0


@several
@given(charts())
def test_evidence_names_rows_of_the_chart_and_every_outcome(chart):
    forms = zip(("prior_treatment", "dosing", "lesion_assessment", "adverse_event"), rows_of(chart), strict=True)
    existing = {(form, row.instance) for form, rows in forms for row in rows} | {("patient", 1)}

    evidence = outcome_of(chart)["evidence"]

    assert tuple(evidence) == OUTCOME_NAMES
    for rows in evidence.values():
        named = [(row.form, row.instance) for row in rows]
        assert len(set(named)) == len(named)
        assert existing.issuperset(named)


@several
@given(charts())
def test_the_evidence_alone_gives_the_same_outcome(chart):
    """Every outcome but those a missing row decides comes out of its own rows and those of the treatment."""
    outcome = outcome_of(chart)
    course = ("treated", "treatment_end", "last_contact")

    for name in ("bor", "months_to_bor", "relapsed", "cr_lost", "cr_months", "n_prior_systemic", "grade3_ae"):
        rows = [row for decided in (*course, name) for row in outcome["evidence"][decided]]
        assert outcome_of(restricted(chart, rows))[name] == outcome[name]


def restricted(chart: Chart, rows: list[Any]) -> Chart:
    def named(form: str, instances: Any) -> list[Any]:
        return [row for row in instances if EvidenceRow(form, row.instance) in rows]

    return Chart(
        chart.patient,
        named("prior_treatment", chart.prior_treatments),
        named("dosing", chart.doses),
        named("lesion_assessment", chart.assessments),
        named("adverse_event", chart.adverse_events),
    )


@settings(max_examples=15, deadline=None)
@given(st.lists(charts(), max_size=6))
def test_any_cohort_has_a_summary_whose_counts_hold_together(cohort):
    summary = summarise_cohort(member_of(chart) for chart in cohort)["overall"]

    assert summary["enrolled"] == len(cohort)
    assert summary["treated"] == summary["cr"] + summary["pr"] + summary["nr"] + summary["ne"]
    assert summary["responders"] == summary["cr"] + summary["pr"]
    assert summary["relapsed_after_dose_reduction"] <= summary["relapsed"] <= summary["responders"]
    assert summary["kaplan_meier"]["months_to_bor"]["events"] == summary["responders"]
    assert summary["kaplan_meier"]["months_to_relapse"]["events"] == summary["relapsed"]
    assert summary["kaplan_meier"]["cr_months"]["events"] == summary["cr"] - summary["sustained_cr"]
