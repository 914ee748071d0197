"""A second, deliberately naive reading of docs/endpoints.md, to hold the rules against.

Written from the text alone and sharing no code with `exports.endpoints.rules`: every name of the table is a function of
the whole chart, found again from scratch each time, slow and plain.
"""

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from exports.endpoints.chart import Assessment, Chart, Dose

FACTOR = {"daily": Fraction(1), "alternate_days": Fraction(1, 2), "d21_28": Fraction(3, 4), "other": Fraction(1)}
RANK = {"NR": 1, "PR": 2, "CR": 3}


def months(first: date, second: date) -> float:
    return float(Fraction((second - first).days) / Fraction("30.4375"))


def dosing_rows(chart: Chart) -> list[Dose]:
    rows = [row for row in chart.doses if row.dose_start is not None]
    return sorted(rows, key=lambda row: (row.dose_start, row.instance))


def mean_daily(row: Dose) -> Fraction | None:
    if row.dose_mg is None or row.dose_schedule is None:
        return None
    return Fraction(row.dose_mg) * FACTOR[row.dose_schedule]


def active_periods(chart: Chart) -> list[Dose]:
    return [row for row in dosing_rows(chart) if (mean_daily(row) or 0) > 0]


def treated(chart: Chart) -> bool:
    return len(active_periods(chart)) >= 1


def index_date(chart: Chart) -> date:
    return active_periods(chart)[0].dose_start


def age_at_start(chart: Chart) -> int | None:
    birth = chart.patient.birth_date
    if birth is None:
        return None
    start = index_date(chart)
    years = start.year - birth.year
    birthday_reached = start.month > birth.month or (start.month == birth.month and start.day >= birth.day)
    return years if birthday_reached else years - 1


def last_contact(chart: Chart) -> date:
    if chart.patient.last_contact_date is not None:
        return chart.patient.last_contact_date
    seen = [row.lesion_date for row in chart.assessments]
    seen += [row.dose_start for row in dosing_rows(chart)]
    seen += [row.dose_end for row in dosing_rows(chart)]
    return max(day for day in seen if day is not None)


def treatment_end(chart: Chart) -> date | None:
    end = active_periods(chart)[-1].dose_end
    if end is None:
        return None
    if end >= last_contact(chart):
        return None
    return end


def on_treatment(chart: Chart) -> bool:
    return treatment_end(chart) is None


def discontinued_for(chart: Chart) -> str | None:
    return None if treatment_end(chart) is None else active_periods(chart)[-1].dose_stop_reason


def dose_reduced_for(chart: Chart) -> str | None:
    periods = active_periods(chart)
    for number in range(1, len(periods)):
        if mean_daily(periods[number]) < mean_daily(periods[number - 1]):
            return periods[number].dose_reason
    return None


def dose_in_force(chart: Chart, day: date) -> Fraction:
    """Of two rows that cover one day (which the database refuses) the one that began last."""
    dose = Fraction(0)
    for row in dosing_rows(chart):
        covers = row.dose_start <= day and (row.dose_end is None or day <= row.dose_end)
        if covers and mean_daily(row) is not None:
            dose = mean_daily(row)
    return dose


def n_prior_systemic(chart: Chart) -> int:
    drugs = []
    for row in chart.prior_treatments:
        if row.prior_route in ("oral", "intravenous", "subcutaneous", "intramuscular"):
            other = row.prior_drug_other if row.prior_drug_other is not None else ""
            drug = (row.prior_drug, other.strip().lower())
            if drug not in drugs:
                drugs.append(drug)
    return len(drugs)


def prior_thalidomide(chart: Chart) -> bool:
    return any(row.prior_drug == "thalidomide" for row in chart.prior_treatments)


def evaluable(chart: Chart) -> list[Assessment]:
    rows = [row for row in chart.assessments if row.lesion_date is not None]
    rows = [row for row in rows if row.lesion_date > index_date(chart)]
    rows = [row for row in rows if row.lesion_clearance is not None and row.lesion_new is not None]
    return sorted(rows, key=lambda row: (row.lesion_date, row.instance))


def response(row: Assessment) -> str:
    if row.lesion_clearance > 95 and not row.lesion_new:
        return "CR"
    if row.lesion_clearance >= 50 and not row.lesion_new:
        return "PR"
    return "NR"


def in_window(chart: Chart) -> list[Assessment]:
    end = treatment_end(chart)
    if end is None:
        return evaluable(chart)
    return [row for row in evaluable(chart) if row.lesion_date <= end + timedelta(days=30)]


def bor(chart: Chart) -> str:
    if not in_window(chart):
        return "NE"
    return max((response(row) for row in in_window(chart)), key=lambda name: RANK[name])


