"""How a saved value reads in a cell: raw or as its label, or the missing-data code where there is a reason instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crf.fields import NumberField, Variable
from crf.forms import MissingReason
from crf.redcap.calls import Call
from crf.redcap.columns import Part
from crf.redcap.stored import Stored

STATUS_LABELS: Mapping[str, str] = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
REASONS: Mapping[str, str] = {code: str(label) for code, label in MissingReason.choices}
CellOf = Callable[[str], str]
"""From the text of a value to that of its cell."""


@dataclass(frozen=True)
class Style:
    """How values are spelled: codes or labels, labels of ticked boxes, the decimal mark."""

    labels: bool = False
    box_labels: bool = False
    decimal: str = "."

    @staticmethod
    def of(call: Call) -> "Style":
        """Return the style that a call asks for."""
        labels = call.text("rawOrLabel") == "label"
        return Style(
            labels=labels,
            box_labels=labels and call.flag("exportCheckboxLabel"),
            decimal="," if call.text("decimalCharacter") == "," else ".",
        )

    def reason(self, code: str) -> str:
        """Return why there is no value."""
        return REASONS.get(code, code) if self.labels else code


@dataclass(frozen=True)
class _Cells:
    """How one variable becomes cells: one, or one a choice with its texts when ticked and when not."""

    name: str
    of: CellOf | None
    boxes: tuple[tuple[str, str, str], ...] = ()


def cells_of(part: Part, *, style: Style) -> Callable[[Stored], list[str]]:
    """Return what makes the cells of `columns_of(part)` from a saved entry."""
    plan = [_plan(name, variable, style) for name, variable in part.variables.items()]

    def cells(entry: Stored) -> list[str]:
        texts: list[str] = []
        for column, value in zip(plan, entry.values, strict=True):
            why = style.reason(entry.missing.get(column.name, "")) if value is None and entry.missing else ""
            if column.boxes:
                codes = value or ()
                texts += [why or (ticked if code in codes else blank) for code, ticked, blank in column.boxes]
            elif value is None:
                texts.append(why)
            else:
                texts.append(column.of(value) if column.of else value)
        if part.status:
            texts.append(STATUS_LABELS[entry.status] if style.labels else entry.status)
        return texts

    return cells


def single_value(variable: Variable, *, style: Style) -> CellOf | None:
    """Return what makes the cell of a value of a variable that is no checkbox, None when it stays as it is."""
    if style.labels and variable.codes:
        labels = dict(variable.codes)
        return lambda text: labels.get(text, text)
    if style.decimal != "." and isinstance(variable, NumberField):
        return lambda text: text.replace(".", style.decimal)
    return None


def has_values(part: Part, entry: Stored) -> bool:
    """Return whether an entry holds anything of what was asked for of its form; a status always is something."""
    if part.status or any(value is not None for value in entry.values):
        return True
    return any(name in part.variables for name in entry.missing)


def _plan(name: str, variable: Variable, style: Style) -> _Cells:
    if variable.field_type != "checkbox":
        return _Cells(name, single_value(variable, style=style))
    boxes: list[tuple[str, str, str]] = []
    for code, label in variable.codes.items():
        if style.box_labels:
            boxes.append((code, label, ""))
        else:
            boxes.append((code, "Checked", "Unchecked") if style.labels else (code, "1", "0"))
    return _Cells(name, None, tuple(boxes))


def values_by_name(part: Part, entry: Stored) -> dict[str, Any]:
    """Return the values of an entry that are not blank by variable, the missing-data code where there is a reason."""
    held = {name: value for name, value in zip(part.variables, entry.values, strict=True) if value is not None}
    return held | {name: why for name, why in entry.missing.items() if name in part.variables}
