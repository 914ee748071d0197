"""Whole and decimal numbers."""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from crf.fields.variable import Unreadable, Variable, within_limits

NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?", re.ASCII)
MAX_INTEGER = 2_147_483_647


class NumberField(Variable):
    """What whole and decimal numbers share: limits, both included."""

    def __init__(self, label: str, *, min: Any = None, max: Any = None, **declaration: Any) -> None:
        super().__init__(label, **declaration)
        self.minimum, self.maximum = min, max

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield the limits."""
        yield from within_limits(self, name)

    def read(self, value: Any) -> Any:
        """Return the number within the limits and with no more decimals than the variable has."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.wrong_type(_("a number, without quotes"))
        self._refuse_beyond_limits(value)
        return self.exact(value)

    def parse(self, text: str) -> Any:
        """Return the number written with digits and a decimal point in `text`."""
        if NUMBER.fullmatch(text) is None:
            message = _("%(label)s is not a number. Write digits and a decimal point, for example 2.5.")
            raise Unreadable("wrong_type", message % {"label": self.shown_label})
        return self.read(Decimal(text))

    def exact(self, value: int | Decimal) -> Any:
        """Return `value` as the column keeps it; raise Unreadable when that would round it."""
        raise NotImplementedError  # pragma: no cover -- each kind of number has its own

    def _refuse_beyond_limits(self, value: int | Decimal) -> None:
        below = self.minimum is not None and value < self.minimum
        above = self.maximum is not None and value > self.maximum
        if below or above:
            message = _("%(label)s is %(value)s. Enter a number from %(min)s to %(max)s%(unit)s.")
            unit = f" {self.unit}" if self.unit else ""
            words = {"label": self.shown_label, "value": value, "min": self.minimum, "max": self.maximum, "unit": unit}
            raise Unreadable("out_of_range", message % words)


class IntegerField(NumberField, models.IntegerField[Any, Any]):
    """A whole number."""

    plain = "django.db.models.IntegerField"
    validation = "integer"
    excel_kind = "integer"

    def exact(self, value: int | Decimal) -> int:
        """Return the whole number, if the column can hold it."""
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            message = _("%(label)s is beyond %(max)d. Check the number.")
            raise Unreadable("out_of_range", message % {"label": self.shown_label, "max": MAX_INTEGER})
        if value != int(value):
            message = _("%(label)s is %(value)s. Enter a whole number.")
            raise Unreadable("not_an_integer", message % {"label": self.shown_label, "value": value})
        return int(value)

    def json_schema(self) -> dict[str, Any]:
        """Return an integer within the limits."""
        return {"type": ["integer", "null"], "minimum": self.minimum, "maximum": self.maximum}


class DecimalField(NumberField, models.DecimalField[Any, Any]):
    """A number with a fixed count of decimals."""

    plain = "django.db.models.DecimalField"
    excel_kind = "decimal"

    def __init__(self, label: str, *, places: int, max: int, min: int = 0, **declaration: Any) -> None:
        column = {"max_digits": len(str(max)) + places, "decimal_places": places}
        super().__init__(label, min=min, max=max, **{**column, **declaration})

    @cached_property
    def step(self) -> Decimal:
        """The smallest difference of two values."""
        return Decimal(1).scaleb(-self.decimal_places)

    @property
    def validation(self) -> str:  # type: ignore[override]  # computed here, a constant elsewhere
        """REDCap's name of the number format."""
        return f"number_{self.decimal_places}dp"

    def exact(self, value: int | Decimal) -> Decimal:
        """Return the number with its fixed decimals; minus zero is zero."""
        kept = (Decimal(value) + 0).quantize(self.step)
        if kept != value:
            message = _("%(label)s is %(value)s. Round it to %(places)d decimals.")
            words = {"label": self.shown_label, "value": value, "places": self.decimal_places}
            raise Unreadable("too_many_decimals", message % words)
        return kept

    def to_text(self, value: Any) -> str:
        """Return the shortest exact spelling: 5, 2.5."""
        return "" if value is None else f"{value.normalize():f}"

    def json_schema(self) -> dict[str, Any]:
        """Return a number within the limits."""
        return {"type": ["number", "null"], "minimum": self.minimum, "maximum": self.maximum}
