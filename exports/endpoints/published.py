"""The table of the published open series, beside the same figures of this cohort."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from django.utils.translation import gettext_noop

from exports.endpoints.cohort import Interval, Spread, Summary

NOT_AVAILABLE = "n/a"


class Figure(NamedTuple):
    """One line of the table, as printed; `matches` says whether this cohort shows the published figure."""

    label: str
    value_text: str
    published_text: str
    matches: bool


class Line(NamedTuple):
    """One line of the table: the name of its figure, its label, how it prints, and what was published."""

    key: str
    label: str
    printed: Callable[[Summary], str]
    published_text: str


INTERVAL_OF = {"responders": "response"}
"""Figures whose interval has another name."""


def interval_of(key: str, *, summary: Mapping[str, Any]) -> Interval | None:
    """Return the exact interval of a figure of a summary, None when it has none."""
    interval: Interval | None = summary["intervals"].get(INTERVAL_OF.get(key, key))
    return interval


def percent_limits(interval: Interval) -> str:
    """Print the limits of an interval, as "38.4-83.7", in %."""
    if interval["low"] is None or interval["high"] is None:
        return NOT_AVAILABLE
    return f"{half_up(interval['low'], decimals=1)}-{half_up(interval['high'], decimals=1)}"


def table_lines(overall: Summary) -> list[Figure]:
    """Return every figure of the published table with that of the cohort whose overall summary this is.

    Months are whole months rounded half up, percentages have one decimal; a median over nobody is "n/a".

    Source: docs/endpoints.md, "What the published cohort must show".
    """
    return [
        Figure(line.label, value_text := line.printed(overall), line.published_text, value_text == line.published_text)
        for line in PUBLISHED
    ]


def half_up(value: float, *, decimals: int = 0) -> str:
    """Return the number with this many decimals, halves rounded up (Python's own rounding goes to the even digit)."""
    return str(Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


def share(interval: Interval) -> str:
    """Print a count with its percentage, as "12 (63.2%)"."""
    if interval["percent"] is None:
        return f"{interval['n']} ({NOT_AVAILABLE})"
    return f"{interval['n']} ({half_up(interval['percent'], decimals=1)}%)"


def whole_months(months: float | None) -> str:
    """Print a time in whole months."""
    return NOT_AVAILABLE if months is None else half_up(months)


def months_with_range(spread: Spread) -> str:
    """Print a median time with its range in whole months, as "3 (1-9)"."""
    low, high = whole_months(spread["min"]), whole_months(spread["max"])
    return NOT_AVAILABLE if spread["n"] == 0 else f"{whole_months(spread['median'])} ({low}-{high})"


def plain(number: float | None) -> str:
    """Print a median of whole numbers: whole, or with its half."""
    return NOT_AVAILABLE if number is None else f"{number:g}"


def plain_with_range(spread: Spread) -> str:
    """Print a median of whole numbers with its range, as "6 (2-12)"."""
    if spread["n"] == 0:
        return NOT_AVAILABLE
    return f"{plain(spread['median'])} ({plain(spread['min'])}-{plain(spread['max'])})"


# Key (exports/endpoints/definitions.py), label, how it prints from the overall summary, what was published.
PUBLISHED: tuple[Line, ...] = (
    Line("treated", gettext_noop("Patients treated"), lambda cohort: f"{cohort['treated']}", "19"),
    Line("male", gettext_noop("Men"), lambda cohort: f"{cohort['male']}", "4"),
    Line("female", gettext_noop("Women"), lambda cohort: f"{cohort['female']}", "15"),
    Line("discoid", gettext_noop("Chronic discoid lupus"), lambda cohort: f"{cohort['discoid']}", "12"),
    Line("age", gettext_noop("Age at first dose, median (years)"), lambda cohort: plain(cohort["age"]["median"]), "43"),
    Line(
        "prior",
        gettext_noop("Prior systemic treatments, median (range)"),
        lambda cohort: plain_with_range(cohort["prior"]),
        "6 (2-12)",
    ),
    Line(
        "prior_thalidomide",
        gettext_noop("Prior thalidomide"),
        lambda cohort: f"{cohort['prior_thalidomide']}/{cohort['treated']}",
        "16/19",
    ),
    Line("cr", gettext_noop("Complete response"), lambda cohort: share(cohort["intervals"]["cr"]), "12 (63.2%)"),
    Line("pr", gettext_noop("Partial response"), lambda cohort: share(cohort["intervals"]["pr"]), "5 (26.3%)"),
    Line(
        "responders",
        gettext_noop("Overall response"),
        lambda cohort: share(cohort["intervals"]["response"]),
        "17 (89.5%)",
    ),
    Line("ne", gettext_noop("Not evaluable"), lambda cohort: f"{cohort['ne']}", "2"),
    Line(
        "months_to_bor_cr",
        gettext_noop("Months to BOR, complete, median (range)"),
        lambda cohort: months_with_range(cohort["months_to_bor_cr"]),
        "3 (1-9)",
    ),
    Line(
        "months_to_bor_pr",
        gettext_noop("Months to BOR, partial, median (range)"),
        lambda cohort: months_with_range(cohort["months_to_bor_pr"]),
        "3 (1-9)",
    ),
    Line(
        "cr_months",
        gettext_noop("Duration of complete response, median (months)"),
        lambda cohort: whole_months(cohort["cr_months"]["median"]),
        "14",
    ),
    Line(
        "responders_on_treatment",
        gettext_noop("Responders still treated at last news"),
        lambda cohort: f"{cohort['responders_on_treatment']}/{cohort['responders']}",
        "15/17",
    ),
    Line("sustained_cr", gettext_noop("Sustained complete response"), lambda cohort: f"{cohort['sustained_cr']}", "10"),
    Line("relapsed", gettext_noop("Relapse among responders"), lambda cohort: f"{cohort['relapsed']}", "4"),
    Line(
        "relapsed_after_dose_reduction",
        gettext_noop("... after a dose reduction"),
        lambda cohort: f"{cohort['relapsed_after_dose_reduction']}",
        "1",
    ),
    Line(
        "changed_without_relapse",
        gettext_noop("Dose reduced or drug stopped, no relapse"),
        lambda cohort: f"{cohort['changed_without_relapse']}",
        "4",
    ),
    Line(
        "changed_without_relapse_for.adverse_event",
        gettext_noop("... for an adverse event"),
        lambda cohort: f"{cohort['changed_without_relapse_for']['adverse_event']}",
        "1",
    ),
    Line(
        "changed_without_relapse_for.sustained_response",
        gettext_noop("... for a lasting response"),
        lambda cohort: f"{cohort['changed_without_relapse_for']['sustained_response']}",
        "3",
    ),
    Line("any_ae", gettext_noop("Any adverse event"), lambda cohort: f"{cohort['any_ae']}", "12"),
    Line("serious_ae", gettext_noop("Serious adverse event"), lambda cohort: f"{cohort['serious_ae']}", "5"),
    Line(
        "ae_discontinued",
        gettext_noop("Discontinuation for an adverse event"),
        lambda cohort: f"{cohort['ae_discontinued']}",
        "3",
    ),
    Line(
        "ae_dose_reduced",
        gettext_noop("Dose reduction for an adverse event"),
        lambda cohort: f"{cohort['ae_dose_reduced']}",
        "2",
    ),
    Line("neuropathy", gettext_noop("Neuropathy"), lambda cohort: f"{cohort['neuropathy']}", "0"),
    Line("thrombosis", gettext_noop("Thrombosis"), lambda cohort: f"{cohort['thrombosis']}", "0"),
    Line("lupus_flare", gettext_noop("Systemic flare"), lambda cohort: f"{cohort['lupus_flare']}", "1"),
)
