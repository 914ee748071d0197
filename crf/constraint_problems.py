"""What a violated database constraint means to a coordinator: the same code and words as the check of that name.

The checks find nearly everything first. A constraint speaks when a writer came another way at the same instant.
"""

from collections.abc import Mapping
from functools import cache

from django.db import IntegrityError
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _

from crf.checks import Finding
from crf.fields import Variable
from crf.forms import Form, all_forms
from crf.guards import NOT_LOCKED

NOT_UNIQUE: Mapping[str, str] = {
    "record_exists": _(
        "There is a patient with this identifier already. Open that one, or leave the identifier blank."
    ),
    "entry_exists": _("There is an entry with this number already. Change that one, or leave the number out."),
}
LOCKED = _("The data here are locked. Ask the data manager to unlock them.")
NOT_ALLOWED = _("{label} is not a value that the data dictionary allows. Correct it.")


def finding_of(error: IntegrityError) -> Finding:
    """Return the finding that the violated constraint stands for; raise `error` again when it is not one of a form."""
    diagnosis = getattr(error.__cause__, "diag", None)
    found = _findings().get(getattr(diagnosis, "constraint_name", None) or "")
    if found is None:
        raise error
    return found


def _not_allowed(name: str, variable: Variable, *, code: str) -> Finding:
    return Finding(name, code, NOT_ALLOWED, {"label": gettext_lazy(variable.label)})


@cache
def _findings() -> Mapping[str, Finding]:
    found = {name: finding for form in all_forms() for name, finding in _of_form(form).items()}
    return {**found, NOT_LOCKED: Finding(None, "locked", LOCKED)}


def _of_form(form: type[Form]) -> Mapping[str, Finding]:
    found: dict[str, Finding] = {}
    for name, variable in form.variables().items():
        for constraint in variable.constraints(name):
            code = constraint.violation_error_code or "invalid"
            found[constraint.name] = _not_allowed(name, variable, code=code)
    checks = {check.code: check for check in form.hard_checks}
    for rule in form._meta.constraints:
        code = getattr(rule, "violation_error_code", None) or ""
        if code in checks:
            at = checks[code].at
            own_words = rule.violation_error_message != rule.default_violation_error_message
            found[rule.name] = (
                Finding(at, code, str(rule.violation_error_message))
                if own_words
                else _not_allowed(at, form.variables()[at], code=code)
            )
        elif code in NOT_UNIQUE:
            field = "instance" if code == "entry_exists" else "record_id"
            found[rule.name] = Finding(field, code, NOT_UNIQUE[code])
    return found
