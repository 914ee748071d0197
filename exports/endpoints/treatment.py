"""The course of the treatment: doses, their periods and their end.

Source of every rule here: docs/endpoints.md, "Per patient".
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from operator import attrgetter

from msgspec import Struct

from crf.derivations import mean_daily_dose
from exports.endpoints.chart import Chart, Dose
from exports.endpoints.outcome import EvidenceRow

NO_DOSE = Decimal(0)

in_order = attrgetter("start", "instance")


class Period(Struct, frozen=True, gc=False):
    """A dosing row with a first day and a known mean daily dose, in mg; `end` None: still running.

    `row` is its name as evidence.
    """

    instance: int
    start: date
    end: date | None
    mean_mg: Decimal
    reason: str | None
    stop_reason: str | None
    row: EvidenceRow


class Treatment(Struct, frozen=True, gc=False):
    """The course of a treated patient: all known periods, the active ones among them (never none), and its limits."""

    periods: list[Period]
    active: list[Period]
    last_contact: date
    end: date | None


def periods_of(doses: Iterable[Dose]) -> list[Period]:
    """Return the periods by first day, then instance; rows without a first day or a known dose are left out."""
    periods = []
    for dose in doses:
        start, mean_mg = dose.dose_start, mean_daily_dose(dose_mg=dose.dose_mg, dose_schedule=dose.dose_schedule)
        if start is not None and mean_mg is not None:
            row = EvidenceRow("dosing", dose.instance)
            periods.append(
                Period(dose.instance, start, dose.dose_end, mean_mg, dose.dose_reason, dose.dose_stop_reason, row)
            )
    return sorted(periods, key=in_order)


def treatment_of(chart: Chart) -> Treatment | None:
    """Return the course of the treatment, None if the patient never had an active period.

    Source: docs/endpoints.md, "active period", "treated".
    """
    periods = periods_of(chart.doses)
    active = [period for period in periods if period.mean_mg > 0]
    if not active:
        return None
    contact = last_contact(chart)
    return Treatment(periods, active, contact, treatment_end(active, last_contact=contact))


def last_contact(chart: Chart) -> date:
    """Return the day of last news: as recorded, or else the latest day on any assessment or dosing row.

    A dosing row without its first day is ignored, its last day included. Raises ValueError if there is no day at all.

    Source: docs/endpoints.md, "last contact".
    """
    if chart.patient.last_contact_date is not None:
        return chart.patient.last_contact_date
    days = [visit.lesion_date for visit in chart.assessments]
    for dose in chart.doses:
        if dose.dose_start is not None:
            days += (dose.dose_start, dose.dose_end)
    return max(day for day in days if day is not None)


def treatment_end(active: Sequence[Period], *, last_contact: date) -> date | None:
    """Return the last day of the last active period, None while the patient was still treated at the last news.

    An interruption between active periods is thus no end, and a period that ends on the day of last news has not ended.

    Source: docs/endpoints.md, "treatment end".
    """
    end = active[-1].end
    return None if end is None or end >= last_contact else end


def first_reduction(active: Sequence[Period]) -> tuple[Period, Period] | None:
    """Return the first active period below the one before it, after that one; None when the dose never fell.

    Source: docs/endpoints.md, "dose_reduced_for".
    """
    for before, after in pairwise(active):
        if after.mean_mg < before.mean_mg:
            return before, after
    return None


def dose_reduced_for(active: Sequence[Period]) -> str | None:
    """Return why the dose was first reduced, None when it never was.

    Source: docs/endpoints.md, "dose_reduced_for".
    """
    reduction = first_reduction(active)
    return reduction[1].reason if reduction else None


def discontinued_for(treatment: Treatment) -> str | None:
    """Return why the last active period ended, None on treatment.

    Source: docs/endpoints.md, "discontinued_for".
    """
    return None if treatment.end is None else treatment.active[-1].stop_reason


def period_in_force(periods: Sequence[Period], *, day: date) -> Period | None:
    """Return the period that covers `day`, both ends included; of two, which the database refuses, the later one."""
    for period in reversed(periods):
        if period.start <= day and (period.end is None or day <= period.end):
            return period
    return None


def dose_in_force(periods: Sequence[Period], *, day: date) -> Decimal:
    """Return the mean daily dose in mg on `day`, 0 when no period covers it.

    Source: docs/endpoints.md, "dose in force on day d".
    """
    period = period_in_force(periods, day=day)
    return period.mean_mg if period else NO_DOSE
