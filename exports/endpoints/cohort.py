"""The cohort summary: counts, medians, exact intervals and time-to-event curves over many patients.

Source of every figure here: docs/endpoints.md, "Cohort".
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import Literal, TypedDict

from exports.endpoints.outcome import Member, Outcome
from exports.endpoints.survival import Survival, kaplan_meier

Flag = Literal[
    "prior_thalidomide",
    "responder",
    "on_treatment",
    "relapsed",
    "sustained_cr",
    "any_ae",
    "serious_ae",
    "ae_discontinued",
    "ae_dose_reduced",
    "neuropathy",
    "thrombosis",
    "lupus_flare",
]
Measure = Literal["age_at_start", "n_prior_systemic", "months_to_bor", "cr_months"]
ChangeReason = Literal["adverse_event", "sustained_response"]


class Spread(TypedDict):
    """The ordinary median with its range, unrounded; null over nobody."""

    n: int
    median: float | None
    min: float | None
    max: float | None


class Interval(TypedDict):
    """`n` of `of` patients, in %, with the limits of the exact (Clopper-Pearson) 95 % interval; null of nobody."""

    n: int
    of: int
    percent: float | None
    low: float | None
    high: float | None


class Intervals(TypedDict):
    """The exact intervals: relapse among responders, the others among treated patients."""

    cr: Interval
    pr: Interval
    response: Interval
    relapsed: Interval
    any_ae: Interval
    serious_ae: Interval


class KaplanMeier(TypedDict):
    """The three curves, in months."""

    months_to_bor: Survival
    months_to_relapse: Survival
    cr_months: Survival


class Summary(TypedDict):
    """The figures of a cohort; all but `enrolled` are over treated patients, counts unless docs/endpoints.md says else.

    `changed_without_relapse_for` splits `changed_without_relapse`: a patient with both reasons counts as adverse event.
    """

    enrolled: int
    treated: int
    male: int
    female: int
    discoid: int
    age: Spread
    prior: Spread
    prior_thalidomide: int
    cr: int
    pr: int
    nr: int
    ne: int
    responders: int
    months_to_bor: Spread
    months_to_bor_cr: Spread
    months_to_bor_pr: Spread
    cr_months: Spread
    sustained_cr: int
    responders_on_treatment: int
    relapsed: int
    relapsed_after_dose_reduction: int
    any_ae: int
    serious_ae: int
    ae_discontinued: int
    ae_dose_reduced: int
    neuropathy: int
    thrombosis: int
    lupus_flare: int
    changed_without_relapse: int
    changed_without_relapse_for: dict[ChangeReason, int]
    intervals: Intervals
    kaplan_meier: KaplanMeier


class CohortSummary(TypedDict):
    """The whole cohort and each of its sites, by site code in alphabetical order."""

    overall: Summary
    by_site: dict[str, Summary]


def summarise_cohort(members: Iterable[Member]) -> CohortSummary:
    """Return the summary of all these patients and of each site among them."""
    everyone = sorted(members, key=site_of)
    return {
        "overall": summarise(everyone),
        "by_site": {site: summarise(list(group)) for site, group in groupby(everyone, key=site_of)},
    }


def site_of(member: Member) -> str:
    """Return the code of the patient's site."""
    return member.outcome["site"]


