"""What stands for a patient in de-identified data: a keyed hash for the record id, and dates moved by secret days.

Both come from the record id and a secret key by HMAC-SHA256 (RFC 2104), so that they are the same in every export and
nobody without the key finds either of them. Dates of a patient move together: intervals stay true.
"""

import hashlib
import hmac
from datetime import date
from functools import lru_cache

from django.conf import settings

from crf.partial_dates import PartialDate

PSEUDONYM_DIGITS = 16
"""64 bits: among a million patients two share a pseudonym once in 37 million."""
MOST_DAYS = 365
OLDEST_AGE = 90
"""Ages above 89 are shown as 90 (HIPAA safe harbour, 45 CFR 164.514(b)(2)(i)(C))."""


class Pseudonyms:
    """The pseudonyms of all patients under one secret key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        # Rows come patient by patient, so a few remembered ones save nearly all the hashing.
        self.of = lru_cache(maxsize=16)(self._of)
        self.days_back = lru_cache(maxsize=16)(self._days_back)

    def order_salt(self) -> str:
        """Return the secret by which rows are ordered: their order must not tell the order of the record ids."""
        return self._digest("order", "").hex()

    def shifted(self, day: date, *, record_id: str) -> date:
        """Return the day, moved back by the secret number of days of the patient."""
        # The calendar begins in year 1: what would be before that stays on its first day.
        return date.fromordinal(max(1, day.toordinal() - self.days_back(record_id)))

    def shifted_year(self, partial: PartialDate, *, record_id: str) -> str:
        """Return the year of a partial date, moved like the other dates of the patient.

        What is known to the month or year moves with the middle of that span, where it is most likely to be.
        """
        middle = partial.earliest + (partial.latest - partial.earliest) / 2
        return f"{self.shifted(middle, record_id=record_id).year:04d}"

    def _of(self, record_id: str) -> str:
        return self._digest("record", record_id).hex()[:PSEUDONYM_DIGITS]

    def _days_back(self, record_id: str) -> int:
        # 64 random bits modulo 365: no number of days is noticeably more likely than another.
        return 1 + int.from_bytes(self._digest("days", record_id)[:8]) % MOST_DAYS

    def _digest(self, purpose: str, record_id: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}:{record_id}".encode(), hashlib.sha256)


def pseudonyms() -> Pseudonyms:
    """Return the pseudonyms under the key of this installation."""
    return Pseudonyms(settings.PSEUDONYM_KEY)


def shown_age(years: int) -> int:
    """Return an age as de-identified data show it."""
    return min(years, OLDEST_AGE)
