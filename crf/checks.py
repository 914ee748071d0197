"""Edit checks: what is wrong with an entry (hard, refused) and what is odd about it (soft, saved with a warning).

A check is a row beside the form it belongs to: a stable code, the variable at which it is said, words that tell the
coordinator what to do, and a pure function over plain values. Checks that every form needs are derived here from the
declarations of its variables. What follows from recorded values by itself (`Derived`) is declared in the same way. No
database, no clock: `today` is passed in.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from crf.fields import DateField, PartialDateField, Variable
from crf.forms import Form, MissingReason, Status, all_forms, branching, patient_form
from crf.logic import Texts
from crf.partial_dates import PartialDate

Row = Mapping[str, Any]
"""The Python values of one entry by variable, every variable present, and its number as `instance`."""
Chart = Mapping[str, Sequence[Row]]
"""Rows of one patient by form name: those of the forms that the checks read, without deleted entries."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found: at which variable, if at one; a code for programs, words for people.

    `words` stand where the template has their names in braces; without any the template is the message.
    """

    field: str | None
    code: str
    template: str
    words: Mapping[str, Any] | None = None

    @property
    def message(self) -> str:
        """What to do, in the language of whoever reads it: a person has their own, what is kept is English."""
        message = _(self.template)
        return message if self.words is None else message.format_map(self.words)


@dataclass(frozen=True)
class Check:
    """A rule over one entry and, where it says so, over other rows of the same patient.

    `fails` returns whether the entry breaks the rule; what is not recorded breaks none.
    `reads` names the variables of other rows that it needs, by form name.
    """

    code: str
    at: str
    message: str
    fails: Callable[[Row, Chart], bool]
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Derived:
    """A value that follows from recorded ones, shown live beside the variable `at` and saved nowhere.

    `value` returns what is shown before `unit`, None when too little is recorded; a text is an English message.
    `reads` is as in `Check`.
    """

    name: str
    label: str
    at: str
    value: Callable[[Row, Chart], Decimal | float | int | str | None]
    unit: str = ""
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def shown(self, row: Row, chart: Chart) -> str | None:
        """Return the value as it is shown, None when there is none; what is no whole number has one decimal."""
        value = self.value(row, chart)
        if value is None or isinstance(value, str):
            return value and _(value)
        return f"{value}" if isinstance(value, int) else f"{value:.1f}"


def hard_findings(
    form: type[Form], row: Row, *, status: Status, missing: Mapping[str, str], chart: Chart, today: date
) -> Iterator[Finding]:
    """Yield what must be mended before the entry can be saved; the first finding at a variable is the one to show."""
    hidden = hidden_variables(form, row)
    if missing:
        yield from _missing_reasons(form, row, missing, hidden)
    for name in hidden:
        if row[name] is not None:
            yield Finding(name, "hidden_field", _not_asked_for(form, name))
    for name in _dates_up_to_today(form):
        if _is_after(row[name], today):
            yield Finding(name, "future_date", _in_the_future(form, name, row[name]))
    for check in form.hard_checks:
        if check.fails(row, chart):
            yield _found(form, check, row)
    if status == Status.COMPLETE:
        for name in required_but_blank(form, row, missing=missing, hidden=hidden):
            yield Finding(name, "required", _required(form, name))


def soft_findings(form: type[Form], row: Row, *, chart: Chart) -> list[Finding]:
    """Return what is odd about an entry, one finding a variable and code."""
    found = [_found(form, check, row) for check in form.soft_checks if check.fails(row, chart)]
    return found + list(_dates_before_birth(form, row, chart))


def soft_finding_of(form: type[Form], code: str, at: str, row: Row) -> Finding | None:
    """Return what a soft check says when it finds something in an entry; None when the form has no such check."""
    if code == "before_birth":
        return _before_birth(form, at)
    found = (check for check in form.soft_checks if (check.code, check.at) == (code, at))
    return next((_found(form, check, row) for check in found), None)


def required_but_blank(
    form: type[Form], row: Row, *, missing: Mapping[str, str], hidden: Collection[str] | None = None
) -> list[str]:
    """Return the required variables that are shown and have neither a value nor a missing-value reason."""
    blank = [name for name in _required_of(form) if row[name] is None and name not in missing]
    if blank and hidden is None:
        hidden = hidden_variables(form, row)
    return [name for name in blank if name not in (hidden or ())]


@cache
def reads_of(form: type[Form]) -> Mapping[str, tuple[str, ...]]:
    """Return the variables of other rows of a patient that checks and derived values of `form` read, by form name."""
    birth = {patient_form().form_name(): ("birth_date",)} if _dates(form) else {}
    read: dict[str, dict[str, None]] = {}
    rules: list[Check | Derived] = [*form.hard_checks, *form.soft_checks, *form.derived]
    for source in [birth, *(rule.reads for rule in rules)]:
        for name, variables in source.items():
            read.setdefault(name, {}).update(dict.fromkeys(variables))
    order = [other.form_name() for other in all_forms()]
    return {name: tuple(read[name]) for name in sorted(read, key=order.index)}


@cache
def _required_of(form: type[Form]) -> tuple[str, ...]:
    return tuple(name for name, variable in form.variables().items() if variable.required)


def hidden_variables(form: type[Form], row: Row) -> tuple[str, ...]:
    """Return the variables that the branching logic does not show, in the order of their declaration."""
    return _hidden_by(form, tuple([text(row[name]) for name, text in _asked_by_logic(form)]))


@lru_cache(maxsize=10_000)
def _hidden_by(form: type[Form], answers: tuple[str | tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return what the branching logic does not show after these answers: few differ, so that few are worked out."""
    texts: Texts = dict(zip((name for name, _text in _asked_by_logic(form)), answers, strict=True))
    return tuple(name for name, logic in branching(form).items() if not logic.holds(texts))


