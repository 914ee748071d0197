"""Which variables a level of privacy keeps out of a data cut, and why."""

from dataclasses import dataclass

from django.utils.translation import gettext_noop

from crf.fields import TextField, Variable
from crf.forms import Form
from exports.cuts import Privacy

KEYS = ("site", "record_id")
IS_IDENTIFIER = gettext_noop("marked as identifier in the data dictionary")
IS_FREE_TEXT = gettext_noop("free text, which may name a person")


@dataclass(frozen=True, slots=True)
class Withheld:
    """A variable that the privacy level keeps out of a cut, and why."""

    form: str
    variable: str
    reason: str


def withheld_variables(form: type[Form], *, privacy: Privacy) -> list[Withheld]:
    """Return the variables of a form that are left out at this level of privacy."""
    if privacy is Privacy.FULL:
        return []
    reasons = {name: _why_withheld(name, variable) for name, variable in form.variables().items()}
    return [Withheld(form.form_name(), name, reason) for name, reason in reasons.items() if reason]


def _why_withheld(name: str, variable: Variable) -> str:
    if variable.identifier:
        return IS_IDENTIFIER
    # Whatever is typed by hand, in one line as well as in many; codes, numbers and dates are classes of their own.
    return IS_FREE_TEXT if isinstance(variable, TextField) and name not in KEYS else ""


def shown_variables(form: type[Form], *, privacy: Privacy) -> dict[str, Variable]:
    """Return the variables of a form that have a column of their own at this level of privacy, in their order."""
    left_out = {withheld.variable for withheld in withheld_variables(form, privacy=privacy)}
    variables = form.variables().items()
    return {name: variable for name, variable in variables if name not in left_out and name not in KEYS}
