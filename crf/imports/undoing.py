"""An applied import is taken back as one change: what it created is deleted, what it changed is set back.

Through the entry service, with its checks, locks and history. A value that somebody changed later is theirs: then
nothing is undone, and it is said which value stands in the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from crf import entry as service
from crf import storage
from crf.forms import Form, Status, all_forms, forms_by_name, patient_form
from crf.imports.merging import STATUS, read_answer
from crf.imports.refusals import CannotUndo, NotInThisState
from crf.models.import_file import Import, ImportRow, ImportState
from crf.reading import Problem, Submission
from crf.refusals import Locked, NotAllowed, NotFound, ReasonNeeded
from crf.storage import Entry
from crf.upsert import NothingSaved, upsert_entries
from registry.acting import importing
from registry.rights import Caller

Said = dict[str, list[str | None]]
"""Value (as CSV carries it) and missing-value reason by variable; the status by `status`."""


def what_was_done(before: Entry | None, after: Entry | None) -> dict[str, Any] | None:
    """Return what has to be known to undo the saving of an entry, None when nothing was saved."""
    if after is None:
        return None
    place = {"record_id": after.record_id, "instance": after.instance, "version": after.version}
    if before is None:
        return {**place, "created": True}
    names = [
        name
        for name in after.values
        if (after.values[name], after.missing.get(name)) != (before.values[name], before.missing.get(name))
    ]
    changed_status = [STATUS] if after.status != before.status else []
    if not names and not changed_status:
        return None
    return {
        **place,
        "created": False,
        "before": _said(before, names + changed_status),
        "after": _said(after, names + changed_status),
    }


def undo(brought: Import, *, by: Caller, reason: str | None, now: datetime) -> None:
    """Take back an applied import, which the caller holds. What was undone once is not undone again.

    Raises NotInThisState, ReasonNeeded, CannotUndo.
    """
    if brought.state == ImportState.UNDONE:
        return
    if brought.state != ImportState.APPLIED:
        raise NotInThisState
    if not reason:
        raise ReasonNeeded
    rows = [row for row in brought.rows.order_by("number") if row.done]
    with importing(by, reason=reason, import_id=brought.pk), transaction.atomic():
        _delete([row for row in rows if row.done["created"]], by=by, reason=reason)
        drafts = [_SetBack(row, forms_by_name()[row.form]) for row in rows if not row.done["created"]]
        try:
            upsert_entries(drafts, by=by, reason=reason, now=now)
        except NothingSaved as refused:
            raise CannotUndo([problem for result in refused.results for problem in result.problems]) from None
        brought.state, brought.undo_reason = ImportState.UNDONE, reason
        brought.undone_at, brought.undone_by_id = now, by.person_id
        brought.save()


@dataclass
class _SetBack:
    """What an import changed in one entry, as a draft that sets it back."""

    row: ImportRow
    form: type[Form]

    @property
    def record_id(self) -> str:
        """The patient."""
        return str(self.row.done["record_id"])

    @property
    def instance(self) -> int | None:
        """The number of the instance."""
        return int(self.row.done["instance"])

    def against(self, current: Entry | None) -> Submission:
        """Return the submission that sets back what is still as the import left it; refuse what is not."""
        submission = Submission(form=self.form)
        if current is None:
            submission.refuse(None, "changed_since", _("The entry was deleted after the import. Bring it back first."))
            return submission
        after: Said = self.row.done["after"]
        now = _said(current, list(after))
        for name, (value, reason) in self.row.done["before"].items():
            if now[name] != after[name]:
                submission.refuse(name, "changed_since", _changed_since())
            elif name == STATUS:
                submission.status = next(status for status in Status if str(status.label) == value)
            else:
                submission.values[name] = read_answer(self.form, name, value)
                submission.missing[name] = reason
        return submission


def _said(entry: Entry, names: Sequence[str]) -> Said:
    variables = entry.form.variables()
    said: Said = {}
    for name in names:
        if name == STATUS:
            said[name] = [str(Status(entry.status).label), None]
        else:
            value = entry.values[name]
            said[name] = [None if value is None else variables[name].to_text(value), entry.missing.get(name)]
    return said


def _changed_since() -> str:
    return _("Somebody changed this after the import. Undo would take their value away: change it by hand.")


def _delete(created: Sequence[ImportRow], *, by: Caller, reason: str) -> None:
    """Delete what the import created: patients with all their entries, then single entries of other patients.

    Raises CannotUndo.
    """
    patient = patient_form().form_name()
    patients = {row.done["record_id"] for row in created if row.form == patient}
    problems = list(_changed(created)) + list(_added_since(created, patients))
    if problems:
        raise CannotUndo(problems)
    for row in created:
        if row.form != patient and row.done["record_id"] in patients:
            continue
        done = row.done
        try:
            service.delete_entry(
                forms_by_name()[row.form],
                done["record_id"],
                done["instance"],
                by=by,
                version=done["version"],
                reason=reason,
            )
        except Locked:
            message = _("The form is locked. Ask the data manager to unlock it.")
            raise CannotUndo([_problem(row.form, done["record_id"], done["instance"], "locked", message)]) from None
        except (NotFound, NotAllowed):
            message = _("The entry was deleted after the import. Bring it back first.")
            raise CannotUndo(
                [_problem(row.form, done["record_id"], done["instance"], "changed_since", message)]
            ) from None


def _changed(created: Sequence[ImportRow]) -> Iterator[Problem]:
    """Yield what was changed or deleted after the import created it."""
    for form in all_forms():
        rows = [row for row in created if row.form == form.form_name()]
        if not rows:
            continue
        where, records = "record_id = ANY(%s)", sorted({row.done["record_id"] for row in rows})
        now = {
            (entry.record_id, entry.instance): entry.version
            for entry in storage.select_entries(form, where=where, parameters=[records])
        }
        for row in rows:
            record_id, instance, version = (row.done[name] for name in ("record_id", "instance", "version"))
            if now.get((record_id, instance)) != version:
                yield _problem(row.form, record_id, instance, "changed_since", _changed_since())


def _added_since(created: Sequence[ImportRow], patients: set[str]) -> Iterator[Problem]:
    """Yield the entries that somebody else added to patients that the import created."""
    own = {(row.form, row.done["record_id"], row.done["instance"]) for row in created}
    for form in (form for form in all_forms() if form.repeating and patients):
        name = form.form_name()
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT record_id, instance FROM {storage.table_of(form).quoted}"  # noqa: S608 -- identifiers of the declaration
                " WHERE deleted_at IS NULL AND record_id = ANY(%s) ORDER BY record_id, instance",
                [sorted(patients)],
            )
            for record_id, instance in cursor.fetchall():
                if (name, record_id, instance) not in own:
                    message = _("The entry was added after the import, to a patient who came with it. Delete it first.")
                    yield _problem(name, record_id, instance, "changed_since", message)


def _problem(form: str, record_id: str, instance: int, code: str, message: str) -> Problem:
    return Problem(form, record_id, instance, None, code, message)