@cache
def _dates(form: type[Form]) -> tuple[str, ...]:
    kinds = (DateField, PartialDateField)
    return tuple(name for name, variable in form.variables().items() if isinstance(variable, kinds))


@cache
def _dates_up_to_today(form: type[Form]) -> tuple[str, ...]:
    return tuple(name for name in _dates(form) if form.variables()[name].max_is_today)


@cache
def _asked_by_logic(form: type[Form]) -> tuple[tuple[str, Callable[[Any], str | tuple[str, ...]]], ...]:
    """Return the variables that the branching logic of `form` reads, and how their values read there."""
    asked = {name for logic in branching(form).values() for name in logic.variables}
    return tuple((name, _text_in_logic(form.variables()[name])) for name in sorted(asked))


def _text_in_logic(variable: Variable) -> Callable[[Any], str | tuple[str, ...]]:
    return variable.to_text if variable.field_type != "checkbox" else lambda codes: tuple(codes or ())


def _missing_reasons(
    form: type[Form], row: Row, missing: Mapping[str, str], hidden: Collection[str]
) -> Iterator[Finding]:
    for name, reason in missing.items():
        label = form.variables()[name].shown_label
        if reason not in MissingReason.values:
            known = ", ".join(f"{code} ({_(text)})" for code, text in MissingReason.choices)
            message = _("%(label)s: there is no such reason for a missing value. Choose from: %(known)s.")
            yield Finding(name, "unknown_missing_reason", message % {"label": label, "known": known})
        elif name in hidden:
            yield Finding(name, "hidden_field", _not_asked_for(form, name))
        elif row[name] is not None:
            message = _("%(label)s has a value and a reason why it has none. Keep one of them.")
            yield Finding(name, "value_and_missing_reason", message % {"label": label})


def _is_after(value: date | PartialDate | None, today: date) -> bool:
    if value is None:
        return False
    return (value.earliest if isinstance(value, PartialDate) else value) > today


def _dates_before_birth(form: type[Form], row: Row, chart: Chart) -> Iterator[Finding]:
    patients = chart.get(patient_form().form_name(), ())
    birth = patients[0].get("birth_date") if patients else None
    if birth is None:
        return
    for name in _dates(form):
        value = row[name]
        if value is not None and (value.latest if isinstance(value, PartialDate) else value) < birth:
            yield _before_birth(form, name)


def _before_birth(form: type[Form], name: str) -> Finding:
    template = gettext_noop("{label} is before the patient's date of birth. Check both dates.")
    return Finding(name, "before_birth", template, {"label": gettext_lazy(form.variables()[name].label)})


def _found(form: type[Form], check: Check, row: Row) -> Finding:
    texts = {name: variable.to_text(row[name]) for name, variable in form.variables().items()}
    return Finding(check.at, check.code, check.message, texts)


def _not_asked_for(form: type[Form], name: str) -> str:
    message = _("%(label)s is only asked when %(logic)s. Clear it, or correct the answer that it depends on.")
    variable = form.variables()[name]
    return message % {"label": variable.shown_label, "logic": variable.show_if}


def _in_the_future(form: type[Form], name: str, value: object) -> str:
    message = _("%(label)s is %(value)s, in the future. Enter a date up to today.")
    return message % {"label": form.variables()[name].shown_label, "value": value}


def _required(form: type[Form], name: str) -> str:
    message = _("%(label)s is needed for a complete form. Enter it, say why it is missing, or save as incomplete.")
    return message % {"label": form.variables()[name].shown_label}
