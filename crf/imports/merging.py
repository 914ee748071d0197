"""One row of a file beside what is saved: which cells are new, which change, which meet a newer value.

Three versions are compared, variable by variable: what was saved when the template was made (`base`), what is saved
now, and what the file says. A cell that says what either of the others say is not sent; one that differs from both,
where these differ, is a conflict, and a person chooses. Value and missing-value reason are one answer.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from crf.fields import Unreadable
from crf.forms import Form, Status
from crf.imports.words import CLEAR, MISSING, REASONS, code_of
from crf.models.import_file import ImportRow, Verdict
from crf.reading import Submission, read_cells
from crf.storage import Entry

STATUS = "status"
Answer = tuple[Any, str | None]
"""What is said of a variable: its value, and why there is none."""
NOTHING: Answer = (None, None)


class Cell(msgspec.Struct, omit_defaults=True):
    """One cell of which there is something to say; values are texts as CSV carries them.

    At a conflict `who` saved the newer value, when (`at`); `take` says what the person chose, "file" or "saved".
    """

    field: str | None
    verdict: str
    saved: str | None = None
    saved_missing: str | None = None
    file: str | None = None
    file_missing: str | None = None
    code: str | None = None
    message: str | None = None
    who: str | None = None
    at: datetime | None = None
    take: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What was saved in an entry at one time, and who did it when."""

    entry: Entry
    who: str | None
    at: datetime


@dataclass
class Target:
    """One row of a file as a draft for the entry service; `cells` and `current` are there once it was compared.

    `versions` are those of the entry from the one of the file on; none when the file's is the present one.
    """

    row: ImportRow
    form: type[Form]
    versions: Sequence[Version] = ()
    stands_in: int | None = None
    """The line in which the same entry stands already."""
    cells: list[Cell] = field(default_factory=list)
    current: Entry | None = None

    @property
    def record_id(self) -> str:
        """The patient, blank for a new one who gets the next number."""
        return self.row.record_id

    @property
    def instance(self) -> int | None:
        """The number of the instance, None for the next one."""
        return self.row.instance

    def against(self, current: Entry | None) -> Submission:
        """Return what is sent of the row, given what is saved there."""
        self.current, self.cells = current, []
        submission = self._read()
        if current is None:
            self.cells = [
                self._cell(name, Verdict.NEW, NOTHING, answer) for name, answer in _answers(submission, None, None)
            ]
        else:
            self._merge(submission, current)
        if not self.form.repeating:
            submission.site = submission.site or self.row.site_id
            if current is None:
                submission.values["record_id"] = self.row.record_id or None
        return submission

    def _read(self) -> Submission:
        """Return the submission of all cells, as if each were sent."""
        texts, reasons = dict[str, str](), dict[str, str]()
        unread = {name for name, _code, _words in self.row.unread}
        variables = self.form.variables()
        for column, text in self.row.cells.items():
            name = column.removesuffix(MISSING)
            if name != column:
                reasons[name] = code_of(text.strip(), REASONS)
            elif name not in unread:
                variable = variables.get(name)
                texts[name] = "" if text.strip() == CLEAR else code_of(text, variable.codes if variable else {})
        submission = read_cells(self.form, texts)
        for name, reason in reasons.items():
            if name not in unread:
                submission.missing[name] = None if reason == CLEAR else reason
        not_read = {name for name, _code, _words in submission.unread}
        for name, why in submission.missing.items():
            if why is not None and name in variables and name not in not_read:
                submission.values.setdefault(name, None)
        submission.unread += [(name, code, words) for name, code, words in self.row.unread]
        if self.stands_in is not None:
            message = _("The same entry stands in line %(line)d already. Keep one of the two.")
            submission.refuse(None, "repeated_row", message % {"line": self.stands_in})
        return submission

    def _merge(self, submission: Submission, current: Entry) -> None:
        """Leave in the submission what is to be sent, and note what becomes of each cell."""
        base = self._base(current)
        for name, answer in _answers(submission, current, base):
            present = _answer(current, name)
            then = None if base is None else _answer(base, name)
            if answer in (present, then):
                _leave_out(submission, name)
            elif then == present:
                self.cells.append(self._cell(name, Verdict.CHANGED, present, answer))
            else:
                self._settle(submission, name, present, answer, current)

    def _settle(self, submission: Submission, name: str, present: Answer, answer: Answer, current: Entry) -> None:
        """Do with a conflict what the person chose for this version of the entry, else refuse it."""
        choice = self.row.choices.get(name, {})
        take = choice.get("take") if choice.get("version") == current.version else None
        verdict = {"file": Verdict.CHANGED, "saved": Verdict.UNCHANGED}.get(take or "", Verdict.CONFLICT)
        cell = self._cell(name, verdict, present, answer)
        cell.take = take
        cell.who, cell.at = self._changed_by(name)
        if take != "file":
            _leave_out(submission, name)
        if verdict is Verdict.CONFLICT:
            message = _("Somebody changed this after the template was made. Choose which value stays.")
            submission.refuse(name, "conflict", message)
        self.cells.append(cell)

    def _base(self, current: Entry) -> Entry | None:
        """Return the entry as it was when the template was made, the present one where the file says nothing."""
        if self.row.version in (None, current.version):
            return current
        return next((past.entry for past in self.versions if past.entry.version == self.row.version), None)

    def _changed_by(self, name: str) -> tuple[str | None, datetime | None]:
        """Return who last changed an answer since the template was made, and when."""
        who: tuple[str | None, datetime | None] = (None, None)
        for before, after in zip(self.versions, self.versions[1:], strict=False):
            if _answer(before.entry, name) != _answer(after.entry, name):
                who = (after.who, after.at)
        return who

    def _cell(self, name: str, verdict: Verdict, saved: Answer, file: Answer) -> Cell:
        write = _writer(self.form, name)
        return Cell(
            field=name,
            verdict=verdict.value,
            saved=write(saved[0]),
            saved_missing=saved[1],
            file=write(file[0]),
            file_missing=file[1],
        )


