"""Reading identifiers leaves a trace: which variables they are is said in the data dictionary."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Protocol

from crf.forms import Form
from registry.accesses import AccessKind, note_access


class OfAPatient(Protocol):
    """What is shown: whose it is, and of which site."""

    @property
    def record_id(self) -> str:
        """The patient."""

    @property
    def site(self) -> str:
        """The site."""


def note_reading(form: type[Form], entries: Sequence[OfAPatient]) -> None:
    """Note that the acting person was shown these entries of one form, if it has identifiers."""
    if entries and _has_identifiers(form):
        patients = {entry.record_id for entry in entries}
        note_access(
            AccessKind.READ_IDENTIFIERS,
            rows=Counter(entry.site for entry in entries),
            record_id=patients.pop() if len(patients) == 1 else "",
            details={"form": form.form_name()},
        )


@cache
def _has_identifiers(form: type[Form]) -> bool:
    return any(variable.identifier for variable in form.variables().values())
