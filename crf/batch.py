"""New entries of any forms, saved together: the part of the entry service that creates.

One entry and ten thousand take the same path: patients are numbered and held, the rows that the checks read are
fetched once for all, and each entry is checked against the chart as it will be. The database writes what passed, some
hundred entries at a time, while the next are checked.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crf import data_queries, storage
from crf.charts import Known, Lookup, look_up, new_patient
from crf.checks import Finding, hard_findings, reads_of, required_but_blank, soft_findings
from crf.constraint_problems import NOT_UNIQUE, finding_of
from crf.forms import Form, Status, all_forms, blank_values
from crf.reading import Problem, Submission
from crf.refusals import Refused
from crf.storage import Entry
from registry.database import execute, execute_ahead, execute_soon
from registry.rights import Caller, Right

RECORD_ID = re.compile(r"([A-Z][A-Z0-9]{1,7})-(\d{3,7})", re.ASCII)
"""SITE-NNN: three digits or more. A number is given once at a site, however many zeros lead it."""
MAX_INSTANCE = 32_767
WRITTEN_FIRST, WRITTEN_AT_ONCE = 100, 1_000
"""Entries that the database is given in the first statement, and at most in one: soon at work, and then long at it."""


LookedUp = Callable[[], dict[str, Known]]
"""Waits for what is known of the patients that a call is about."""


@dataclass(slots=True)
class Result:
    """What became of one submission: an entry, or the problems that refused it."""

    entry: Entry | None = None
    problems: list[Problem] = field(default_factory=list)


class Batch:
    """The submissions of one call on their way to the database."""

    def __init__(
        self,
        submissions: Sequence[Submission],
        *,
        by: Caller,
        now: datetime,
        looked_up: LookedUp | None = None,
        judged: Callable[[list[Result]], None] | None = None,
    ) -> None:
        self.submissions = submissions
        self.looked_up = looked_up
        self.judged = judged
        self.by = by
        self.now = now
        self.today = timezone.localdate(now)
        self.results = [Result() for _submission in submissions]
        self.forms = tuple(dict.fromkeys(submission.form for submission in submissions))
        self.patients: dict[str, Known] = {}
        # Entries that come with a refused patient must not be put to another one of the same name.
        self.refused_patients: set[str | None] = set()
        self.order = sorted(range(len(submissions)), key=lambda index: submissions[index].form.repeating)

    def create(self, *, atomic: bool) -> list[Result]:
        """Save what can be saved and return the results; with `atomic`, raise Refused unless that is everything."""
        self._name_new_patients()
        self._find_known_patients()
        if atomic and len(self.submissions) == 1:
            self._check(0)
            self._refuse_if(atomic)
            self._save_alone()
            self._warn_and_tell()
        else:
            self._save_many(atomic)
        self._follow()
        return self.results

    def _refuse_if(self, atomic: bool) -> None:
        problems = [problem for result in self.results for problem in result.problems]
        if atomic and problems:
            raise Refused(problems)

    def _warn_and_tell(self) -> None:
        """Have the soft checks look at what is saved, against the charts as they are now, and tell who waits for it."""
        for result in self.results:
            if result.entry is not None:
                chart = self.patients[result.entry.record_id].chart
                result.entry.warnings = soft_findings(result.entry.form, result.entry.as_row(), chart=chart)
        if self.judged is not None:
            self.judged(self.results)

    def _follow(self) -> None:
        """Open and close the data queries that follow from what was saved."""
        saved = [result.entry for result in self.results if result.entry is not None]
        new = {entry.record_id for entry in saved if not entry.form.repeating}
        data_queries.follow(saved, new_patients=new, by=self.by, now=self.now)

    # Patients

    def _name_new_patients(self) -> None:
        new = [index for index in self.order if not self.submissions[index].form.repeating]
        wanted = [str(self.submissions[index].values.get("record_id") or "") for index in new]
        existing = _existing([record_id for record_id in wanted if record_id])
        places = {index: self._place(self.submissions[index]) for index in new}
        # Site by site, so that two calls that number patients of the same sites never wait for each other in a circle.
        for index in sorted(new, key=lambda index: self.submissions[index].site or ""):
            submission, finding = self.submissions[index], places[index]
            record_id = submission.values.get("record_id")
            if finding is None and record_id in existing:
                finding = Finding("record_id", "record_exists", NOT_UNIQUE["record_exists"])
            if finding is not None:
                self._refuse_new_patient(index, finding)
                continue
            if record_id is None:
                record_id = self._next_record_id(submission.site or "")
                if RECORD_ID.fullmatch(record_id) is None:
                    message = _("The site has no identifier left after the highest. Give a free one.")
                    self._refuse_new_patient(index, Finding("record_id", "record_id_of_site", message))
                    continue
            existing.add(record_id)
            submission.record_id = submission.values["record_id"] = record_id
            self.patients[record_id] = new_patient(submission.site or "", forms=self.forms)

    def _refuse_new_patient(self, index: int, finding: Finding) -> None:
        """Refuse a patient for its place, and say in the same answer what else is wrong with the form."""
        submission = self.submissions[index]
        self.refused_patients.add(submission.values.get("record_id"))
        status = submission.status or Status.INCOMPLETE
        form = submission.form
        row = {**blank_values(form), **submission.values, "instance": 1}
        unread = [Finding(*unread) for unread in submission.unread]
        missing = _reasons(submission)
        chart: dict[str, list[dict[str, Any]]] = {name: [] for name in reads_of(form)}
        failed = hard_findings(form, row, status=status, missing=missing, chart=chart, today=self.today)
        self._refuse(index, *first_per_field([finding, *unread, *failed]))

    def _place(self, submission: Submission) -> Finding | None:
        """Settle the site of a new patient; return what is wrong with the site or the record id."""
        record_id = submission.values.get("record_id")
        spelled = RECORD_ID.fullmatch(record_id) if record_id is not None else None
        mine = self.by.sites_with(Right.ENTER)
        if submission.site is None:
            submission.site = spelled.group(1) if spelled else next(iter(mine)) if len(mine) == 1 else None
        if submission.site is None:
            if not mine:
                return _not_allowed()
            return Finding("site", "required", _("Name the site of the patient: several are possible."))
        if not self.by.may(Right.READ, at=submission.site):
            return Finding("site", "unknown_site", _("There is no such site among yours. Check its code."))
        if submission.site not in mine:
            return _not_allowed()
        if record_id is not None and (spelled is None or spelled.group(1) != submission.site):
            message = _("The identifier is not of the form %(site)s-001. Correct it, or leave it blank for the next.")
            return Finding("record_id", "record_id_of_site", message % {"site": submission.site})
        return None

    def _next_record_id(self, site: str) -> str:
        """Return the next free record id; whoever else numbers a patient at the site waits until this one is saved."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('crf_patient.number'), hashtext(%s))", [site])
            cursor.execute("SELECT COALESCE(max(number), 0) FROM crf_patient WHERE site_id = %s", [site])
            saved = cursor.fetchone()[0]
        here = [number_of(record_id) for record_id, known in self.patients.items() if known.site == site]
        highest = max(saved, *here, 0)
        return f"{site}-{highest + 1:03d}"

    def _find_known_patients(self) -> None:
        """Find the patients that new instances belong to, and hold them until the transaction ends."""
        if self.looked_up is not None:
            self.patients |= self.looked_up()
            return
        named = {s.record_id for s in self.submissions if s.form.repeating and s.record_id not in self.patients}
        every_number = any(submission.instance is not None for submission in self.submissions)
        lookup = lookup_for(filter(None, named), forms=self.forms, by=self.by, every_number=every_number)
        if lookup is not None:
            self.patients |= look_up(lookup)

    # Checks

    def _check(self, index: int) -> None:
        submission = self.submissions[index]
        known = self.patients.get(submission.record_id or "")
        if self.results[index].problems:
            return
        if submission.form.repeating and submission.record_id in self.refused_patients:
            message = _("The patient form that came with it was refused. Mend that one first.")
            self._refuse(index, Finding("record_id", "patient_not_found", message))
        elif known is None:
            self._refuse(index, _unknown_patient())
        elif not self.by.may(Right.ENTER, at=known.site):
            self._refuse(index, _not_allowed())
        else:
            self._check_against(index, submission, known)

    def _check_against(self, index: int, submission: Submission, known: Known) -> None:
        form = submission.form
        findings = [Finding(*unread) for unread in submission.unread]
        if submission.site not in (None, known.site):
            message = _("The patient is at %(site)s. Leave the site out, or check the identifier.")
            findings.append(Finding("site", "record_id_of_site", message % {"site": known.site}))
        instance = _instance(submission, known, findings)
        values = blank_values(form) | submission.values
        missing = _reasons(submission)
        row = {**values, "instance": instance}
        status = submission.status or Status.INCOMPLETE
        findings += hard_findings(form, row, status=status, missing=missing, chart=known.chart, today=self.today)
        record_id = submission.record_id or ""
        if findings:
            self._refuse(index, *first_per_field(findings))
            if not form.repeating:
                del self.patients[record_id]
            return
        if submission.status is None and not required_but_blank(form, row, missing=missing):
            status = Status.COMPLETE
        self.results[index].entry = Entry(
            form, record_id, known.site, instance, status, 1, missing, False, self.now, values
        )
        known.taken.setdefault(form, set()).add(instance)
        if form.form_name() in known.chart:
            known.chart[form.form_name()].append(row)

    def _refuse(self, index: int, *findings: Finding) -> None:
        submission = self.submissions[index]
        record_id = submission.record_id or submission.values.get("record_id")
        self.results[index].problems += [
            Problem(submission.form.form_name(), record_id, submission.instance, f.field, f.code, f.message)
            for f in findings
        ]

    # Saving

    def _save_alone(self) -> None:
        """Have the only entry written with the next statement; refused, it ends the transaction."""

        def refused(error: IntegrityError) -> Refused:
            self._refuse(0, finding_of(error))
            return Refused(self.results[0].problems)

        self._insert(self.forms[0], [0], run=partial(execute_soon, or_else=refused))

    def _save_many(self, atomic: bool) -> None:
        try:
            with transaction.atomic():
                # Patients in the order of the record id, so that two calls never wait for each other in a circle.
                self._check_and_write(sorted(self._of_forms(repeating=False), key=self._record_id_of))
                self._check_and_write(self._of_forms(repeating=True))
                self._refuse_if(atomic)
                self._warn_and_tell()
        except IntegrityError:
            # Another writer was faster with one of them: only one by one can it be told which.
            self._save_one_by_one()
            self._refuse_if(atomic)
            self._warn_and_tell()

    def _of_forms(self, *, repeating: bool) -> list[int]:
        return [index for index in self.order if self.submissions[index].form.repeating == repeating]

    def _record_id_of(self, index: int) -> str:
        return self.submissions[index].record_id or ""

    def _check_and_write(self, indexes: Iterable[int]) -> None:
        """Check entries; the database writes those that passed while the next are checked."""
        passed: dict[type[Form], list[int]] = {form: [] for form in self.forms}
        at_once = WRITTEN_FIRST
        for index in indexes:
            self._check(index)
            if self.results[index].entry is None:
                continue
            form = self.submissions[index].form
            passed[form].append(index)
            if len(passed[form]) >= at_once:
                self._insert(form, passed[form], run=execute_ahead)
                passed[form] = []
                at_once = min(3 * at_once, WRITTEN_AT_ONCE)
        for form in all_forms():
            if passed.get(form):
                self._insert(form, passed[form], run=execute_ahead)

    def _save_one_by_one(self) -> None:
        """Write each entry that passed, the patient forms first, and refuse those that the database refuses."""
        for index, result in enumerate(self.results):
            if result.entry is None and not result.problems:  # what was refused came before its turn
                self._check(index)
        for form in all_forms():
            for index in self.order:
                of_form = self.submissions[index].form is form and self.results[index].entry is not None
                if of_form and self._patient_is_there(index):
                    self._save_one(form, index)

    def _patient_is_there(self, index: int) -> bool:
        """Return whether the patient of an entry was saved; refuse the entry if another writer took the record id."""
        if self.submissions[index].record_id in self.patients:
            return True
        self.results[index].entry = None
        self._refuse(index, _unknown_patient())
        return False

    def _save_one(self, form: type[Form], index: int) -> None:
        try:
            # What else the call writes needs a transaction that a refused entry has not broken.
            with transaction.atomic():
                self._insert(form, [index])
        except IntegrityError as error:
            self._take_back(index)
            self._refuse(index, finding_of(error))
            if not form.repeating:
                del self.patients[self.submissions[index].record_id or ""]

    def _take_back(self, index: int) -> None:
        """Have the checks forget an entry that the database refused."""
        entry, self.results[index].entry = self.results[index].entry, None
        known = self.patients.get(entry.record_id) if entry else None
        if entry and known and (rows := known.chart.get(entry.form.form_name())):
            rows[:] = [row for row in rows if row["instance"] != entry.instance]

    def _insert(
        self,
        form: type[Form],
        indexes: Sequence[int],
        *,
        run: Callable[[str, Sequence[Any]], None] = execute,
    ) -> None:
        entries = [entry for index in indexes if (entry := self.results[index].entry) is not None]
        beside: Mapping[str, list[int]] = {}
        if not form.repeating:
            beside = {"number": [number_of(entry.record_id) for entry in entries]}
        storage.insert_entries(form, entries, beside=beside, run=run)


