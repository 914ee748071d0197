"""Deleted entries: who hid them, when and why, and how they come back.

Deleting hides rows (`crf.entry.delete_entry`). A patient is hidden together with the entries that are there, all at one
moment; by that moment the same ones come back, and not those that had been deleted before. Whatever comes back is
checked as if it were entered now.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from msgspec.json import decode

from crf import data_queries, storage
from crf.batch import first_per_field, problem_at
from crf.charts import known_patients
from crf.checks import Chart, hard_findings, soft_findings
from crf.constraint_problems import finding_of
from crf.forms import Form, all_forms
from crf.reading import Problem
from crf.refusals import Locked, NotAllowed, NotDeleted, NotFound, PatientDeleted, ReasonNeeded, Refused, Stale
from crf.storage import Entry
from registry.rights import Caller, Right

Place = tuple[datetime, str, str, int]
"""Where a deleted entry stands in the list: time of the deletion, form name, record id, instance."""


@dataclass(frozen=True, slots=True)
class DeletedEntry:
    """One deleted entry, without its values. `actor` is as in the history; `with_patient`: it was hidden with it."""

    deleted_at: datetime
    form: str
    record_id: str
    instance: int
    site: str
    version: int
    locked: bool
    with_patient: bool
    actor: Mapping[str, Any]

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return self.deleted_at, self.form, self.record_id, self.instance


def deleted_entries(
    *,
    by: Caller,
    form: str | None = None,
    site: str | None = None,
    record_id: str | None = None,
    before: Place | None = None,
    most: int = 100,
) -> list[DeletedEntry]:
    """Return what was deleted at the sites that `by` reads, the latest first, at most `most`, after a place only."""
    forms = [known for known in all_forms() if form in (None, known.form_name())]
    if not forms:
        return []
    parts, parameters = [], list[Any]()
    for wanted in forms:
        where, needed = ["d.site_id = ANY(%s)"], list[Any]([sorted(by.sites_with(Right.READ))])
        for condition, value in (("d.site_id = %s", site), ("d.record_id = %s", record_id)):
            if value is not None:
                where.append(condition)
                needed.append(value)
        if before is not None:
            where.append(f"(d.deleted_at, '{wanted.form_name()}', d.record_id, d.instance) < (%s, %s, %s, %s)")
            needed += before
        parts.append(f"({_hidden(wanted)} AND {' AND '.join(where)} ORDER BY 1 DESC, 3 DESC, 4 DESC LIMIT {int(most)})")
        parameters += needed
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM ({' UNION ALL '.join(parts)}) deleted"  # noqa: S608 -- identifiers of the declarations
            f" ORDER BY 1 DESC, 2 DESC, 3 DESC, 4 DESC LIMIT {int(most)}",
            parameters,
        )
        return [DeletedEntry(*(*row[:-1], decode(row[-1]))) for row in cursor.fetchall()]


def restore_entry(
    form: type[Form],
    record_id: str,
    instance: int,
    *,
    by: Caller,
    version: int,
    reason: str | None,
    now: datetime | None = None,
) -> Entry:
    """Bring back a deleted entry, or a patient with the entries hidden together with it; return it with its warnings.

    `version` is that of the deleted entry. Hard checks refuse, and then everything stays hidden; soft checks ask.
    Raises NotFound, NotAllowed, NotDeleted, PatientDeleted, Locked, Stale, ReasonNeeded, Refused.
    """
    now = now or timezone.now()
    hidden = _for_restoring(form, record_id, instance, by=by)
    if hidden.version != version:
        raise Stale(hidden)
    if not reason:
        raise ReasonNeeded
    hidden_at = _hidden_at(hidden)
    together = _hidden_together(hidden, hidden_at=hidden_at)
    if any(entry.locked for entry in together):
        raise Locked
    with transaction.atomic():
        for entry in together:
            _show(entry, now=now)
        _check(together, by=by, now=now)
        data_queries.follow_restoration(together, hidden_at=hidden_at, by=by, now=now)
    return together[0]


@cache
def _hidden(form: type[Form]) -> str:
    """Return the SQL of the deleted entries of a form, with the actor of the deletion; conditions can be added."""
    table = storage.table_of(form)
    # The first row of the history that has this time is the deletion; a lock may have marked the row since.
    deletion = (
        f"SELECT past.pgh_context::text FROM {connection.ops.quote_name(f'{table.name}history')} past"  # noqa: S608 -- identifiers of the declaration
        " WHERE past.pgh_chain = d.record_id AND past.pgh_obj_id = d.id AND past.deleted_at = d.deleted_at"
        " ORDER BY past.pgh_seq LIMIT 1"
    )
    of_patient = "SELECT FROM crf_patient p WHERE p.record_id = d.record_id AND p.deleted_at = d.deleted_at"
    with_patient = f"EXISTS ({of_patient})" if form.repeating else "FALSE"
    return (
        f"SELECT d.deleted_at, '{form.form_name()}', d.record_id, d.instance::int, d.site_id, d.version, d.locked,"  # noqa: S608 -- identifiers of the declaration
        f" {with_patient}, COALESCE(({deletion}), '{{}}') FROM {table.quoted} d WHERE d.deleted_at IS NOT NULL"
    )


def _for_restoring(form: type[Form], record_id: str, instance: int, *, by: Caller) -> Entry:
    """Return a deleted entry that the caller may bring back; its patient, deleted or not, is held meanwhile."""
    sites = sorted(by.sites_with(Right.READ))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT deleted_at FROM crf_patient WHERE record_id = %s AND site_id = ANY(%s) FOR NO KEY UPDATE",
            [record_id, sites],
        )
        patient = cursor.fetchone()
    if patient is None:
        raise NotFound
    which: dict[str, Any] = {
        "where": "record_id = %s AND instance = %s AND site_id = ANY(%s)",
        "parameters": [record_id, instance, sites],
    }
    hidden = storage.select_entries(form, **which, deleted=True)
    there = hidden or storage.select_entries(form, **which)
    if not there:
        raise NotFound
    if not by.may(Right.ENTER, at=there[0].site):
        raise NotAllowed
    if not hidden:
        raise NotDeleted
    if form.repeating and patient[0] is not None:
        raise PatientDeleted
    return hidden[0]


def _hidden_at(entry: Entry) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT deleted_at FROM {storage.table_of(entry.form).quoted} WHERE record_id = %s AND instance = %s",  # noqa: S608 -- identifiers of the declaration
            [entry.record_id, entry.instance],
        )
        moment: datetime = cursor.fetchone()[0]
    return moment


def _hidden_together(hidden: Entry, *, hidden_at: datetime) -> list[Entry]:
    """Return the entries that come back: the one, and if it is a patient those that were hidden at the same moment."""
    if hidden.form.repeating:
        return [hidden]
    where, parameters = "record_id = %s AND deleted_at = %s", [hidden.record_id, hidden_at]
    return [
        entry
        for form in all_forms()
        for entry in storage.select_entries(form, where=where, parameters=parameters, deleted=True)
    ]


def _show(entry: Entry, *, now: datetime) -> None:
    """Take the mark of the deletion from a row. Raises Refused when a constraint of the database is against it."""
    entry.version, entry.updated_at = entry.version + 1, now
    sql = (
        f"UPDATE {storage.table_of(entry.form).quoted} SET deleted_at = NULL, updated_at = %s, version = %s"  # noqa: S608 -- identifiers of the declaration
        " WHERE record_id = %s AND instance = %s"
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, [now, entry.version, entry.record_id, entry.instance])
    except IntegrityError as error:
        raise Refused([problem_at(entry, finding_of(error))]) from error


def _check(restored: Collection[Entry], *, by: Caller, now: datetime) -> None:
    """Give entries that are there again their warnings. Raises Refused with what hard checks find."""
    (record_id,) = {entry.record_id for entry in restored}
    forms = {entry.form for entry in restored}
    known = known_patients([record_id], forms=forms, sites=by.sites_with(Right.READ), hold=False)
    chart = known[record_id].chart
    problems = [problem for entry in restored for problem in _problems(entry, chart=chart, now=now)]
    if problems:
        raise Refused(problems)
    for entry in restored:
        entry.warnings = soft_findings(entry.form, entry.as_row(), chart=chart)


def _problems(entry: Entry, *, chart: Chart, now: datetime) -> list[Problem]:
    today = timezone.localdate(now)
    found = hard_findings(
        entry.form, entry.as_row(), status=entry.status, missing=entry.missing, chart=chart, today=today
    )
    return [problem_at(entry, finding) for finding in first_per_field(found)]
