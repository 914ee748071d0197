"""What a template needs to show the fields of a form, made from the declaration of each variable."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.utils.translation import gettext as _

from crf.beside import Marks
from crf.fields import FileField, NumberField, Variable
from crf.forms import Form, MissingReason, Status
from crf.judging import Judged
from crf.pages.branching import in_words
from crf.pages.typed import Reading, Typed
from crf.pages.values import choice_label, is_graded
from crf.warnings import Warned

WIDGETS: Mapping[str, str] = {
    "radio": "radio",
    "yesno": "radio",
    "dropdown": "select",
    "checkbox": "checkboxes",
    "notes": "notes",
    "file": "file",
}
"""Kinds of fields on a page by type of the dictionary; what is not here is a line of text."""
MAX_DIGIT = 9
LONG_LIST = 8
"""Choices from which a list can be searched."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: its code, label, the key that selects it, and whether it is chosen."""

    code: str
    label: str
    key: str
    chosen: bool


@dataclass(slots=True)
class Field:
    """One variable as it stands on a page."""

    name: str
    label: str
    unit: str
    note: str
    required: bool
    widget: str
    kind: str
    text: str = ""
    choices: list[Choice] = field(default_factory=list)
    searchable: bool = False
    missing: str = ""
    takes_missing: bool = True
    shown: str = ""
    """The value in words, for who reads only."""
    understood: str = ""
    derived: list[str] = field(default_factory=list)
    error: str = ""
    warnings: list[tuple[Warned, str]] = field(default_factory=list)
    """Each with the explanation that was typed and not saved yet."""
    only_if: str = ""
    not_asked: bool = False
    """Whether the branching logic hides it, and there is nothing in it."""
    marks: Marks | None = None
    """Its queries and changes, where it has any."""

    @property
    def id(self) -> str:
        """The id of its element, or of the first of them."""
        return f"f-{self.name}"

    @property
    def answered(self) -> bool:
        """Whether a choice is made."""
        return any(choice.chosen for choice in self.choices)

    @property
    def described_by(self) -> str:
        """The ids of what is said about it."""
        parts = [f"{self.id}-{part}" for part in ("note", "understood", "error", "warnings")]
        return " ".join(parts[1:] if not self.note else parts)


@dataclass(frozen=True, slots=True)
class Section:
    """Fields under one heading."""

    title: str
    fields: list[Field]


def sections_of(
    form: type[Form],
    typed: Typed,
    judged: Judged,
    *,
    reading: Reading | None,
    errors: Mapping[str, str],
    warnings: Sequence[Warned],
    explanations: Mapping[str, str],
    marks: Mapping[str, Marks],
    names: Iterable[str],
) -> list[Section]:
    """Return the fields `names` of a form in sections, with what stands in them and what is to be said of it."""
    fields = [_field(form, name, typed) for name in names]
    for one in fields:
        one.error = errors.get(one.name, "")
        one.warnings = [(told, explanations.get(told.key, "")) for told in warnings if told.field == one.name]
        one.marks = marks.get(one.name)
        one.understood = reading.understood.get(one.name, "") if reading else ""
        one.derived = derived_at(judged, one.name)
        empty = not one.text and not one.answered and not one.missing
        one.not_asked = one.name in judged.hidden and empty and not one.error
    return [Section(_(title) if title else "", list(group)) for title, group in groupby(fields, _section_in(form))]


def _section_in(form: type[Form]) -> Callable[[Field], str]:
    """Return what gives the section that a field stands in: a heading holds until the next one."""
    sections, section = {}, ""
    for name, variable in form.variables().items():
        section = sections[name] = variable.section or section
    return lambda one: sections[one.name]


def derived_at(judged: Judged, name: str) -> list[str]:
    """Return the derived values that stand beside a variable: label, and value with its unit."""
    return [
        _("%(label)s: %(value)s") % {"label": _(one.label), "value": f"{shown} {_(one.unit)}" if one.unit else shown}
        for one, shown in judged.derived
        if one.at == name
    ]


def _field(form: type[Form], name: str, typed: Typed) -> Field:
    variable = form.variables()[name]
    text, widget = typed.texts.get(name, ""), WIDGETS.get(variable.field_type, "line")
    missing = typed.missing.get(name, "")
    chosen = set(text) if isinstance(text, list) else {text}
    choices = [
        Choice(code, choice_label(variable, code), _key(variable, number, code), code in chosen)
        for number, code in enumerate(variable.codes, start=1)
    ]
    if widget == "select" and isinstance(text, str) and text and text not in variable.codes:
        choices.append(Choice(text, text, "", chosen=True))  # it stays in the field until it is mended
    return Field(
        name=name,
        label=_(variable.label),
        unit=_(variable.unit) if variable.unit else "",
        note=_(variable.note) if variable.note else "",
        required=variable.required and name != "record_id",  # the registry gives one
        widget=widget,
        kind=_kind(variable),
        text=text if isinstance(text, str) else "",
        choices=choices,
        searchable=widget == "select" and len(choices) > LONG_LIST,
        missing=missing,
        takes_missing=name != "record_id" and not isinstance(variable, FileField),
        shown=_shown(choices, text, missing),
        only_if=in_words(form, name),
    )


def _kind(variable: Variable) -> str:
    if isinstance(variable, NumberField):
        return "number"
    return "date" if variable.validation in ("date_ymd", "partial_date") else "text"


def _key(variable: Variable, number: int, code: str) -> str:
    """Return the key that selects a choice: y or n, the digit that is its code, else its place."""
    if variable.field_type == "yesno":
        return choice_label(variable, code)[:1].lower()
    return code if is_graded(variable) else str(number) if number <= MAX_DIGIT else ""


def _shown(choices: Sequence[Choice], text: Any, missing: str) -> str:
    if missing:
        return _(MissingReason(missing).label) if missing in MissingReason.values else missing
    if choices:
        return ", ".join(choice.label for choice in choices if choice.chosen)
    return text if isinstance(text, str) else ""


def missing_reasons() -> list[tuple[str, str]]:
    """Return the reasons why there is no value, with their words."""
    return [(code, _(str(label))) for code, label in MissingReason.choices]


def statuses(chosen: str, *, new: bool) -> list[Choice]:
    """Return the statuses to choose from; a new form can leave it to the registry."""
    names = [(str(status.label), _(str(status.label)).capitalize()) for status in Status]
    offered = [("", _("Complete when nothing is missing")), *names] if new else names
    return [Choice(code, label, "", code == chosen) for code, label in offered]
