"""What a template needs to show the fields of a form, made from the declaration of each variable."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.beside import Marks
from crf.fields import FileField, NumberField, Variable
from crf.forms import Form, MissingReason, Status
from crf.judging import Judged
from crf.pages import addresses
from crf.pages.branching import in_words
from crf.pages.options import Option, marked, option_of
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
NOTHING = SafeString("")
LONG_LIST = 8
"""Choices from which a list can be searched."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: its code, label, and whether it is chosen."""

    code: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a page shows of a variable whatever stands in it, in one language."""

    name: str
    id: str
    """The id of its element, or of the first of them."""
    label: str
    unit: str
    note: str
    required: bool
    widget: str
    kind: str
    codes: Mapping[str, str]
    """The labels of what can be chosen."""
    options: Sequence[Option]
    takes_missing: bool
    only_if: str
    described_by: str
    """The ids of what is said about it."""


@dataclass(slots=True)
class Field:
    """One variable as it stands on a page."""

    declared: Declared
    text: str = ""
    options: SafeString = NOTHING
    """The elements of its choices."""
    answered: bool = False
    """Whether a choice is made."""
    searchable: bool = False
    missing: str = ""
    reasons: SafeString = NOTHING
    """The options of why it is missing."""
    shown: str = ""
    """The value in words, for who reads only."""
    understood: str = ""
    derived: list[str] = field(default_factory=list)
    error: str = ""
    warnings: list[tuple[Warned, str]] = field(default_factory=list)
    """Each with the explanation that was typed and not saved yet."""
    not_asked: bool = False
    """Whether the branching logic hides it, and there is nothing in it."""
    marks: Marks | None = None
    """Its queries and changes, where it has any."""
    panel: str = ""
    """The address of what stands beside it."""

    @property
    def id(self) -> str:
        """The id of its element, or of the first of them."""
        return self.declared.id

    @property
    def name(self) -> str:
        """The name of the variable."""
        return self.declared.name


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
    new: bool,
) -> list[Section]:
    """Return the fields `names` of a form in sections, with what stands in them and what is to be said of it."""
    saved = judged.saved
    fields = [_field(form, name, typed, error=errors.get(name, "")) for name in names]
    for one in fields:
        one.panel = "" if new else addresses.of_beside(saved.record_id, form.form_name(), saved.instance, one.name)
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


def _field(form: type[Form], name: str, typed: Typed, *, error: str) -> Field:
    declared = _declared(form, name, get_language() or "")
    text, missing = typed.texts.get(name, ""), typed.missing.get(name, "")
    chosen = set(text) if isinstance(text, list) else {text}
    codes, options = declared.codes, declared.options
    if declared.widget == "select" and isinstance(text, str) and text and text not in codes:
        codes = {**codes, text: text}  # it stays in the field until it is mended
        options = [*options, option_of("select", name, text, text)]
    return Field(
        declared,
        text=text if isinstance(text, str) else "",
        options=marked(options, chosen, wrong=bool(error) and declared.widget == "checkboxes"),
        answered=not chosen.isdisjoint(codes),
        searchable=declared.widget == "select" and len(codes) > LONG_LIST,
        missing=missing,
        reasons=marked(_reasons(get_language() or ""), {missing}),
        shown=_shown(codes, chosen, text, missing),
        error=error,
    )


@lru_cache(maxsize=5_000)
def _declared(form: type[Form], name: str, _language: str) -> Declared:
    variable = form.variables()[name]
    widget, note = WIDGETS.get(variable.field_type, "line"), _(variable.note) if variable.note else ""
    codes = {code: choice_label(variable, code) for code in variable.codes}
    said = [*(["note"] if note else []), "understood", "error", "warnings"]
    return Declared(
        name=name,
        id=f"f-{name}",
        label=_(variable.label),
        unit=_(variable.unit) if variable.unit else "",
        note=note,
        required=variable.required and name != "record_id",  # the registry gives one
        widget=widget,
        kind=_kind(variable),
        codes=codes,
        options=[
            option_of(widget, name, code, label, key=_key(variable, number, code), first=number == 1)
            for number, (code, label) in enumerate(codes.items(), start=1)
        ],
        takes_missing=name != "record_id" and not isinstance(variable, FileField),
        only_if=in_words(form, name),
        described_by=" ".join(f"f-{name}-{part}" for part in said),
    )


@lru_cache
def _reasons(_language: str) -> Sequence[Option]:
    return [option_of("select", "", code, label) for code, label in missing_reasons()]


def _kind(variable: Variable) -> str:
    if isinstance(variable, NumberField):
        return "number"
    return "date" if variable.validation in ("date_ymd", "partial_date") else "text"


def _key(variable: Variable, number: int, code: str) -> str:
    """Return the key that selects a choice: y or n, the digit that is its code, else its place."""
    if variable.field_type == "yesno":
        return choice_label(variable, code)[:1].lower()
    return code if is_graded(variable) else str(number) if number <= MAX_DIGIT else ""


def _shown(codes: Mapping[str, str], chosen: Collection[str], text: Any, missing: str) -> str:
    if missing:
        return _(MissingReason(missing).label) if missing in MissingReason.values else missing
    if codes:
        return ", ".join(label for code, label in codes.items() if code in chosen)
    return text if isinstance(text, str) else ""


def missing_reasons() -> list[tuple[str, str]]:
    """Return the reasons why there is no value, with their words."""
    return [(code, _(str(label))) for code, label in MissingReason.choices]


def statuses(chosen: str, *, new: bool) -> list[Choice]:
    """Return the statuses to choose from; a new form can leave it to the registry."""
    names = [(str(status.label), _(str(status.label)).capitalize()) for status in Status]
    offered = [("", _("Complete when nothing is missing")), *names] if new else names
    return [Choice(code, label, code == chosen) for code, label in offered]
