"""Time-to-event curves by Kaplan and Meier; the only module that knows lifelines."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import TypedDict

# Distances, in months, between the marks of the table of numbers at risk, and how many marks fit under a plot.
MARK_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
MOST_MARKS = 10


class AtRisk(TypedDict):
    """How many patients were still followed and without the event just before this month."""

    months: int
    n: int


class Survival(TypedDict):
    """A Kaplan-Meier estimate; times in months, shares from 0 to 1.

    `median` and its 95 % limits are null when the curve, or its confidence limit, does not come down to one half.
    `timeline` holds 0, every time at which the curve steps down and the end of the observation; `survival` the share
    without the event from then on.
    """

    n: int
    events: int
    median: float | None
    low: float | None
    high: float | None
    timeline: list[float]
    survival: list[float]
    at_risk: list[AtRisk]


def kaplan_meier(durations: Sequence[float], *, observed: Sequence[bool]) -> Survival:
    """Return the Kaplan-Meier estimate with the median and its 95 % interval by the log-log method.

    `durations` are months from the start to the event or the censoring, one a patient, and `observed` says which.
    Nobody gives an empty curve, no error. Raises ValueError if the two differ in length.

    Source: docs/endpoints.md, "Cohort"; log-log limits: Kalbfleisch and Prentice 1980, of the median: Brookmeyer and
    Crowley 1982.
    """
    if len(durations) != len(observed):
        raise ValueError("every duration needs to be marked as observed or censored")
    if not durations:
        return nobody()
    from lifelines import KaplanMeierFitter  # noqa: PLC0415 -- slow import, 150 MB
    from lifelines.utils import median_survival_times  # noqa: PLC0415 -- slow import, 150 MB

    curve = KaplanMeierFitter(alpha=0.05).fit(durations, event_observed=observed)
    low, high = median_survival_times(curve.confidence_interval_).iloc[0]
    timeline, survival = steps(curve.survival_function_.index, curve.survival_function_.iloc[:, 0])
    return {
        "n": len(durations),
        "events": sum(observed),
        "median": reached(curve.median_survival_time_),
        "low": reached(low),
        "high": reached(high),
        "timeline": timeline,
        "survival": survival,
        "at_risk": numbers_at_risk(durations),
    }


def nobody() -> Survival:
    """Return the estimate over no patients."""
    return {
        "n": 0,
        "events": 0,
        "median": None,
        "low": None,
        "high": None,
        "timeline": [],
        "survival": [],
        "at_risk": [],
    }


def reached(months: float) -> float | None:
    """Return the time, None when lifelines says by infinity that it was not reached."""
    return float(months) if isfinite(months) else None


def steps(times: Sequence[float], shares: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the first point, those at which the share changes, and the last; censoring alone draws nothing."""
    points = [(float(time), float(share)) for time, share in zip(times, shares, strict=True)]
    kept = points[:1] + [point for before, point in pairwise(points) if point[1] != before[1]]
    if kept[-1] != points[-1]:
        kept.append(points[-1])
    return [time for time, _ in kept], [share for _, share in kept]


def numbers_at_risk(durations: Sequence[float]) -> list[AtRisk]:
    """Return the number at risk at whole months, evenly spaced from 0 to the end of the observation."""
    ordered = sorted(durations)
    step = next((step for step in MARK_STEPS if ordered[-1] / step < MOST_MARKS), MARK_STEPS[-1])
    marks = range(0, int(ordered[-1]) + 1, step)
    return [{"months": mark, "n": len(ordered) - bisect_left(ordered, mark)} for mark in marks]
