"""The entry service: the only way in, whichever door the values came through.

Create, change and delete entries of any form. Each call runs in the transaction of its caller (`registry.acting`),
authorises, runs the edit checks and saves; triggers write the history and list the changed charts. Hard checks
refuse, one coded message a field, and then nothing is saved; soft checks save, warn and open a data query.

Writers of the same patient wait for one another (a lock on the patient row), writers of different patients do not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import IntegrityError, connection
from django.utils import timezone

from crf import data_queries, storage
from crf.batch import Batch, LookedUp, Result, first_per_field, lookup_for, problem_at
from crf.charts import known_patients, look_up_ahead
from crf.checks import Chart, Finding, hard_findings, soft_findings
from crf.constraint_problems import finding_of
from crf.forms import Form, Status, all_forms
from crf.locks import is_locked_anywhere
from crf.reading import Submission
from crf.refusals import Locked, NotAllowed, NotFound, ReasonNeeded, Refused, Stale
from crf.storage import Entry
from registry.database import send_what_waits
from registry.rights import Caller, Right


def create_entries(
    submissions: Sequence[Submission],
    *,
    by: Caller,
    atomic: bool = True,
    now: datetime | None = None,
    looked_up: LookedUp | None = None,
    judged: Callable[[list[Result]], None] | None = None,
) -> list[Result]:
    """Save new entries of any forms, and return what became of each, in order.

    Patients are saved first, so that their other forms can come in the same call. With `atomic` one bad entry
    refuses all; without, the good ones are saved and the bad ones reported. `looked_up` is what `patients_ahead` gave.
    `judged` is given the results while the database is still at work, and again if it refuses what the checks passed;
    with `atomic` Refused is raised instead.

    Raises Refused (only with `atomic`).
    """
    batch = Batch(submissions, by=by, now=now or timezone.now(), looked_up=looked_up, judged=judged)
    results = batch.create(atomic=atomic)
    send_what_waits()
    return results


def patients_ahead(
    record_ids: Iterable[str], *, forms: Iterable[type[Form]], by: Caller, every_number: bool
) -> LookedUp | None:
    """Have the database look for the patients of new entries while those are read, and return what waits for it.

    For `create_entries` of repeating forms alone, of these patients and forms at most. `every_number` if an entry is to
    name its instance. None if there is nobody to look for.
    """
    lookup = lookup_for(record_ids, forms=forms, by=by, every_number=every_number)
    return None if lookup is None else look_up_ahead(lookup)


def create_entry(
    submission: Submission, *, by: Caller, now: datetime | None = None, with_commit: bool = False
) -> Entry:
    """Save one new entry and return it with its warnings. Raises Refused.

    `with_commit` saves a round trip: what only the database refuses is then raised where the transaction ends.
    """
    (result,) = Batch([submission], by=by, now=now or timezone.now()).create(atomic=True)
    if not with_commit:
        send_what_waits()
    assert result.entry is not None  # noqa: S101 -- atomic: it is there, or Refused was raised
    return result.entry


def get_entry(form: type[Form], record_id: str, instance: int, *, by: Caller) -> Entry:
    """Return one entry with its warnings. Raises NotFound."""
    readable = by.sites_with(Right.READ)
    entry = _select_one(form, record_id, instance, sites=readable)
    known = known_patients([record_id], forms=[form], sites=readable, hold=False).get(record_id)
    if known is None:
        raise NotFound
    entry.warnings = soft_findings(form, entry.as_row(), chart=known.chart)
    return entry


def change_entry(
    form: type[Form],
    record_id: str,
    instance: int,
    submission: Submission,
    *,
    by: Caller,
    version: int,
    reason: str | None = None,
    now: datetime | None = None,
) -> Entry:
    """Change an entry: variables that were sent are set or cleared, the others stay; return it with its warnings.

    `version` is the one that the change was made from. What changes nothing is saved nowhere.
    Raises NotFound, NotAllowed, Locked, Stale, ReasonNeeded, Refused.
    """
    now = now or timezone.now()
    current, chart = _for_writing(form, record_id, instance, by=by)
    if current.version != version:
        raise Stale(current, submission)
    changed = applied(submission, to=current)
    chart = with_entry(changed, chart)
    _refuse_what_fails(changed, submission, chart=chart, now=now)
    names = [name for name, value in changed.values.items() if value != current.values[name]]
    if names or (changed.status, changed.missing) != (current.status, current.missing):
        if not reason and (current.status == Status.COMPLETE or clears(changed, names)):
            raise ReasonNeeded
        changed.version, changed.updated_at = current.version + 1, now
        _update(changed, names)
    changed.warnings = soft_findings(form, changed.as_row(), chart=chart)
    if changed.version > current.version:
        data_queries.follow([changed], changed=names, by=by, now=now)
    return changed


def delete_entry(
    form: type[Form], record_id: str, instance: int, *, by: Caller, version: int, reason: str | None
) -> None:
    """Hide an entry, or a patient with all entries; the rows stay and can be brought back.

    Raises NotFound, NotAllowed, Locked, Stale, ReasonNeeded.
    """
    current, _chart = _for_writing(form, record_id, instance, by=by)
    if current.version != version:
        raise Stale(current)
    if not reason:
        raise ReasonNeeded
    forms = (form,) if form.repeating else all_forms()
    if not form.repeating and is_locked_anywhere(record_id):
        raise Locked
    which = "record_id = %s AND instance = %s" if form.repeating else "record_id = %s"
    parameters = [record_id, instance] if form.repeating else [record_id]
    now = timezone.now()
    with connection.cursor() as cursor:
        for hidden in forms:
            sql = (
                f"UPDATE {storage.table_of(hidden).quoted} SET deleted_at = %s, updated_at = %s, version = version + 1"  # noqa: S608 -- identifiers of the declaration
            )
            cursor.execute(f"{sql} WHERE deleted_at IS NULL AND {which}", [now, now, *parameters])
    data_queries.follow_deletion(current, by=by, now=now)


def delete_entries(
    form: type[Form], versions: Mapping[tuple[str, int], int], *, by: Caller, reason: str | None
) -> None:
    """Hide many entries of a repeating form, by record id and instance, all or none; each is at its version.

    Raises NotFound, NotAllowed, Locked, Stale, ReasonNeeded.
    """
    records = sorted({record_id for record_id, _instance in versions})
    sites = by.sites_with(Right.READ)
    known_patients(records, forms=[form], sites=sites, hold=True)
    where, parameters = "record_id = ANY(%s) AND site_id = ANY(%s)", [records, list(sites)]
    there = storage.select_entries(form, where=where, parameters=parameters)
    found = [entry for entry in there if (entry.record_id, entry.instance) in versions]
    if len(found) < len(versions):
        raise NotFound
    for entry in found:
        if not by.may(Right.ENTER, at=entry.site):
            raise NotAllowed
        if entry.locked:
            raise Locked
        if entry.version != versions[entry.record_id, entry.instance]:
            raise Stale(entry)
    if not reason:
        raise ReasonNeeded
    now = timezone.now()
    sql = (
        f"UPDATE {storage.table_of(form).quoted} hidden SET deleted_at = %s, updated_at = %s, version = version + 1"  # noqa: S608 -- identifiers of the declaration
        " FROM unnest(%s::text[], %s::int[]) AS asked (record_id, instance)"
        " WHERE hidden.record_id = asked.record_id AND hidden.instance = asked.instance"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [now, now, *map(list, zip(*versions, strict=True))])
    data_queries.follow_deletions(found, by=by, now=now)


def _select_one(form: type[Form], record_id: str, instance: int, *, sites: frozenset[str]) -> Entry:
    where = "record_id = %s AND instance = %s AND site_id = ANY(%s)"
    found = storage.select_entries(form, where=where, parameters=[record_id, instance, list(sites)], prepare=True)
    if not found:
        raise NotFound
    return found[0]


def _for_writing(form: type[Form], record_id: str, instance: int, *, by: Caller) -> tuple[Entry, Chart]:
    """Return an entry that the caller may change, and what it is judged by; its patient is held meanwhile."""
    readable = by.sites_with(Right.READ)
    known = known_patients([record_id], forms=[form], sites=readable, hold=True).get(record_id)
    if known is None:
        raise NotFound
    entry = _select_one(form, record_id, instance, sites=readable)
    if not by.may(Right.ENTER, at=entry.site):
        raise NotAllowed
    if entry.locked:
        raise Locked
    return entry, known.chart


def applied(submission: Submission, *, to: Entry) -> Entry:
    """Return the entry as it will be: a value that is set takes the place of the reason why there was none."""
    reasons = {name: why for name, why in to.missing.items() if submission.values.get(name) is None}
    reasons |= {name: why for name, why in submission.missing.items() if why is not None}
    for name in [name for name, why in submission.missing.items() if why is None]:
        reasons.pop(name, None)
    status = to.status if submission.status is None else submission.status
    return replace(to, status=status, missing=reasons, values=to.values | submission.values)


def clears(changed: Entry, names: Sequence[str]) -> bool:
    """Return whether a value is taken away without a missing-value reason in its place."""
    return any(changed.values[name] is None and name not in changed.missing for name in names)


def with_entry(entry: Entry, chart: Chart) -> Chart:
    """Return the chart with the entry in it as it will be."""
    name, row = entry.form.form_name(), entry.as_row()
    if name not in chart:
        return chart
    others = [other for other in chart[name] if other["instance"] != entry.instance]
    return {**chart, name: [*others, row]}


def _refuse_what_fails(entry: Entry, submission: Submission, *, chart: Chart, now: datetime) -> None:
    """Raise Refused with what could not be read and what the hard checks find, one problem a field."""
    findings = [Finding(*unread) for unread in submission.unread]
    findings += hard_findings(
        entry.form,
        entry.as_row(),
        status=entry.status,
        missing=entry.missing,
        chart=chart,
        today=timezone.localdate(now),
    )
    if findings:
        raise Refused([problem_at(entry, finding) for finding in first_per_field(findings)])


def _update(entry: Entry, names: Sequence[str]) -> None:
    try:
        storage.update_entry(entry, changed=names)
    except IntegrityError as error:
        raise Refused([problem_at(entry, finding_of(error))]) from error
