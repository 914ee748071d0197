"""From what a door received to Python values: one `Submission` for each entry, with what could not be read.

Two ways of writing a value lead here: JSON (REST), with its types, and text cells (CSV, Excel). Both give the same
Python values and the same error codes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.utils.translation import gettext as _

from crf.fields import TextField, Unreadable
from crf.forms import Form, MissingReason, Status

BESIDE_THE_VARIABLES = frozenset({"status", "missing"})
GIVEN_BY_THE_REGISTRY = frozenset({"form", "instance", "version", "locked", "updated_at", "warnings"})
STATUS_BY_NAME: Mapping[str, Status] = {str(status.label): status for status in Status}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one entry: where it is, a stable code, and words for the coordinator."""

    form: str | None
    record_id: str | None
    instance: int | None
    field: str | None
    code: str
    message: str


@dataclass(slots=True)
class Submission:
    """One entry as a door received it.

    `values` holds the variables that were sent, None where one is to be cleared; `missing` the missing-value reasons,
    None where one is to be taken back; `unread` says what could not be read, as (field, code, message).
    """

    form: type[Form]
    record_id: str | None = None
    instance: int | None = None
    site: str | None = None
    status: Status | None = None
    values: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str | None] = field(default_factory=dict)
    unread: list[tuple[str | None, str, str]] = field(default_factory=list)
    row: int | None = None
    """Line of the file it came from, for the doors that read files."""

    def refuse(self, name: str | None, code: str, message: str) -> None:
        """Note one thing that could not be read; a name too long to be one is cut."""
        self.unread.append((name and name[:60], code, message))


def read_json(form: type[Form], body: Mapping[str, Any], *, creating: bool) -> Submission:
    """Return the submission of a JSON object: variables by name, and `status` and `missing` beside them.

    A patient form that is created takes its `record_id` and `site` from it; later they are fixed.
    """
    submission = Submission(form=form)
    readers, values = _readers(form, creating=creating), submission.values
    for name, value in body.items():
        read = readers.get(name)
        if read is None:
            _read_beside(submission, name, value, takes_site=creating and not form.repeating)
            continue
        try:
            values[name] = None if value is None else read(value)
        except Unreadable as unreadable:
            submission.refuse(name, unreadable.code, unreadable.message)
    return submission


@cache
def _readers(form: type[Form], *, creating: bool) -> Mapping[str, Callable[[Any], Any]]:
    """Return how the variables that may be sent are read from JSON, by name."""
    return {name: kind.read for name, kind in form.variables().items() if creating or name != "record_id"}


def read_cells(form: type[Form], cells: Mapping[str, str]) -> Submission:
    """Return the submission of one row of a CSV file: cells by column; a blank cell is no value.

    A missing-value reason may stand in the cell itself, as REDCap writes it, but not where it could be a text. For all
    variables `missing` holds reasons as "variable=REASON|variable=REASON"; `status` names a status.
    """
    submission = Submission(form=form)
    variables, values = form.variables(), submission.values
    for name, text in cells.items():
        variable = variables.get(name)
        if variable is None:
            _read_cell_beside(submission, name, text)
            continue
        if text in MissingReason.values and text not in variable.codes and not isinstance(variable, TextField):
            values[name], submission.missing[name] = None, text
            continue
        try:
            values[name] = variable.parse(text) if text.strip() else None
        except Unreadable as unreadable:
            submission.refuse(name, unreadable.code, unreadable.message)
    return submission


def _read_beside(submission: Submission, name: str, value: Any, *, takes_site: bool) -> None:
    if name == "status":
        _read_status(submission, value)
    elif name == "missing":
        _read_missing(submission, value)
    elif name == "site" and takes_site:
        if isinstance(value, str):
            submission.site = value
        elif value is not None:
            submission.refuse("site", "wrong_type", _("site: write the code of a site, in quotes."))
    elif name in GIVEN_BY_THE_REGISTRY or name in ("site", "record_id"):
        message = _("%(name)s is kept by the registry and cannot be sent here. Leave it out.")
        submission.refuse(name, "read_only", message % {"name": name})
    else:
        submission.refuse(name, "unknown_field", unknown_field(submission.form, name))


def _read_cell_beside(submission: Submission, name: str, text: str) -> None:
    if name == "status":
        if text.strip():
            _read_status(submission, text.strip())
    elif name == "site" and not submission.form.repeating:
        submission.site = text.strip() or None
    elif name == "missing":
        pairs = (pair.partition("=") for pair in text.split("|") if pair.strip())
        _read_missing(submission, {variable.strip(): reason.strip() for variable, _sign, reason in pairs})
    else:
        submission.refuse(name, "unknown_field", unknown_field(submission.form, name))


def _read_status(submission: Submission, value: Any) -> None:
    status = STATUS_BY_NAME.get(value) if isinstance(value, str) else None
    if status is None:
        names = ", ".join(STATUS_BY_NAME)
        submission.refuse("status", "unknown_code", _("status: choose from %(names)s.") % {"names": names})
    submission.status = status


def _read_missing(submission: Submission, value: Any) -> None:
    if not isinstance(value, Mapping):
        message = _("missing: write an object that gives a reason for each variable without a value.")
        submission.refuse("missing", "wrong_type", message)
        return
    for name, reason in value.items():
        if name not in submission.form.variables() or name == "record_id":
            submission.refuse(name, "unknown_field", unknown_field(submission.form, name))
        elif reason is not None and not isinstance(reason, str):
            message = _("missing: write the reason for %(name)s as a code in quotes.")
            submission.refuse(name, "wrong_type", message % {"name": name})
        else:
            submission.missing[name] = reason


def unknown_field(form: type[Form], name: str) -> str:
    """Return the words for a name that the form does not have; a name too long to be one is cut."""
    message = _("The form %(form)s has no variable %(name)s. Check the spelling against the data dictionary.")
    return message % {"form": form.form_name(), "name": ascii(name[:60])}