def _answers(submission: Submission, current: Entry | None, base: Entry | None) -> Iterator[tuple[str, Answer]]:
    """Yield what the file says of each variable that it speaks of, and of the status; settles what belongs together.

    A reason that stands in the file as it was saved gives way to a value that was typed beside it.
    """
    for name in list(dict.fromkeys([*submission.values, *submission.missing])):
        if name not in submission.form.variables():
            continue
        reason = submission.missing.get(name)
        if name not in submission.values:
            yield name, (None if current is None else current.values[name], reason)
            continue
        value = submission.values[name]
        known = {entry.missing.get(name) for entry in (current, base) if entry is not None}
        if value is not None and reason is not None and reason in known:
            reason = None
        if current is not None:
            submission.missing[name] = reason
        yield name, (value, reason)
    if submission.status is not None:
        yield STATUS, (submission.status, None)


def _answer(entry: Entry, name: str) -> Answer:
    if name == STATUS:
        return entry.status, None
    return entry.values[name], entry.missing.get(name)


def _leave_out(submission: Submission, name: str) -> None:
    if name == STATUS:
        submission.status = None
    submission.values.pop(name, None)
    submission.missing.pop(name, None)


def _writer(form: type[Form], name: str) -> Callable[[Any], str | None]:
    if name == STATUS:
        return lambda value: None if value is None else str(Status(value).label)
    variable = form.variables()[name]
    return lambda value: None if value is None else variable.to_text(value)


def read_answer(form: type[Form], name: str, text: str | None) -> Any:
    """Return the value that a text of `Cell` or of a row's `done` stands for."""
    if text is None:
        return None
    try:
        return form.variables()[name].parse(text)
    except Unreadable:  # its declaration has changed since: the check of the value will say so
        return text


def digest_of(judged: Sequence[tuple[ImportRow, Sequence[Mapping[str, Any]]]]) -> str:
    """Return the digest of a preview: of what becomes of each cell, whatever the words and the language."""
    told = [
        (
            row.number,
            row.verdict,
            [{name: value for name, value in cell.items() if name not in ("message", "who", "at")} for cell in cells],
        )
        for row, cells in judged
    ]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