def summarise(members: Sequence[Member]) -> Summary:
    """Return the figures of one cohort; nobody in it gives zeros and nulls, no error."""
    treated = [member for member in members if member.outcome["treated"]]
    outcomes = [member.outcome for member in treated]
    by_bor = {bor: [one for one in outcomes if one["bor"] == bor] for bor in ("CR", "PR", "NR", "NE")}
    responders = by_bor["CR"] + by_bor["PR"]
    changed = [reason for outcome in responders if (reason := change_without_relapse(outcome))]
    return {
        "enrolled": len(members),
        "treated": len(treated),
        "male": sum(member.sex == "M" for member in treated),
        "female": sum(member.sex == "F" for member in treated),
        "discoid": sum(member.discoid for member in treated),
        "age": spread(outcomes, of="age_at_start"),
        "prior": spread(outcomes, of="n_prior_systemic"),
        "prior_thalidomide": count(outcomes, that="prior_thalidomide"),
        "cr": len(by_bor["CR"]),
        "pr": len(by_bor["PR"]),
        "nr": len(by_bor["NR"]),
        "ne": len(by_bor["NE"]),
        "responders": len(responders),
        "months_to_bor": spread(responders, of="months_to_bor"),
        "months_to_bor_cr": spread(by_bor["CR"], of="months_to_bor"),
        "months_to_bor_pr": spread(by_bor["PR"], of="months_to_bor"),
        "cr_months": spread(by_bor["CR"], of="cr_months"),
        "sustained_cr": count(outcomes, that="sustained_cr"),
        "responders_on_treatment": count(responders, that="on_treatment"),
        "relapsed": count(responders, that="relapsed"),
        "relapsed_after_dose_reduction": sum(one["relapse_setting"] == "after_dose_reduction" for one in responders),
        "any_ae": count(outcomes, that="any_ae"),
        "serious_ae": count(outcomes, that="serious_ae"),
        "ae_discontinued": count(outcomes, that="ae_discontinued"),
        "ae_dose_reduced": count(outcomes, that="ae_dose_reduced"),
        "neuropathy": count(outcomes, that="neuropathy"),
        "thrombosis": count(outcomes, that="thrombosis"),
        "lupus_flare": count(outcomes, that="lupus_flare"),
        "changed_without_relapse": len(changed),
        "changed_without_relapse_for": {
            "adverse_event": changed.count("adverse_event"),
            "sustained_response": changed.count("sustained_response"),
        },
        "intervals": {
            "cr": exact_interval(len(by_bor["CR"]), of=len(treated)),
            "pr": exact_interval(len(by_bor["PR"]), of=len(treated)),
            "response": exact_interval(len(responders), of=len(treated)),
            "relapsed": exact_interval(count(responders, that="relapsed"), of=len(responders)),
            "any_ae": exact_interval(count(outcomes, that="any_ae"), of=len(treated)),
            "serious_ae": exact_interval(count(outcomes, that="serious_ae"), of=len(treated)),
        },
        "kaplan_meier": {
            "months_to_bor": time_to_bor(treated),
            "months_to_relapse": time_to_relapse(responders),
            "cr_months": duration_of_cr(by_bor["CR"]),
        },
    }


def count(outcomes: Iterable[Outcome], *, that: Flag) -> int:
    """Return in how many of these outcomes this one is true."""
    return sum(outcome[that] is True for outcome in outcomes)


def change_without_relapse(outcome: Outcome) -> ChangeReason | None:
    """Return why a responder without relapse had the dose reduced or the drug stopped, None for any other reason.

    Source: docs/endpoints.md, "changed_without_relapse".
    """
    reasons = (outcome["dose_reduced_for"], outcome["discontinued_for"])
    if outcome["relapsed"]:
        return None
    if "adverse_event" in reasons:
        return "adverse_event"
    return "sustained_response" if "sustained_response" in reasons else None


def spread(outcomes: Iterable[Outcome], *, of: Measure) -> Spread:
    """Return the median and range of one measure over those who have it."""
    values = [value for outcome in outcomes if (value := outcome[of]) is not None]
    if not values:
        return {"n": 0, "median": None, "min": None, "max": None}
    return {"n": len(values), "median": median(values), "min": min(values), "max": max(values)}


def exact_interval(n: int, *, of: int) -> Interval:
    """Return `n` of `of` patients in % with the exact (Clopper-Pearson) 95 % interval.

    Raises ValueError if `n` is not within 0 to `of`.

    Source: Clopper and Pearson 1934, its limits as quantiles of the beta distribution.
    """
    if not 0 <= n <= of:
        raise ValueError(f"{n} of {of} patients is no proportion")
    if of == 0:
        return {"n": 0, "of": 0, "percent": None, "low": None, "high": None}
    from scipy.special import betaincinv  # noqa: PLC0415 -- slow import, 30 MB

    low = 0.0 if n == 0 else float(betaincinv(n, of - n + 1, 0.025))
    high = 1.0 if n == of else float(betaincinv(n + 1, of - n, 0.975))
    return {"n": n, "of": of, "percent": 100 * n / of, "low": 100 * low, "high": 100 * high}


def time_to_bor(treated: Iterable[Member]) -> Survival:
    """Return the curve from the index date to the BOR.

    A patient without a response is censored at the last evaluable assessment that counts for the BOR, or at once.
    """
    seen = [
        (member.months_to_last_evaluable or 0.0, False) if months is None else (months, True)
        for member in treated
        for months in [member.outcome["months_to_bor"]]
    ]
    return kaplan_meier([months for months, _ in seen], observed=[reached for _, reached in seen])


def time_to_relapse(responders: Iterable[Outcome]) -> Survival:
    """Return the curve from the BOR to relapse, censored at the last evaluable assessment."""
    seen = [
        (months, outcome["relapsed"] is True)
        for outcome in responders
        if (months := outcome["months_to_relapse_or_censor"]) is not None
    ]
    return kaplan_meier([months for months, _ in seen], observed=[relapsed for _, relapsed in seen])


def duration_of_cr(complete: Iterable[Outcome]) -> Survival:
    """Return the curve from the BOR to the loss of a complete response, censored at the last evaluable assessment."""
    seen = [
        (months, outcome["cr_lost"] is True) for outcome in complete if (months := outcome["cr_months"]) is not None
    ]
    return kaplan_meier([months for months, _ in seen], observed=[lost for _, lost in seen])
