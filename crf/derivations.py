"""What follows from recorded values by itself: shown live at entry, used by edit checks and by the endpoints.

Pure functions over plain values: no database, no clock, no settings. Source: docs/endpoints.md.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

Response = Literal["CR", "PR", "NR"]

NOTHING, EVERYTHING = Decimal(0), Decimal(100)
"""Clearance in %, from least to most."""
COMPLETE_ABOVE = Decimal(95)
"""Clearance in % above which a response is complete (docs/endpoints.md, "visit response")."""
PARTIAL_FROM = Decimal(50)
"""Clearance in % from which a response is partial (the same)."""
DAYS_IN_A_MONTH = 30.4375
SHARE_OF_DAYS: Mapping[str, Decimal] = {
    "daily": Decimal(1),
    "alternate_days": Decimal("0.5"),
    "d21_28": Decimal("0.75"),
    "other": Decimal(1),
}
"""Share of days with a dose, by `dose_schedule` (docs/endpoints.md, "mean daily dose")."""


def visit_response(*, clearance: Decimal, new_lesions: bool) -> Response:
    """Return the response at one evaluable assessment.

    `clearance` is the share, in %, of the lesions present at the start that has cleared.
    Raises ValueError if it is not within 0 to 100.

    Source: docs/endpoints.md, "visit response": CR above 95 %, PR from 50 %, neither with new lesions.
    """
    if not NOTHING <= clearance <= EVERYTHING:
        raise ValueError("Clearance is a percentage from 0 to 100.")
    if new_lesions or clearance < PARTIAL_FROM:
        return "NR"
    return "CR" if clearance > COMPLETE_ABOVE else "PR"


def mean_daily_dose(*, dose_mg: Decimal | None, dose_schedule: str | None) -> Decimal | None:
    """Return the dose in mg a day, averaged over the schedule; None when the dose or the schedule is not recorded.

    Raises KeyError for a schedule that is not in the dictionary.

    Source: docs/endpoints.md, "mean daily dose".
    """
    if dose_mg is None or dose_schedule is None:
        return None
    return dose_mg * SHARE_OF_DAYS[dose_schedule]


def index_date(doses: Iterable[tuple[date | None, Decimal | None]]) -> date | None:
    """Return the first day of the first period with a dose above 0, None when there is none.

    `doses` are pairs (`dose_start`, `dose_mg`); every schedule gives a mean above 0 for a dose above 0.

    Source: docs/endpoints.md, "index date".
    """
    return min((start for start, dose_mg in doses if start is not None and dose_mg), default=None)


def completed_years(*, birth_date: date, on: date) -> int:
    """Return the age on a day, in completed years; somebody born on 29 February turns on 1 March in other years.

    Source: docs/endpoints.md, "age_at_start".
    """
    return on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))


def months_between(start: date, end: date) -> float:
    """Return the time from `start` to `end` in months of 30.4375 days.

    Source: docs/endpoints.md.
    """
    return (end - start).days / DAYS_IN_A_MONTH
