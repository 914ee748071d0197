"""The rows behind each outcome, so that every figure can be questioned.

A "yes" or a value names the rows that make it so. A "no" that took a search through assessments names those searched; a
"no" because there is no such row names none, and neither does a rule that does not apply.
"""

from collections.abc import Sequence

from exports.endpoints.chart import Chart, PriorTreatment
from exports.endpoints.outcome import Evidence, EvidenceRow
from exports.endpoints.response import Responses, Visit
from exports.endpoints.treatment import Period, Treatment, first_reduction, period_in_force

PATIENT = EvidenceRow("patient", 1)


def rows_of(*decided: Period | Visit | None) -> list[EvidenceRow]:
    """Name the rows of these periods and visits, each once, in this order."""
    rows: list[EvidenceRow] = []
    for fact in decided:
        if fact is not None and fact.row not in rows:
            rows.append(fact.row)
    return rows


def treatment_evidence(chart: Chart, *, treatment: Treatment) -> Evidence:
    """Return the rows behind `treated` to `dose_reduced_for`."""
    first, last = [treatment.active[0].row], [treatment.active[-1].row]
    contact = rows_of_last_contact(chart, treatment=treatment)
    # A last day alone does not end the treatment: it is compared with the day of last news.
    end = last if treatment.active[-1].end is None else last + [row for row in contact if row not in last]
    return {
        "treated": first,
        "index_date": first,
        "age_at_start": [PATIENT, *first] if chart.patient.birth_date else [],
        "last_contact": contact,
        "treatment_end": end,
        "on_treatment": end,
        "discontinued_for": last if treatment.end else [],
        "dose_reduced_for": [period.row for period in first_reduction(treatment.active) or ()],
    }


def rows_of_last_contact(chart: Chart, *, treatment: Treatment) -> list[EvidenceRow]:
    """Name the patient form when it gives the day of last news, or else every row that bears that day."""
    if chart.patient.last_contact_date:
        return [PATIENT]
    day = treatment.last_contact
    rows: list[EvidenceRow] = [
        EvidenceRow("lesion_assessment", visit.instance) for visit in chart.assessments if visit.lesion_date == day
    ]
    return rows + [
        EvidenceRow("dosing", dose.instance)
        for dose in chart.doses
        if dose.dose_start and day in (dose.dose_start, dose.dose_end)
    ]


def prior_rows(treatments: Sequence[PriorTreatment]) -> list[EvidenceRow]:
    """Name these prior treatments."""
    return [EvidenceRow("prior_treatment", treatment.instance) for treatment in treatments]


def response_evidence(responses: Responses, *, treatment: Treatment) -> Evidence:
    """Return the rows behind `bor` to `sustained_cr`."""
    best, relapse, first = responses.best, responses.relapse, treatment.active[0]
    if best is None:
        return evidence_without_response(responses)
    reached = [best.row]
    return {
        "bor": reached,
        "responder": reached,
        "bor_date": reached,
        "months_to_bor": [first.row, best.row],
        "bor_after_adjustment": rows_of(first, period_in_force(treatment.periods, day=best.day), best),
        "relapsed": followed(responses, best=best, until=relapse),
        "relapse_date": [relapse.row] if relapse else [],
        "relapse_setting": relapse_setting_rows(relapse, best=best, treatment=treatment) if relapse else [],
        "months_to_relapse_or_censor": rows_of(best, relapse or responses.last),
        **cr_evidence(responses, best=best),
    }


def evidence_without_response(responses: Responses) -> Evidence:
    """Return the rows behind `bor` to `sustained_cr` of a patient without a response."""
    searched = [visit.row for visit in responses.in_window]
    return {
        "bor": searched,
        "responder": searched,
        "bor_date": [],
        "months_to_bor": [],
        "bor_after_adjustment": [],
        "relapsed": [],
        "relapse_date": [],
        "relapse_setting": [],
        "months_to_relapse_or_censor": [],
        "cr_lost": [],
        "cr_months": [],
        "sustained_cr": searched,
    }


def followed(responses: Responses, *, best: Visit, until: Visit | None) -> list[EvidenceRow]:
    """Name the BOR assessment and the one that ended the response, or else all those that did not."""
    if until:
        return [best.row, until.row]
    return [best.row, *(visit.row for visit in responses.later)]


def relapse_setting_rows(relapse: Visit, *, best: Visit, treatment: Treatment) -> list[EvidenceRow]:
    """Name the relapse and what it is held against: the last active period, or the doses then and at the BOR."""
    if treatment.end and relapse.day > treatment.end:
        return [treatment.active[-1].row, relapse.row]
    at_best, at_relapse = (period_in_force(treatment.periods, day=visit.day) for visit in (best, relapse))
    return rows_of(at_best, at_relapse, best, relapse)


def cr_evidence(responses: Responses, *, best: Visit) -> Evidence:
    """Return the rows behind `cr_lost`, `cr_months` and `sustained_cr` of a responder."""
    if responses.bor != "CR":
        return {"cr_lost": [], "cr_months": [], "sustained_cr": [best.row]}
    kept_or_lost = followed(responses, best=best, until=responses.cr_end)
    return {
        "cr_lost": kept_or_lost,
        "cr_months": rows_of(best, responses.cr_end or responses.last),
        "sustained_cr": kept_or_lost,
    }
