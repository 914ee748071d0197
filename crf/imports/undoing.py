"""An applied import is taken back as one change: what it created is deleted, what it changed is set back.

Through the entry service, with its checks, locks and history. A value that somebody changed later is theirs: then
nothing is undone, and it is said which value stands in the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction
from django.utils.translation import gettext as _

from crf import entry as service
from crf import storage
from crf.forms import Form, Status, all_forms, forms_by_name
from crf.imports.merging import STATUS, read_answer
from crf.imports.refusals import CannotUndo, NotInThisState
from crf.locks import is_locked_anywhere
from crf.models.import_file import Import, ImportState
from crf.reading import Problem, Submission
from crf.refusals import Locked, ReasonNeeded
from crf.storage import Entry
from crf.upsert import NothingSaved, upsert_entries
from registry.acting import importing
from registry.rights import Caller

Said = dict[str, list[str | None]]
"""Value (as CSV carries it) and missing-value reason by variable; the status by `status`."""


class Done(msgspec.Struct):
    """What applying an import did to one entry: created it, or changed it at the names of `before` and `after`."""

    form: str
    record_id: str
    instance: int
    version: int
    created: bool
    before: Said = {}
    after: Said = {}

    @property
    def kind(self) -> type[Form]:
        """The form."""
        return forms_by_name()[self.form]


def what_was_done(before: Entry | None, after: Entry | None) -> dict[str, Any] | None:
    """Return what has to be known to undo the saving of an entry (`Done`), None when nothing was saved."""
    if after is None:
        return None
    done = Done(after.form.form_name(), after.record_id, after.instance, after.version, created=before is None)
    if before is None:
        return _builtins(done)
    names = [
        name
        for name in after.values
        if (after.values[name], after.missing.get(name)) != (before.values[name], before.missing.get(name))
    ]
    changed_status = [STATUS] if after.status != before.status else []
    if not names and not changed_status:
        return None
    done.before, done.after = _said(before, names + changed_status), _said(after, names + changed_status)
    return _builtins(done)


def _builtins(done: Done) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(done)
    return told


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
    rows = brought.rows.filter(done__isnull=False).order_by("number")
    done = [msgspec.convert(told, Done) for told in rows.values_list("done", flat=True)]
    with importing(by, reason=reason, import_id=brought.pk), transaction.atomic():
        _delete([each for each in done if each.created], by=by, reason=reason)
        drafts = [_SetBack(each) for each in done if not each.created]
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

    done: Done

    @property
    def form(self) -> type[Form]:
        """The form."""
        return self.done.kind

    @property
    def record_id(self) -> str:
        """The patient."""
        return self.done.record_id

    @property
    def instance(self) -> int | None:
        """The number of the instance."""
        return self.done.instance

    def against(self, current: Entry | None) -> Submission:
        """Return the submission that sets back what is still as the import left it; refuse what is not."""
        submission = Submission(form=self.form)
        if current is None:
            submission.refuse(None, "changed_since", _deleted_since())
            return submission
        after = self.done.after
        now = _said(current, list(after))
        for name, (value, reason) in self.done.before.items():
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


def _delete(created: Sequence[Done], *, by: Caller, reason: str) -> None:
    """Delete what the import created: patients with all their entries, then single entries of other patients.

    Raises CannotUndo.
    """
    patients = {done.record_id for done in created if not done.kind.repeating}
    problems = [*_changed(created), *_added_since(created, patients)]
    if problems:
        raise CannotUndo(problems)
    try:
        for done in (done for done in created if not done.kind.repeating):
            service.delete_entry(done.kind, done.record_id, done.instance, by=by, version=done.version, reason=reason)
        for form in (form for form in all_forms() if form.repeating):
            alone = [done for done in created if done.kind is form and done.record_id not in patients]
            versions = {(done.record_id, done.instance): done.version for done in alone}
            if versions:
                service.delete_entries(form, versions, by=by, reason=reason)
    except Locked:
        message = _("The form, or one of the patient, is locked. Ask the data manager to unlock it.")
        raise CannotUndo([_problem(done, "locked", message) for done in created if _is_locked(done)]) from None


def _is_locked(done: Done) -> bool:
    """Return whether a lock covers an entry, or an entry of a patient that goes as a whole."""
    if not done.kind.repeating:
        return is_locked_anywhere(done.record_id)
    where, parameters = "record_id = %s AND instance = %s AND locked", [done.record_id, done.instance]
    return bool(storage.select_entries(done.kind, where=where, parameters=parameters))


def _changed(created: Sequence[Done]) -> Iterator[Problem]:
    """Yield what was changed or deleted after the import created it."""
    for form in all_forms():
        of_form = [done for done in created if done.kind is form]
        if not of_form:
            continue
        where, records = "record_id = ANY(%s)", sorted({done.record_id for done in of_form})
        now = {
            (entry.record_id, entry.instance): entry.version
            for entry in storage.select_entries(form, where=where, parameters=[records])
        }
        for done in of_form:
            version = now.get((done.record_id, done.instance))
            if version is None:
                yield _problem(done, "changed_since", _deleted_since())
            elif version != done.version:
                yield _problem(done, "changed_since", _changed_since())


def _added_since(created: Sequence[Done], patients: set[str]) -> Iterator[Problem]:
    """Yield the entries that somebody else added to patients that the import created."""
    own = {(done.form, done.record_id, done.instance) for done in created}
    message = _("The entry was added after the import, to a patient who came with it. Delete it first.")
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
                    yield Problem(name, record_id, instance, None, "changed_since", message)


def _problem(done: Done, code: str, message: str) -> Problem:
    return Problem(done.form, done.record_id, done.instance, None, code, message)


def _changed_since() -> str:
    return _("Somebody changed this after the import. Undo would take their value away: change it by hand.")


def _deleted_since() -> str:
    return _("The entry was deleted after the import. Bring it back first.")
