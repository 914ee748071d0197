"""The columns of an export: which variables were asked for, and what each is called."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from crf.fields import Variable
from crf.forms import Form, all_forms, forms_by_name
from crf.redcap.calls import Call
from crf.redcap.errors import ApiError, not_valid

RECORD_ID = "record_id"
INSTRUMENT, INSTANCE, GROUP = "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group"
SYSTEM_LABELS = {
    INSTRUMENT: "Repeat Instrument",
    INSTANCE: "Repeat Instance",
    GROUP: "Data Access Group",
}


@dataclass(frozen=True)
class Part:
    """What is asked for of one form: variables in the order of the dictionary, and the form status."""

    form: type[Form]
    variables: Mapping[str, Variable]
    status: bool

    @property
    def status_name(self) -> str:
        """The column of the form status."""
        return status_name(self.form)


@dataclass(frozen=True)
class Asked:
    """What an export asks for: the record id or not, and parts of forms in the order of the forms."""

    record_id: bool
    parts: tuple[Part, ...]

    @property
    def is_record_id_alone(self) -> bool:
        """Whether nothing but the record id is asked for."""
        return self.record_id and not any(part.variables or part.status for part in self.parts)

    def with_instances_of(self, forms: Iterable[type[Form]]) -> "Asked":
        """Return the same with the rows, not the variables, of repeating forms."""
        return replace(self, parts=(*self.parts, *(Part(form, {}, False) for form in forms)))


def status_name(form: type[Form]) -> str:
    """Return the column of the form status: `dosing_complete`."""
    return f"{form.form_name()}_complete"


def suffix_of(code: str) -> str:
    """Return a checkbox code as it stands in a column name: -9 is _9."""
    return re.sub(r"[^a-z0-9_]", "", code.lower().replace("-", "_").replace(".", "_"))


def checkbox_columns(name: str, variable: Variable) -> dict[str, str]:
    """Return the code of each column of a checkbox variable, by the name of the column."""
    return {f"{name}___{suffix_of(code)}": code for code in variable.codes}


def columns_of(part: Part) -> list[str]:
    """Return the columns of a part of a form, without the record id."""
    names: list[str] = []
    for name, variable in part.variables.items():
        names += checkbox_columns(name, variable) if variable.field_type == "checkbox" else [name]
    return [*names, part.status_name] if part.status else names


def labels_of(part: Part) -> list[str]:
    """Return the headings of `columns_of` for people."""
    labels: list[str] = []
    for variable in part.variables.values():
        label = heading(variable.label)
        is_checkbox = variable.field_type == "checkbox"
        labels += [f"{label} (choice={choice})" for choice in variable.codes.values()] if is_checkbox else [label]
    return [*labels, "Complete?"] if part.status else labels


def heading(label: str) -> str:
    """Return a label as it stands in a header."""
    return label.replace('"', "'").replace("\n", "  ")


@cache
def _places() -> Mapping[str, tuple[type[Form], str]]:
    """Return the form of each name that `fields` may hold."""
    places = {name: (form, name) for form in all_forms() for name in form.variables()}
    return places | {status_name(form): (form, "") for form in all_forms()}


def asked_for(call: Call) -> Asked:
    """Return what `fields` and `forms` of a call ask for, everything when both are absent. Raises ApiError."""
    fields, forms = call.array("fields"), call.array("forms")
    if unknown := [name for name in fields if name not in _places()]:
        raise not_valid("fields", unknown)
    if unknown := [name for name in forms if name not in forms_by_name()]:
        raise not_valid("forms", unknown)
    wanted = set(fields)
    for form in all_forms():
        if form.form_name() in forms or not (fields or forms):
            wanted |= {*form.variables(), status_name(form)}
    return _asked(wanted)


def some_of(variables: Mapping[str, tuple[str, ...]]) -> Asked:
    """Return the record id and some variables by form."""
    return _asked({RECORD_ID} | {name for names in variables.values() for name in names})


def everything_of(forms: tuple[type[Form], ...]) -> Asked:
    """Return the record id and everything of some forms."""
    return _asked({RECORD_ID} | {name for form in forms for name in (*form.variables(), status_name(form))})


def _asked(wanted: set[str]) -> Asked:
    parts = []
    for form in all_forms():
        variables = {
            name: variable
            for name, variable in form.variables().items()
            if name in wanted and name != RECORD_ID and variable.field_type != "descriptive"
        }
        part = Part(form, variables, status_name(form) in wanted)
        is_base = RECORD_ID in wanted and not form.repeating  # every record has a base row then
        if variables or part.status or is_base:
            parts.append(part)
    if not parts:
        raise ApiError("None of the fields asked for holds data.")
    return Asked(record_id=RECORD_ID in wanted, parts=tuple(parts))
