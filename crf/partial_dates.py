"""Dates of which only the year, or the year and month, may be known (ISO 8601, as SDTM's --DTC variables)."""

import calendar
import re
from datetime import date
from enum import StrEnum
from functools import lru_cache, total_ordering

ISO_8601 = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


class Precision(StrEnum):
    """How much of a date is known."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"


@total_ordering
class PartialDate:
    """A year, a month of a year or a day: the span of days from `earliest` to `latest`, both included.

    `text` is its ISO 8601 spelling. Ordered by the first day of the span; of two that begin together the less precise
    comes first, which is also the order of the texts. Never changed once made. A plain class: the JSON encoder would
    write a dataclass as an object instead of its text.

    Raises ValueError when made of a month or day that the calendar does not have.
    """

    __slots__ = ("day", "earliest", "latest", "month", "text", "year")

    def __init__(self, year: int, month: int | None = None, day: int | None = None) -> None:
        if day is not None and month is None:
            raise ValueError("A day needs its month.")
        first_month, last_month = (1, 12) if month is None else (month, month)
        self.year, self.month, self.day = year, month, day
        self.earliest = date(year, first_month, 1 if day is None else day)
        self.latest = date(year, last_month, calendar.monthrange(year, last_month)[1]) if day is None else self.earliest
        self.text = "-".join([f"{year:04d}", *(f"{part:02d}" for part in (month, day) if part is not None)])

    @staticmethod
    @lru_cache(maxsize=50_000)
    def parse(text: str) -> "PartialDate":
        """Return the date written as YYYY, YYYY-MM or YYYY-MM-DD; raise ValueError for anything else."""
        match = ISO_8601.fullmatch(text)
        if match is None:
            raise ValueError("Not YYYY, YYYY-MM or YYYY-MM-DD.")
        year, month, day = match.groups()
        return PartialDate(int(year), int(month) if month else None, int(day) if day else None)

    @property
    def precision(self) -> Precision:
        """How much of the date is known."""
        if self.month is None:
            return Precision.YEAR
        return Precision.MONTH if self.day is None else Precision.DAY

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"PartialDate({self.text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartialDate) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __lt__(self, other: "PartialDate") -> bool:
        return self.text < other.text


def certainly_before(end: PartialDate | None, start: PartialDate | None) -> bool:
    """Return whether every day that `end` may be is before every day that `start` may be."""
    return end is not None and start is not None and end.latest < start.earliest
