"""The kinds of variables a form is made of.

A variable is a Django model field that also carries what the data dictionary says of it. Declared once in a form, it
tells the database its column and constraints, and every door how to read a value (`read` from JSON, `parse` from CSV
text) and how to write it as text (`to_text`). Reading refuses with `Unreadable`: a stable code and words for the
coordinator. In migrations and history tables a variable is the plain Django field it is built on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from crf.partial_dates import PartialDate

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
MAX_TEXT = 1_000
MAX_NOTES = 100_000
MAX_INTEGER = 2_147_483_647
TODAY = "today"
NULLABLE_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}


class Unreadable(ValueError):
    """A value that is no value of its variable: `code` for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Variable(models.Field[Any, Any]):
    """One variable of a form, with its columns of the data dictionary.

    `show_if` is REDCap branching logic; `sdtm` is the SDTM variable it maps to ("EX.EXDOSE"), several apart by blanks.
    `required` says that a complete form has a value or a missing-value reason for it; a draft may lack it, so that
    every column allows null. Values in Python are never blank texts or empty lists: what is not recorded is None.
    """

    plain: ClassVar[str]
    field_type: ClassVar[str] = "text"
    validation: str = ""
    free_text: ClassVar[bool] = False
    excel_kind: ClassVar[str] = "text"
    codes: Mapping[str, str] = {}
    minimum: Any = None
    maximum: Any = None

    def __init__(
        self,
        label: str,
        *,
        section: str = "",
        note: str = "",
        required: bool = False,
        identifier: bool = False,
        show_if: str = "",
        sdtm: str = "",
        unit: str = "",
        **column: Any,
    ) -> None:
        super().__init__(verbose_name=label, **{"null": True, "blank": True, **column})
        self.label, self.section, self.note, self.unit, self.sdtm = label, section, note, unit, sdtm
        self.required, self.identifier, self.show_if = required, identifier, show_if

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Return the plain Django field, so that no migration changes when a label does."""
        name, _path, args, kwargs = super().deconstruct()
        for of_the_dictionary in ("verbose_name", "blank"):
            kwargs.pop(of_the_dictionary, None)
        return name, self.plain, args, kwargs

    def clone(self) -> "models.Field[Any, Any]":  # type: ignore[override]  # the plain field, see below
        """Return the plain Django field: Django clones a field only to describe a column in a migration."""
        _name, path, args, kwargs = self.deconstruct()
        plain: models.Field[Any, Any] = import_string(path)(*args, **kwargs)
        return plain

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield what the database checks of the column `name` by itself."""
        yield from ()

    def annotation(self) -> str:
        """Return REDCap's action tags of the variable: its unit and its SDTM target."""
        tags = [f"@UNIT={self.unit}"] if self.unit else []
        return " ".join(tags + ([f"@SDTM={self.sdtm}"] if self.sdtm else []))

    def choices_text(self) -> str:
        """Return the choices as REDCap writes them: "M, Male | F, Female"."""
        return " | ".join(f"{code}, {label}" for code, label in self.codes.items())

    @property
    def shown_label(self) -> str:
        """The label in the language of whoever reads it; `label` is English, as the data dictionary has it."""
        return _(self.label)

    @property
    def max_is_today(self) -> bool:
        """Whether a value after today is refused."""
        return False

    def read(self, value: Any) -> Any:
        """Return the Python value of the JSON value `value` (never null); raise Unreadable when it has none."""
        raise NotImplementedError  # pragma: no cover -- each kind reads its own

    def parse(self, text: str) -> Any:
        """Return the Python value of the CSV cell `text` (never blank); raise Unreadable when it has none."""
        return self.read(text)

    def to_text(self, value: Any) -> str:
        """Return `value` as CSV carries it, blank when there is none."""
        return "" if value is None else str(value)

    def stored(self, value: Any) -> Any:
        """Return `value` (not None) as it goes to the column: texts spare the driver its search for a way to write."""
        return value

    def labels(self, value: Any) -> str | None:
        """Return the label of a coded `value`, None when the variable has no codes or the value is None."""
        return None if value is None else self.codes.get(str(value))

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (as in OpenAPI 3.1) of the value, null included."""
        return dict(NULLABLE_TEXT)

    def wrong_type(self, expected: str) -> Unreadable:
        """Return the refusal of a value of another JSON type."""
        return Unreadable(
            "wrong_type", _("%(label)s: write %(expected)s.") % {"label": self.shown_label, "expected": expected}
        )


class TextField(Variable, models.TextField[Any, Any]):
    """A line of text."""

    plain = "django.db.models.TextField"
    max_characters: ClassVar[int] = MAX_TEXT
    forbidden: ClassVar[re.Pattern[str]] = CONTROL

    def read(self, value: Any) -> str:
        """Return the text unchanged; outer blanks count as written."""
        if not isinstance(value, str):
            raise self.wrong_type(_("a text in quotes"))
        if not value.strip():
            raise Unreadable(
                "blank", _("%(label)s is blank. Write a text, or null for none.") % {"label": self.shown_label}
            )
        if len(value) > self.max_characters:
            message = _("%(label)s has %(n)d characters. Shorten it to %(max)d at most.")
            raise Unreadable(
                "too_long", message % {"label": self.shown_label, "n": len(value), "max": self.max_characters}
            )
        # What is printable holds neither; to ask that first is quick.
        if not value.isprintable() and (self.forbidden.search(value) or SURROGATE.search(value)):
            message = _("%(label)s holds characters that cannot be printed. Remove them or type the text again.")
            raise Unreadable("unprintable", message % {"label": self.shown_label})
        return value


class NotesField(TextField):
    """Free text of several lines; withheld from exports that are not full."""

    field_type = "notes"
    free_text = True
    max_characters = MAX_NOTES
    forbidden = CONTROL_BUT_LAYOUT


class FileField(TextField):
    """The name of a stored file; the file itself comes and goes through its own door, never as a value.

    `taken_on` names the variable of the form with the day it was taken, `shown_with` those that are read beside it.
    """

    field_type = "file"

    def __init__(self, label: str, *, taken_on: str = "", shown_with: Sequence[str] = (), **declaration: Any) -> None:
        super().__init__(label, **declaration)
        self.taken_on, self.shown_with = taken_on, tuple(shown_with)

    def read(self, value: Any) -> str:
        """Refuse: a name is not a photograph."""
        message = _("%(label)s takes a file, not a name. Leave it out here and upload the file.")
        raise Unreadable("file_not_a_value", message % {"label": self.shown_label})


class ChoiceField(Variable, models.TextField[Any, Any]):
    """One code of several; use RadioField or DropdownField."""

    plain = "django.db.models.TextField"

    def __init__(self, label: str, codes: Mapping[str, str], **declaration: Any) -> None:
        super().__init__(label, **declaration)
        self.codes = codes

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield that the column holds one of the codes."""
        condition = Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__in": list(self.codes)})
        yield models.CheckConstraint(name=f"{name}_is_a_code", condition=condition, violation_error_code="unknown_code")

    def read(self, value: Any) -> str:
        """Return the code; a whole number stands for the code that is spelled like it."""
        code = value if isinstance(value, str) else self._spelled(value)
        if code not in self.codes:
            raise unknown_code(self)
        return code

    def _spelled(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong_type(_("one code in quotes"))
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the codes as an enumeration."""
        return {"type": ["string", "null"], "enum": [*self.codes, None]}


class RadioField(ChoiceField):
    """One code of a few, all shown."""

    field_type = "radio"


class DropdownField(ChoiceField):
    """One code of many, in a list."""

    field_type = "dropdown"


class CheckboxField(Variable, ArrayField[Any, Any]):
    """Any number of codes, kept in the order of the dictionary; none is None."""

    plain = "django.contrib.postgres.fields.ArrayField"
    field_type = "checkbox"

    def __init__(self, label: str, codes: Mapping[str, str], **declaration: Any) -> None:
        super().__init__(label, base_field=models.TextField(), **declaration)
        self.codes = codes

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield that the column holds codes only, and at least one."""
        known = Q(**{f"{name}__contained_by": list(self.codes)}) & Q(**{f"{name}__len__gt": 0})
        condition = Q(**{f"{name}__isnull": True}) | known
        yield models.CheckConstraint(name=f"{name}_are_codes", condition=condition, violation_error_code="unknown_code")

    def read(self, value: Any) -> list[str] | None:
        """Return the codes in the order of the dictionary, None for an empty list."""
        if isinstance(value, list) and len(value) <= len(self.codes):
            chosen = [code for code in self.codes if code in value]
            if len(chosen) == len(value):  # then each is a code, and named once
                return chosen or None
        raise self._refusal(value)

    def _refusal(self, value: Any) -> Unreadable:
        if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
            return self.wrong_type(_("a list of codes in quotes"))
        if not self.codes.keys() >= set(value):
            return unknown_code(self)
        message = _("%(label)s names a code twice. Name each once.")
        return Unreadable("repeated_code", message % {"label": self.shown_label})

    def parse(self, text: str) -> list[str] | None:
        """Return the codes joined by "|" in `text`."""
        return self.read([code.strip() for code in text.split("|")])

    def stored(self, value: Any) -> str:
        """Return the codes as PostgreSQL writes an array; a code holds no quotes."""
        return '{"' + '","'.join(value) + '"}'

    def to_text(self, value: Any) -> str:
        """Return the codes joined by "|"."""
        return "|".join(value or ())

    def labels(self, value: Any) -> str | None:
        """Return the labels joined by " | "."""
        return " | ".join(self.codes[code] for code in value) if value else None

    def json_schema(self) -> dict[str, Any]:
        """Return a list of the codes."""
        codes = {"type": "string", "enum": list(self.codes)}
        return {"type": ["array", "null"], "items": codes, "uniqueItems": True}


class YesNoField(Variable, models.BooleanField[Any, Any]):
    """Yes or no."""

    plain = "django.db.models.BooleanField"
    field_type = "yesno"
    excel_kind = "integer"
    codes: Mapping[str, str] = {"1": "Yes", "0": "No"}

    def read(self, value: Any) -> bool:
        """Return the JSON boolean."""
        if not isinstance(value, bool):
            raise self.wrong_type(_("true or false, without quotes"))
        return value

    def parse(self, text: str) -> bool:
        """Return whether `text` is 1; 0 is no."""
        if text not in self.codes:
            raise self.wrong_type(_("1 for yes or 0 for no"))
        return text == "1"

    def to_text(self, value: Any) -> str:
        """Return 1 or 0."""
        return "" if value is None else str(int(value))

    def labels(self, value: Any) -> str | None:
        """Return Yes or No."""
        return None if value is None else self.codes[self.to_text(value)]

    def choices_text(self) -> str:
        """Return nothing: REDCap knows the choices of a yes/no field."""
        return ""

    def json_schema(self) -> dict[str, Any]:
        """Return a boolean."""
        return {"type": ["boolean", "null"]}


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


def unknown_code(variable: Variable) -> Unreadable:
    """Return the refusal of a code that `variable` does not have, with those it has."""
    codes = ", ".join(f"{code} ({_(label)})" for code, label in variable.codes.items())
    message = _("%(label)s has no such code. Choose from: %(codes)s.")
    return Unreadable("unknown_code", message % {"label": variable.shown_label, "codes": codes})


def within_limits(variable: Variable, name: str) -> Iterator[models.CheckConstraint]:
    """Yield the check constraint of the fixed limits of `variable`, if it has any."""
    limits = Q()
    if variable.minimum is not None:
        limits &= Q(**{f"{name}__gte": variable.minimum})
    if variable.maximum is not None:
        limits &= Q(**{f"{name}__lte": variable.maximum})
    if limits:
        condition = Q(**{f"{name}__isnull": True}) | limits
        yield models.CheckConstraint(name=f"{name}_in_range", condition=condition, violation_error_code="out_of_range")