def lookup_for(
    record_ids: Iterable[str], *, forms: Iterable[type[Form]], by: Caller, every_number: bool
) -> Lookup | None:
    """Return how the patients of new instances of `forms` are looked up, None where no record id is one.

    They are held until the transaction ends. `every_number` if a submission names its instance.
    """
    spelled = {record_id for record_id in record_ids if RECORD_ID.fullmatch(record_id)}
    if not spelled:
        return None
    sites = by.sites_with(Right.READ)
    return Lookup(spelled, forms=set(forms), sites=sites, hold=True, every_number=every_number)


def _reasons(submission: Submission) -> dict[str, str]:
    """Return the missing-value reasons that were given."""
    reasons = submission.missing
    return {name: reason for name, reason in reasons.items() if reason is not None} if reasons else {}


def _instance(submission: Submission, known: Known, findings: list[Finding]) -> int:
    """Return the number of the new entry: the one asked for if it is free, else the next."""
    form, asked = submission.form, submission.instance
    if not form.repeating:
        if asked not in (None, 1):
            findings.append(
                Finding("instance", "out_of_range", _("A patient has one form of this kind: leave the number out."))
            )
        return 1
    taken = known.taken.get(form, set())
    number = max(taken, default=0) + 1 if asked is None else asked
    if number in taken:
        findings.append(Finding("instance", "entry_exists", NOT_UNIQUE["entry_exists"]))
    if not 1 <= number <= MAX_INSTANCE:
        message = _("An entry is numbered from 1 to %(max)d.")
        findings.append(Finding("instance", "out_of_range", message % {"max": MAX_INSTANCE}))
    return number


def number_of(record_id: str) -> int:
    """Return the number in a record id: 7 of MTP-007."""
    return int(record_id.rpartition("-")[2])


def first_per_field(findings: Iterable[Finding]) -> list[Finding]:
    """Return the first finding at each field: one message a field is enough to mend it."""
    first: dict[str | None, Finding] = {}
    for finding in findings:
        first.setdefault(finding.field, finding)
    return list(first.values())


def problem_at(entry: Entry, finding: Finding) -> Problem:
    """Return the finding as a problem of a saved entry."""
    form = entry.form.form_name()
    return Problem(form, entry.record_id, entry.instance, finding.field, finding.code, finding.message)


def _existing(record_ids: Sequence[str]) -> set[str]:
    """Return those of the record ids that are given already, to patients that were deleted as well."""
    if not record_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT record_id FROM crf_patient WHERE record_id = ANY(%s)", [list(record_ids)])
        return {record_id for (record_id,) in cursor.fetchall()}


def _unknown_patient() -> Finding:
    message = _("There is no such patient among yours. Check the identifier, or enter the patient form first.")
    return Finding("record_id", "patient_not_found", message)


def _not_allowed() -> Finding:
    return Finding("record_id", "not_allowed", _("You may read the patients of this site, but not enter data."))
