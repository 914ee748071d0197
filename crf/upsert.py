"""Entries that may be there already: new ones are saved, others changed, all of a call or nothing.

For doors that send whole tables, such as REDCap's import. What a call leaves as it was is saved nowhere, so that a
table sent back unchanged leaves no trace. Part of the entry service: authorises, checks and saves like `crf.entry`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crf import data_queries, storage
from crf.batch import RECORD_ID, Batch, Result, first_per_field, problem_at
from crf.charts import Known, known_patients
from crf.checks import Finding, hard_findings, soft_findings
from crf.constraint_problems import finding_of
from crf.entry import applied, clears
from crf.forms import Form, Status
from crf.reading import Submission
from crf.refusals import ReasonNeeded
from crf.storage import Entry
from registry.rights import Caller, Right

Place = tuple[type[Form], str, int]


class Draft(Protocol):
    """One entry as a door received it: where it belongs, and how it reads beside what is saved there."""

    @property
    def form(self) -> type[Form]:
        """The form."""

    @property
    def record_id(self) -> str:
        """The patient."""

    @property
    def instance(self) -> int | None:
        """The number of the instance, None for the next one."""

    def against(self, current: Entry | None) -> Submission:
        """Return the submission, given the entry that is saved there, or None."""


class NothingSaved(Exception):
    """A draft was refused; the caller's transaction must be undone. `results` says what is wrong with each draft."""

    def __init__(self, results: Sequence[Result]) -> None:
        super().__init__(", ".join(sorted({problem.code for result in results for problem in result.problems})))
        self.results = list(results)


@dataclass(frozen=True, slots=True)
class _Change:
    """A saved entry, and what becomes of it."""

    index: int
    before: Entry
    after: Entry
    submission: Submission

    @property
    def names(self) -> list[str]:
        """The variables that change."""
        return [name for name, value in self.after.values.items() if value != self.before.values[name]]

    @property
    def needs_a_reason(self) -> bool:
        """Whether a complete form changes, or a value is taken away without one in its place."""
        return self.before.status == Status.COMPLETE or clears(self.after, self.names)

    @property
    def is_one(self) -> bool:
        """Whether anything changes, or was to change and could not be read."""
        beside = (self.after.status, self.after.missing) != (self.before.status, self.before.missing)
        elsewhere = self.submission.site not in (None, self.before.site)
        return bool(self.names or beside or elsewhere or self.submission.unread)


def upsert_entries(
    drafts: Sequence[Draft], *, by: Caller, reason: str | None, now: datetime | None = None
) -> list[Result]:
    """Save all drafts, at most one for each place, and return what became of each, in order.

    Raises NothingSaved when one is refused, and ReasonNeeded when a complete form changes or a value goes
    without a reason; then the caller's transaction must be undone.
    """
    return _Upsert(drafts, by=by, reason=reason, now=now or timezone.now()).save()


