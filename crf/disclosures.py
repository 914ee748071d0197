"""Reading identifiers leaves a trace: which variables they are is said in the data dictionary."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

from crf.forms import Form
from crf.storage import Entry
from registry.accesses import AccessKind, note_access


def note_reading(form: type[Form], entries: Sequence[Entry]) -> None:
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
