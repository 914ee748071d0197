"""How codes, reasons and the clearing of a value are written in a file, in whatever language it was made."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from django.conf import settings
from django.utils.translation import gettext, override

from crf.fields import Variable
from crf.forms import MissingReason

CLEAR: Final = "CLEAR"
"""What takes a value away: a blank cell keeps what is saved."""
MISSING: Final = "__missing"
"""How the name of the column ends that says why a variable has no value."""
REASONS: Final[Mapping[str, str]] = {str(reason.value): str(reason.label) for reason in MissingReason}


def offered(code: str, label: str) -> str:
    """Return a code as a list offers it: "M = Male", in the language of the person."""
    return f"{code} = {gettext(label)}"


def code_of(text: str, codes: Mapping[str, str]) -> str:
    """Return the code of what a list offers, in any of our languages; every other text as it is."""
    code, sign, label = text.partition(" = ")
    return code if sign and label in _labels(codes.get(code, "")) else text


def shown(variable: Variable, text: str) -> str:
    """Return a value, as CSV carries it, as the cell of the template has it."""
    label = variable.codes.get(text)
    return text if label is None else offered(text, label)


@cache
def _labels(label: str) -> frozenset[str]:
    found = {label}
    for language, _name in settings.LANGUAGES:
        with override(language):
            found.add(gettext(label) if label else label)
    return frozenset(found - {""})
