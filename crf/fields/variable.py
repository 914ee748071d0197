"""What every variable has, and the refusal of a value that is none of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

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
