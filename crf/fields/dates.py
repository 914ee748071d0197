"""Calendar days, and dates of which only a part is known."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from crf.fields.variable import Unreadable, Variable, within_limits
from crf.partial_dates import PartialDate

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
TODAY = "today"


class DateField(Variable, models.DateField[Any, Any]):
    """A calendar day; `max=TODAY` refuses the future."""

    plain = "django.db.models.DateField"
    validation = "date_ymd"
    excel_kind = "date"

    def __init__(self, label: str, *, min: str = "", max: str = TODAY, **declaration: Any) -> None:
        super().__init__(label, **declaration)
        self.minimum = date.fromisoformat(min) if min else None
        self.maximum = None if max == TODAY else date.fromisoformat(max)

    @property
    def max_is_today(self) -> bool:
        """Whether a value after today is refused."""
        return self.maximum is None

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield the fixed limits; today is not one."""
        yield from within_limits(self, name)

    def read(self, value: Any) -> date:
        """Return the day written YYYY-MM-DD."""
        if not isinstance(value, str):
            raise self.wrong_type(_("a date as YYYY-MM-DD, in quotes"))
        day = self._day(value)
        if self.minimum is not None and day < self.minimum:
            message = _("%(label)s is %(value)s, before %(min)s. Check the year.")
            raise Unreadable("out_of_range", message % {"label": self.shown_label, "value": value, "min": self.minimum})
        return day

    def stored(self, value: Any) -> str:
        """Return YYYY-MM-DD."""
        text: str = value.isoformat()
        return text

    def json_schema(self) -> dict[str, Any]:
        """Return a date."""
        return {"type": ["string", "null"], "format": "date"}

    def _day(self, text: str) -> date:
        try:
            if ISO_DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass  # the shape of a date, but not in the calendar: refused like any other
        message = _("%(label)s is not a date of the calendar. Write year, month and day, for example 2024-03-12.")
        raise Unreadable("not_a_date", message % {"label": self.shown_label})


class PartialDateField(Variable, models.TextField[Any, Any]):
    """A year, a month or a day (`PartialDate`), kept as ISO 8601 text, never in the future."""

    plain = "django.db.models.TextField"
    validation = "partial_date"

    @property
    def max_is_today(self) -> bool:
        """Whether a value after today is refused: always."""
        return True

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield the shape of the text."""
        shape = r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"
        condition = Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__regex": shape})
        yield models.CheckConstraint(name=f"{name}_is_iso_8601", condition=condition, violation_error_code="not_a_date")

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> PartialDate | None:
        """Return the text of the column as a partial date."""
        return None if value is None else PartialDate.parse(value)

    def stored(self, value: Any) -> str:
        """Return the ISO 8601 text."""
        text: str = value.text
        return text

    def get_prep_value(self, value: Any) -> str | None:
        """Return the text for the column."""
        return None if value is None else str(value)

    def read(self, value: Any) -> PartialDate:
        """Return the date written YYYY, YYYY-MM or YYYY-MM-DD."""
        if not isinstance(value, str):
            raise self.wrong_type(_("a date as YYYY, YYYY-MM or YYYY-MM-DD, in quotes"))
        try:
            return PartialDate.parse(value)
        except ValueError:
            message = _("%(label)s is not a date. Write what is known of it as YYYY, YYYY-MM or YYYY-MM-DD.")
            raise Unreadable("not_a_date", message % {"label": self.shown_label}) from None

    def json_schema(self) -> dict[str, Any]:
        """Return the pattern of the text."""
        return {"type": ["string", "null"], "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$"}
