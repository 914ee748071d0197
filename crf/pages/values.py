"""Values in words, as the pages about patients show them."""

from typing import Any

from django.utils.translation import gettext as _

from crf.fields import Variable
from crf.forms import MissingReason


def worded(variable: Variable, value: Any, *, missing: str | None = None) -> str:
    """Return a value as people read it: labels for codes, the reason for what is missing, "" for what is blank."""
    if value is None:
        return _(str(MissingReason(missing).label)) if missing else ""
    labels = variable.labels(value)
    if labels is None:
        text = variable.to_text(value)
        return f"{text} {variable.unit}" if variable.unit and text else text
    return ", ".join(_(label) for label in labels.split(" | "))