def responder(chart: Chart) -> bool:
    return bor(chart) in ("CR", "PR")


def bor_assessment(chart: Chart) -> Assessment | None:
    if not responder(chart):
        return None
    return next(row for row in in_window(chart) if response(row) == bor(chart))


def bor_date(chart: Chart) -> date | None:
    row = bor_assessment(chart)
    return None if row is None else row.lesion_date


def months_to_bor(chart: Chart) -> float | None:
    day = bor_date(chart)
    return None if day is None else months(index_date(chart), day)


def bor_after_adjustment(chart: Chart) -> bool | None:
    day = bor_date(chart)
    return None if day is None else dose_in_force(chart, day) != mean_daily(active_periods(chart)[0])


def after_bor(chart: Chart) -> list[Assessment]:
    rows = evaluable(chart)
    return rows[rows.index(bor_assessment(chart)) + 1 :]


def relapse(chart: Chart) -> Assessment | None:
    if not responder(chart):
        return None
    for row in after_bor(chart):
        if row.lesion_new or row.lesion_clearance < 50:
            return row
    return None


def relapsed(chart: Chart) -> bool | None:
    return relapse(chart) is not None if responder(chart) else None


def relapse_date(chart: Chart) -> date | None:
    row = relapse(chart)
    return None if row is None else row.lesion_date


def relapse_setting(chart: Chart) -> str | None:
    day = relapse_date(chart)
    if day is None:
        return None
    end = treatment_end(chart)
    if end is not None and day > end:
        return "after_discontinuation"
    if dose_in_force(chart, day) < dose_in_force(chart, bor_date(chart)):
        return "after_dose_reduction"
    return "on_stable_dose"


def months_to_relapse_or_censor(chart: Chart) -> float | None:
    if not responder(chart):
        return None
    return months(bor_date(chart), relapse_date(chart) or evaluable(chart)[-1].lesion_date)


def not_cr_any_more(chart: Chart) -> list[Assessment]:
    return [row for row in after_bor(chart) if response(row) != "CR"]


def cr_lost(chart: Chart) -> bool | None:
    return len(not_cr_any_more(chart)) > 0 if bor(chart) == "CR" else None


def cr_months(chart: Chart) -> float | None:
    if bor(chart) != "CR":
        return None
    end = not_cr_any_more(chart)[0] if cr_lost(chart) else evaluable(chart)[-1]
    return months(bor_date(chart), end.lesion_date)


def sustained_cr(chart: Chart) -> bool:
    return bor(chart) == "CR" and not cr_lost(chart)


def any_ae(chart: Chart) -> bool:
    return len(chart.adverse_events) > 0


def serious_ae(chart: Chart) -> bool:
    return any(row.ae_serious is True for row in chart.adverse_events)


def grade3_ae(chart: Chart) -> bool:
    return any(row.ae_grade is not None and int(row.ae_grade) >= 3 for row in chart.adverse_events)


def ae_discontinued(chart: Chart) -> bool:
    return any(row.ae_action == "discontinued" for row in chart.adverse_events)


def ae_dose_reduced(chart: Chart) -> bool:
    return any(row.ae_action == "dose_reduced" for row in chart.adverse_events)


def neuropathy(chart: Chart) -> bool:
    return any(row.ae_special_interest == "peripheral_neuropathy" for row in chart.adverse_events)


def thrombosis(chart: Chart) -> bool:
    return any(row.ae_special_interest in ("venous_thrombosis", "arterial_thrombosis") for row in chart.adverse_events)


def lupus_flare(chart: Chart) -> bool:
    return any(row.ae_special_interest == "lupus_flare" for row in chart.adverse_events)


NAMES = (
    index_date, age_at_start, last_contact, treatment_end, on_treatment, discontinued_for, dose_reduced_for,
    n_prior_systemic, prior_thalidomide, bor, responder, bor_date, months_to_bor, bor_after_adjustment, relapsed,
    relapse_date, relapse_setting, months_to_relapse_or_censor, cr_lost, cr_months, sustained_cr, any_ae, serious_ae,
    grade3_ae, ae_discontinued, ae_dose_reduced, neuropathy, thrombosis, lupus_flare,
)  # fmt: skip


def expected_outcome(chart: Chart) -> dict[str, Any]:
    """All the names of the table, in its order; dates as ISO strings; without the evidence."""
    outcome: dict[str, Any] = {
        "record_id": chart.patient.record_id,
        "site": chart.patient.site,
        "treated": treated(chart),
    }
    for rule in NAMES:
        value = rule(chart) if treated(chart) else None
        outcome[rule.__name__] = value.isoformat() if isinstance(value, date) else value
    return outcome