class _Upsert:
    """The drafts of one call on their way to the database."""

    def __init__(self, drafts: Sequence[Draft], *, by: Caller, reason: str | None, now: datetime) -> None:
        self.drafts, self.by, self.reason, self.now = drafts, by, reason, now
        self.results = [Result() for _draft in drafts]
        self.known = self._known_patients()
        self.current = dict(self._current_entries())

    def save(self) -> list[Result]:
        changes, new = self._sorted_out()
        self._check(changes)
        # A patient with a refused change is not judged further: what follows from it would be told as well.
        refused = {self.drafts[index].record_id for index, result in enumerate(self.results) if result.problems}
        if not refused:
            self._update(changes)
        self._create({index: found for index, found in new.items() if found.record_id not in refused})
        if any(result.problems for result in self.results):
            raise NothingSaved(self.results)
        return self.results

    def _known_patients(self) -> dict[str, Known]:
        """Find the patients of the drafts, and hold them until the transaction ends."""
        names = {draft.record_id for draft in self.drafts if RECORD_ID.fullmatch(draft.record_id)}
        forms = {draft.form for draft in self.drafts}
        return known_patients(names, forms=forms, sites=self.by.sites_with(Right.READ), hold=True) if names else {}

    def _current_entries(self) -> Iterable[tuple[Place, Entry]]:
        for form in {draft.form: None for draft in self.drafts}:
            for entry in storage.select_entries(form, where="record_id = ANY(%s)", parameters=[list(self.known)]):
                yield (form, entry.record_id, entry.instance), entry

    def _sorted_out(self) -> tuple[list[_Change], dict[int, Submission]]:
        """Return the changes, and the submissions of new entries by the number of their draft."""
        changes: list[_Change] = []
        new: dict[int, Submission] = {}
        for index, draft in enumerate(self.drafts):
            instance = draft.instance if draft.form.repeating else 1
            entry = self.current.get((draft.form, draft.record_id, instance)) if instance is not None else None
            submission = draft.against(entry)
            submission.record_id = draft.record_id
            if entry is None:
                submission.instance = draft.instance
                new[index] = submission
                continue
            change = _Change(index, entry, applied(submission, to=entry), submission)
            self.results[index].entry = entry
            if change.is_one:
                changes.append(change)
        return changes, new

    def _check(self, changes: Sequence[_Change]) -> None:
        """Check every change against the charts as they will be after all of them."""
        for change in changes:
            self._put_into_chart(change.after)
        for change in changes:
            findings = first_per_field(self._findings(change))
            if findings:
                self.results[change.index].problems = [problem_at(change.before, finding) for finding in findings]
            elif not self.reason and change.needs_a_reason:
                raise ReasonNeeded

    def _put_into_chart(self, entry: Entry) -> None:
        chart, name = self.known[entry.record_id].chart, entry.form.form_name()
        if name in chart:
            others = [row for row in chart[name] if row["instance"] != entry.instance]
            chart[name] = [*others, entry.as_row()]

    def _findings(self, change: _Change) -> list[Finding]:
        entry = change.after
        if not self.by.may(Right.ENTER, at=entry.site):
            return [Finding("record_id", "not_allowed", _("You may read this patient, but not enter data."))]
        if entry.locked:
            return [Finding(None, "locked", _("The form is locked. Ask the data manager to unlock it."))]
        findings = [Finding(*unread) for unread in change.submission.unread]
        if change.submission.site not in (None, entry.site):
            message = _("The patient is at %(site)s and stays there.")
            findings.append(Finding("site", "record_id_of_site", message % {"site": entry.site}))
        chart, today = self.known[entry.record_id].chart, timezone.localdate(self.now)
        failed = hard_findings(
            entry.form, entry.as_row(), status=entry.status, missing=entry.missing, chart=chart, today=today
        )
        return [*findings, *failed]

    def _update(self, changes: Sequence[_Change]) -> None:
        """Save the changes one by one.

        Constraints between entries look at each step: periods that all move the same way can pass each other in one
        order only.
        """
        refused: Mapping[int, Finding] = {}
        for order in (changes, list(reversed(changes))):
            refused = self._updated(order)
            if not refused:
                return
        for index, finding in refused.items():
            entry = self.results[index].entry
            assert entry is not None  # noqa: S101 -- every change has the entry that it is about
            self.results[index].problems = [problem_at(entry, finding)]

    def _updated(self, changes: Sequence[_Change]) -> Mapping[int, Finding]:
        """Save the changes in this order; return the one that a constraint refused, with none of them saved."""
        change: _Change | None = None
        try:
            with transaction.atomic():
                for change in changes:
                    entry = change.after
                    entry.version, entry.updated_at = change.before.version + 1, self.now
                    storage.update_entry(entry, changed=change.names)
        except IntegrityError as error:
            assert change is not None  # noqa: S101 -- without a change nothing was written
            return {change.index: finding_of(error)}
        for change in changes:
            entry = change.after
            entry.warnings = soft_findings(entry.form, entry.as_row(), chart=self.known[entry.record_id].chart)
            self.results[change.index].entry = entry
        names = {name for change in changes for name in change.names}
        data_queries.follow([change.after for change in changes], changed=names, by=self.by, now=self.now)
        return {}

    def _create(self, new: Mapping[int, Submission]) -> None:
        created = Batch(list(new.values()), by=self.by, now=self.now).create(atomic=False)
        for index, result in zip(new, created, strict=True):
            self.results[index] = result
