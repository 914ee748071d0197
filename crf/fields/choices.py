"""Codes: one of several, any number of them, yes or no."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from crf.fields.variable import Unreadable, Variable


@models.TextField.register_lookup
class OneOf(models.Lookup[bool]):
    """Whether a column holds one of several texts, which are one constant.

    PostgreSQL reads the checks of a table anew for every statement: a list of constants, as `in` makes it, takes it
    several times as long.
    """

    lookup_name = "one_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # parameters of any kind
        """Return the comparison, and its parameters."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY (%s::text[])", [*parameters, list(self.rhs)]


class ChoiceField(Variable, models.TextField[Any, Any]):
    """One code of several; use RadioField or DropdownField."""

    plain = "django.db.models.TextField"

    def __init__(self, label: str, codes: Mapping[str, str], **declaration: Any) -> None:
        super().__init__(label, **declaration)
        self.codes = codes

    def constraints(self, name: str) -> Iterator[models.CheckConstraint]:
        """Yield that the column holds one of the codes."""
        condition = Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__one_of": list(self.codes)})
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


def unknown_code(variable: Variable) -> Unreadable:
    """Return the refusal of a code that `variable` does not have, with those it has."""
    codes = ", ".join(f"{code} ({_(label)})" for code, label in variable.codes.items())
    message = _("%(label)s has no such code. Choose from: %(codes)s.")
    return Unreadable("unknown_code", message % {"label": variable.shown_label, "codes": codes})
