"""How an entry would be judged as it stands on a page: asked while somebody types, and nothing is saved.

The same checks as those of the entry service, over the same chart, with what was typed in the place of what is saved.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from crf.charts import Known, known_patients, new_patient
from crf.checks import Chart, Derived, Finding, hard_findings, hidden_variables, soft_findings
from crf.entry import applied, clears, with_entry
from crf.forms import Form, Status, blank_values
from crf.locks import forms_without_additions
from crf.reading import Submission
from crf.refusals import NotFound
from crf.storage import Entry, select_entries
from registry.rights import Caller, Right


@dataclass(frozen=True)
class Place:
    """Where an entry is or is to be: without a record id a new patient at `site`, without an instance a new one."""

    form: type[Form]
    site: str | None = None
    record_id: str | None = None
    instance: int | None = None

    @property
    def is_new(self) -> bool:
        """Whether there is no entry yet."""
        return self.instance is None


@dataclass(frozen=True)
class Judged:
    """`saved` is the entry as it is, or a blank one; `typed` as it would be. `unread` and `errors` would refuse it.

    A blank one is locked where nothing can be added.
    """

    saved: Entry
    typed: Entry
    unread: list[Finding]
    errors: list[Finding]
    warnings: list[Finding]
    hidden: frozenset[str]
    derived: list[tuple[Derived, str]]
    reason_needed: bool


def judge(place: Place, submission: Submission | None, *, by: Caller, now: datetime) -> Judged:
    """Return what the checks say of a place with `submission` in it, or of what is saved there. Raises NotFound.

    That a complete form needs a value everywhere is left out: it is said when the form is saved.
    """
    saved, chart = _saved(place, by=by, now=now)
    typed = saved if submission is None else applied(submission, to=saved)
    chart = with_entry(typed, chart)
    row = typed.as_row()
    derived = [(one, shown) for one in place.form.derived if (shown := one.shown(row, chart)) is not None]
    return Judged(
        saved=saved,
        typed=typed,
        unread=[Finding(*unread) for unread in submission.unread] if submission else [],
        errors=_errors(typed, chart, now=now),
        warnings=soft_findings(place.form, row, chart=chart),
        hidden=frozenset(hidden_variables(place.form, row)),
        derived=derived,
        reason_needed=not place.is_new and _needs_a_reason(saved, typed),
    )


def _errors(entry: Entry, chart: Chart, *, now: datetime) -> list[Finding]:
    today = timezone.localdate(now)
    found = hard_findings(
        entry.form, entry.as_row(), status=Status.INCOMPLETE, missing=entry.missing, chart=chart, today=today
    )
    return list(found)


def _saved(place: Place, *, by: Caller, now: datetime) -> tuple[Entry, Chart]:
    """Return the entry at a place, a blank one at a new place, and the chart that it is judged by."""
    readable = by.sites_with(Right.READ)
    if place.record_id is None:
        if place.site not in readable:
            raise NotFound
        known = new_patient(place.site, forms=[place.form])
        return _blank(place, known, number=1, now=now), known.chart
    found = known_patients([place.record_id], forms=[place.form], sites=readable, hold=False).get(place.record_id)
    if found is None:
        raise NotFound
    if place.instance is None:
        number = max(found.taken.get(place.form, {0})) + 1
        return _blank(place, found, number=number, now=now), found.chart
    where = "record_id = %s AND instance = %s"
    entries = select_entries(place.form, where=where, parameters=[place.record_id, place.instance])
    if not entries:
        raise NotFound
    return entries[0], found.chart


def _blank(place: Place, known: Known, *, number: int, now: datetime) -> Entry:
    values: dict[str, Any] = dict(blank_values(place.form))
    return Entry(
        form=place.form,
        record_id=place.record_id or "",
        site=known.site,
        instance=number,
        status=Status.INCOMPLETE,
        version=0,
        missing={},
        locked=place.form in forms_without_additions(known.site, record_id=place.record_id),
        updated_at=now,
        values=values,
    )


def _needs_a_reason(saved: Entry, typed: Entry) -> bool:
    """Return whether the entry service would ask why."""
    names = [name for name, value in typed.values.items() if value != saved.values[name]]
    changed = bool(names) or (typed.status, typed.missing) != (saved.status, saved.missing)
    return changed and (saved.status == Status.COMPLETE or clears(typed, names))
