"""Values of variables in the words of the reader, as they stand in the history and in an entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from crf.fields import DecimalField, Variable
from crf.forms import MissingReason


@dataclass(frozen=True, slots=True)
class Words:
    """A value to be shown: as CSV has it, its label where it is coded, and the reason why there is none."""

    text: str = ""
    label: str = ""
    reason: str = ""

    @property
    def blank(self) -> bool:
        """Whether there is neither a value nor a reason."""
        return not (self.text or self.reason)


def words_of(variable: Variable, value: Any, *, missing: str | None = None) -> Words:
    """Return a value in words; `value` is Python's or that of the history's JSON, `missing` the code of a reason."""
    if value is None:
        known = missing in MissingReason.values
        label = _(str(MissingReason(missing).label)) if known and missing else ""
        return Words(reason=f"{label} ({missing})" if label else missing or "")
    if isinstance(variable, DecimalField) and not isinstance(value, Decimal):
        value = Decimal(str(value))
    return Words(text=variable.to_text(value), label=_label(variable, value))


def _label(variable: Variable, value: Any) -> str:
    """Return the labels of the codes, each translated; a code that the variable no longer has stands for itself."""
    if not variable.codes:
        return ""
    codes = value if isinstance(value, list) else [variable.to_text(value)]
    return ", ".join(_(variable.codes[code]) if code in variable.codes else code for code in codes)


def reason_in(missing: Mapping[str, str] | None, name: str) -> str | None:
    """Return the code of the reason why the variable has no value."""
    return (missing or {}).get(name)
