"""A patient's outcome from a patient's rows: pure rules, no database, no clock, no settings.

docs/endpoints.md is the specification. The rules themselves stand in treatment.py (doses), response.py (lesions) and
history.py (prior treatments, adverse events), the rows behind each outcome in evidence.py; here they come together.
"""

from typing import cast

from msgspec import Struct

from crf.derivations import completed_years, months_between
from exports.endpoints.chart import Chart, PatientFacts
from exports.endpoints.evidence import prior_rows, response_evidence, treatment_evidence
from exports.endpoints.history import events_behind, n_different, systemic_treatments, thalidomide_treatments
from exports.endpoints.outcome import OUTCOME_NAMES, Evidence, Member, Outcome, OutcomeWithEvidence
from exports.endpoints.response import Responses, bor_after_adjustment, relapse_setting, responses_of
from exports.endpoints.treatment import Treatment, discontinued_for, dose_reduced_for, treatment_of


class Course(Struct, frozen=True, gc=False):
    """The treatment of a treated patient, what became of the lesions, and the events behind each safety outcome."""

    treatment: Treatment
    responses: Responses
    safety: Evidence


def outcome_of(chart: Chart) -> OutcomeWithEvidence:
    """Return the patient's outcomes, each with the rows that decided it.

    The lists under `evidence` are shared between outcomes: read them, do not change them.
    Raises ValueError if a clearance is not within 0 to 100 %, KeyError for an unknown dosing schedule.

    Source: docs/endpoints.md, "Per patient".
    """
    course = course_of(chart)
    return {**member_of(chart, course=course).outcome, "evidence": evidence_of(chart, course=course)}


def course_of(chart: Chart) -> Course | None:
    """Return the course of a treated patient, None of another. Raises as `outcome_of` does."""
    treatment = treatment_of(chart)
    if treatment is None:
        return None
    return Course(treatment, responses_of(chart.assessments, treatment=treatment), events_behind(chart.adverse_events))


def member_of(chart: Chart, *, course: Course | None) -> Member:
    """Return the patient as a member of the cohort: the outcome, and what the summary needs beside it."""
    patient = chart.patient
    discoid = "dle" in (patient.cle_subtype or ())
    if course is None:
        return Member(untreated_outcome(patient), patient.sex, discoid, None)
    index_date, in_window = course.treatment.active[0].start, course.responses.in_window
    last_day = in_window[-1].day if in_window else index_date
    return Member(treated_outcome(chart, course=course), patient.sex, discoid, months_between(index_date, last_day))


def untreated_outcome(patient: PatientFacts) -> Outcome:
    """Return the outcome of a patient who never took the drug: enrolled, and in no other figure."""
    outcome: dict[str, object] = {"record_id": patient.record_id, "site": patient.site}
    outcome |= dict.fromkeys(OUTCOME_NAMES)
    outcome["treated"] = False
    return cast("Outcome", outcome)


def treated_outcome(chart: Chart, *, course: Course) -> Outcome:
    """Return every outcome of a treated patient."""
    patient, treatment, responses, safety = chart.patient, course.treatment, course.responses, course.safety
    index_date, birth_date = treatment.active[0].start, patient.birth_date
    bor, best, last = responses.bor, responses.best, responses.last
    relapse, cr_end = responses.relapse, responses.cr_end
    is_complete = bor == "CR"
    return {
        "record_id": patient.record_id,
        "site": patient.site,
        "treated": True,
        "index_date": index_date.isoformat(),
        "age_at_start": completed_years(birth_date=birth_date, on=index_date) if birth_date else None,
        "last_contact": treatment.last_contact.isoformat(),
        "treatment_end": treatment.end.isoformat() if treatment.end else None,
        "on_treatment": treatment.end is None,
        "discontinued_for": discontinued_for(treatment),
        "dose_reduced_for": dose_reduced_for(treatment.active),
        "n_prior_systemic": n_different(systemic_treatments(chart.prior_treatments)),
        "prior_thalidomide": bool(thalidomide_treatments(chart.prior_treatments)),
        "bor": bor,
        "responder": best is not None,
        "bor_date": best.day.isoformat() if best else None,
        "months_to_bor": months_between(index_date, best.day) if best else None,
        "bor_after_adjustment": bor_after_adjustment(best, treatment=treatment) if best else None,
        "relapsed": relapse is not None if best else None,
        "relapse_date": relapse.day.isoformat() if relapse else None,
        "relapse_setting": relapse_setting(relapse, best=best, treatment=treatment) if best and relapse else None,
        "months_to_relapse_or_censor": months_between(best.day, (relapse or last).day) if best and last else None,
        "cr_lost": cr_end is not None if is_complete else None,
        "cr_months": months_between(best.day, (cr_end or last).day) if is_complete and best and last else None,
        "sustained_cr": is_complete and cr_end is None,
        "any_ae": bool(safety["any_ae"]),
        "serious_ae": bool(safety["serious_ae"]),
        "grade3_ae": bool(safety["grade3_ae"]),
        "ae_discontinued": bool(safety["ae_discontinued"]),
        "ae_dose_reduced": bool(safety["ae_dose_reduced"]),
        "neuropathy": bool(safety["neuropathy"]),
        "thrombosis": bool(safety["thrombosis"]),
        "lupus_flare": bool(safety["lupus_flare"]),
    }


def evidence_of(chart: Chart, *, course: Course | None) -> Evidence:
    """Return the rows that decided each outcome, by its name."""
    if course is None:
        return {name: [] for name in OUTCOME_NAMES}
    return {
        **treatment_evidence(chart, treatment=course.treatment),
        "n_prior_systemic": prior_rows(systemic_treatments(chart.prior_treatments)),
        "prior_thalidomide": prior_rows(thalidomide_treatments(chart.prior_treatments)),
        **response_evidence(course.responses, treatment=course.treatment),
        **course.safety,
    }
