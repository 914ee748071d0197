"""The table of the published open series, beside the same figures of this cohort."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from exports.endpoints.cohort import Interval, Spread, Summary

NOT_AVAILABLE = "n/a"


class Figure(NamedTuple):
    """One line of the table, as printed; `matches` says whether this cohort shows the published figure."""

    label: str
    value_text: str
    published_text: str
    matches: bool


def table_lines(overall: Summary) -> list[Figure]:
    """Return every figure of the published table with that of the cohort whose overall summary this is.

    Months are whole months rounded half up, percentages have one decimal; a median over nobody is "n/a".

    Source: docs/endpoints.md, "What the published cohort must show".
    """
    return [
        Figure(label, value_text := printed(overall), published_text, value_text == published_text)
        for label, printed, published_text in PUBLISHED
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


# Label, how it prints from the overall summary, what was published.
PUBLISHED: tuple[tuple[str, Callable[[Summary], str], str], ...] = (
    ("Patients treated", lambda cohort: f"{cohort['treated']}", "19"),
    ("Men", lambda cohort: f"{cohort['male']}", "4"),
    ("Women", lambda cohort: f"{cohort['female']}", "15"),
    ("Chronic discoid lupus", lambda cohort: f"{cohort['discoid']}", "12"),
    ("Age at first dose, median (years)", lambda cohort: plain(cohort["age"]["median"]), "43"),
    ("Prior systemic treatments, median (range)", lambda cohort: plain_with_range(cohort["prior"]), "6 (2-12)"),
    ("Prior thalidomide", lambda cohort: f"{cohort['prior_thalidomide']}/{cohort['treated']}", "16/19"),
    ("Complete response", lambda cohort: share(cohort["intervals"]["cr"]), "12 (63.2%)"),
    ("Partial response", lambda cohort: share(cohort["intervals"]["pr"]), "5 (26.3%)"),
    ("Overall response", lambda cohort: share(cohort["intervals"]["response"]), "17 (89.5%)"),
    ("Not evaluable", lambda cohort: f"{cohort['ne']}", "2"),
    (
        "Months to BOR, complete, median (range)",
        lambda cohort: months_with_range(cohort["months_to_bor_cr"]),
        "3 (1-9)",
    ),
    ("Months to BOR, partial, median (range)", lambda cohort: months_with_range(cohort["months_to_bor_pr"]), "3 (1-9)"),
    (
        "Duration of complete response, median (months)",
        lambda cohort: whole_months(cohort["cr_months"]["median"]),
        "14",
    ),
    (
        "Responders still treated at last news",
        lambda cohort: f"{cohort['responders_on_treatment']}/{cohort['responders']}",
        "15/17",
    ),
    ("Sustained complete response", lambda cohort: f"{cohort['sustained_cr']}", "10"),
    ("Relapse among responders", lambda cohort: f"{cohort['relapsed']}", "4"),
    ("... after a dose reduction", lambda cohort: f"{cohort['relapsed_after_dose_reduction']}", "1"),
    ("Dose reduced or drug stopped, no relapse", lambda cohort: f"{cohort['changed_without_relapse']}", "4"),
    ("... for an adverse event", lambda cohort: f"{cohort['changed_without_relapse_for']['adverse_event']}", "1"),
    (
        "... for a lasting response",
        lambda cohort: f"{cohort['changed_without_relapse_for']['sustained_response']}",
        "3",
    ),
    ("Any adverse event", lambda cohort: f"{cohort['any_ae']}", "12"),
    ("Serious adverse event", lambda cohort: f"{cohort['serious_ae']}", "5"),
    ("Discontinuation for an adverse event", lambda cohort: f"{cohort['ae_discontinued']}", "3"),
    ("Dose reduction for an adverse event", lambda cohort: f"{cohort['ae_dose_reduced']}", "2"),
    ("Neuropathy", lambda cohort: f"{cohort['neuropathy']}", "0"),
    ("Thrombosis", lambda cohort: f"{cohort['thrombosis']}", "0"),
    ("Systemic flare", lambda cohort: f"{cohort['lupus_flare']}", "1"),
)
