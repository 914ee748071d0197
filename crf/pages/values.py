"""Values in words, as the pages about patients show them."""

from typing import Any, Final

from django.utils.translation import gettext as _

from crf.fields import Variable
from crf.forms import MissingReason

SHORT: Final = 12
"""Characters of a cell that stay on one line: a date, a number, a short word."""


def worded(variable: Variable, value: Any, *, missing: str | None = None) -> str:
    """Return a value as people read it: labels for codes, the reason for what is missing, "" for what is blank."""
    if value is None:
        return _(str(MissingReason(missing).label)) if missing else ""
    codes = value if isinstance(value, list) else [variable.to_text(value)]
    text = ", ".join(choice_label(variable, code) for code in codes if code)
    return f"{text} {variable.unit}" if variable.unit and text else text


def choice_label(variable: Variable, code: str) -> str:
    """Return the label of a code, with the code before it where it is a grade that people know by its number."""
    label = _(variable.codes[code]) if code in variable.codes else code
    return f"{code} {label}" if is_graded(variable) and code in variable.codes else label


def is_short(text: str) -> bool:
    """Return whether a cell with the text stays on one line."""
    return len(text) <= SHORT


def is_graded(variable: Variable) -> bool:
    """Return whether the codes are grades, which people know by their numbers."""
    digits = all(len(code) == 1 and code.isdecimal() for code in variable.codes)
    return digits and variable.field_type != "yesno"
