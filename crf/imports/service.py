"""Imports from the file to the forms: preview, choices at conflicts, applying, throwing away.

The preview is made by the entry service itself: everything is saved and taken back, so that it says what applying will
do, constraints of the database included. Applying does the same once more, on what is saved by then, and keeps it only
if every verdict is still the one that the person saw.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection, transaction

from crf.batch import Result
from crf.disclosures import note_reading
from crf.forms import Form, forms_by_name
from crf.imports.history import versions_since
from crf.imports.merging import Cell, Target, digest_of
from crf.imports.refusals import AlreadyApplied, CannotApply, NotInThisState, PreviewChanged
from crf.imports.rows import MAX_NAME, FileContent
from crf.imports.undoing import what_was_done
from crf.imports.words import MISSING
from crf.models.import_file import Import, ImportRow, ImportState, Verdict
from crf.refusals import NotAllowed, NotFound, ReasonNeeded
from crf.upsert import NothingSaved, upsert_entries
from registry.acting import importing
from registry.rights import Caller, Right

REHEARSAL: Final = "preview"
"""The reason of what is taken back at once."""
AT_ONCE: Final = 5_000
STANDS_AGAINST: Final = (Verdict.REFUSED, Verdict.CONFLICT)


class _TakenBack(Exception):
    """Everything that was saved is taken back; `results` says what became of it."""

    def __init__(self, results: Sequence[Result]) -> None:
        super().__init__("taken back")
        self.results = results


def bring(name: str, content: bytes, found: FileContent, *, site: str, by: Caller, now: datetime) -> Import:
    """Save what stands in a file, with its preview, and return the import. Nothing is saved in the forms.

    Raises NotFound for a site that the caller does not see, NotAllowed for one where they enter no data, and
    AlreadyApplied for a file that was applied there.
    """
    if not by.may(Right.READ, at=site):
        raise NotFound
    if not by.may(Right.ENTER, at=site) or by.person_id is None:
        raise NotAllowed
    digest = hashlib.sha256(content).hexdigest()
    if Import.objects.filter(site_id=site, digest=digest, state=ImportState.APPLIED).exists():
        raise AlreadyApplied
    brought = Import.objects.create(
        site_id=site,
        file_name=_printable(name)[-MAX_NAME:],
        digest=digest,
        ignored=found.ignored,
        brought_by_id=by.person_id,
        brought_at=now,
    )
    rows = [
        ImportRow(
            of=brought,
            site_id=site,
            number=number,
            line=row.line,
            form=row.form.form_name(),
            record_id=row.record_id,
            instance=row.instance,
            version=row.version,
            cells=row.cells,
            unread=row.unread,
        )
        for number, row in enumerate(found.rows, start=1)
    ]
    _judge(brought, rows, by=by, now=now)
    ImportRow.objects.bulk_create(rows, batch_size=AT_ONCE)
    brought.save()
    return brought


def find(import_id: int, *, by: Caller, hold: bool = False) -> Import:
    """Return an import; `hold` keeps others from changing it.

    Raises NotFound at a site that the caller does not see, NotAllowed at one where they enter no data.
    """
    imports = Import.objects.filter(site_id__in=by.sites_with(Right.READ))
    people = imports.select_related("brought_by", "applied_by", "undone_by")
    found = (imports.select_for_update() if hold else people).filter(pk=import_id).first()
    if found is None:
        raise NotFound
    if not by.may(Right.ENTER, at=found.site_id):
        raise NotAllowed
    return found


def choose(import_id: int, choices: Mapping[tuple[int, str], str], *, by: Caller, now: datetime) -> Import:
    """Settle conflicts, by row and field: "file" or "saved" stays; return the import with its new preview.

    Raises NotFound, also for what is not in conflict, and NotInThisState.
    """
    brought = _previewed(import_id, by=by)
    rows = list(brought.rows.order_by("number"))
    by_number = {row.number: row for row in rows}
    for (number, name), take in choices.items():
        row = by_number.get(number)
        cell = (
            next((cell for cell in row.findings if cell["field"] == name and "who_version" in cell), None)
            if row
            else None
        )
        if row is None or cell is None:
            raise NotFound
        row.choices[name] = {"take": take, "version": cell["who_version"]}
    _judge(brought, rows, by=by, now=now)
    _keep(rows)
    brought.save()
    return brought


def apply(import_id: int, *, preview: str, by: Caller, reason: str | None, now: datetime) -> bool:
    """Apply an import, all or nothing; return whether that was done.

    False: what is saved has changed since the preview, and the new preview is kept instead. Applied once, it is not
    applied again, and the answer is the same.
    Raises NotFound, NotInThisState, PreviewChanged when `preview` is not the one that is kept, ReasonNeeded,
    AlreadyApplied, CannotApply.
    """
    brought = find(import_id, by=by, hold=True)
    if brought.state == ImportState.APPLIED:
        return True
    if brought.state != ImportState.PREVIEWED:
        raise NotInThisState
    if preview != brought.preview:
        raise PreviewChanged
    if not reason:
        raise ReasonNeeded
    if Import.objects.filter(site_id=brought.site_id, digest=brought.digest, state=ImportState.APPLIED).exists():
        raise AlreadyApplied
    rows = list(brought.rows.order_by("number"))
    if any(brought.counts.get(verdict) for verdict in STANDS_AGAINST) or not is_something(brought):
        if _is_as_it_was(brought, rows, by=by, now=now):
            raise CannotApply
        return False
    with importing(by, reason=reason, import_id=brought.pk):
        if not _applied(brought, rows, by=by, reason=reason, now=now):
            return False
        brought.state, brought.apply_reason = ImportState.APPLIED, reason
        brought.applied_at, brought.applied_by_id = now, by.person_id
        brought.save()
    return True


def discard(import_id: int, *, by: Caller) -> None:
    """Throw a preview away, with the copy of the file. Raises NotFound and NotInThisState."""
    brought = _previewed(import_id, by=by)
    brought.rows.all().delete()
    brought.state = ImportState.DISCARDED
    brought.save()


def is_something(brought: Import) -> bool:
    """Return whether there is anything to apply."""
    return bool(brought.counts.get(Verdict.NEW) or brought.counts.get(Verdict.CHANGED))


@dataclass
class _Shown:
    """Whose values a row of a preview shows."""

    record_id: str
    site: str


def note_preview(rows: Iterable[ImportRow]) -> None:
    """Note that the acting person was shown what is saved of the patients of these rows."""
    by_form: dict[str, list[_Shown]] = {}
    for row in rows:
        if row.record_id:
            by_form.setdefault(row.form, []).append(_Shown(row.record_id, row.site_id))
    for name, shown in by_form.items():
        note_reading(forms_by_name()[name], shown)


def at_site(by: Caller, site: str) -> Caller:
    """Return the caller with the rights at one site only: what is of another does not exist for its files."""
    return replace(by, rights={right: sites & {site} for right, sites in by.rights.items()}, only_site=site)


def _previewed(import_id: int, *, by: Caller) -> Import:
    brought = find(import_id, by=by, hold=True)
    if brought.state != ImportState.PREVIEWED:
        raise NotInThisState
    return brought


def _is_as_it_was(brought: Import, rows: Sequence[ImportRow], *, by: Caller, now: datetime) -> bool:
    """Make the preview anew; return whether it is still the same, else keep the new one."""
    before = brought.preview
    _judge(brought, rows, by=by, now=now)
    if brought.preview == before:
        return True
    _keep(rows)
    brought.save()
    return False


def _applied(brought: Import, rows: Sequence[ImportRow], *, by: Caller, reason: str, now: datetime) -> bool:
    """Save the rows in the forms if they still come to what the preview says, else keep the new preview."""
    seen = brought.preview
    targets = _targets(brought, rows)
    try:
        with transaction.atomic():
            results = upsert_entries(targets, by=at_site(by, brought.site_id), reason=reason, now=now)
            _say(brought, targets, results)
            if brought.preview != seen:
                raise _TakenBack(results)
    except NothingSaved as refused:
        _say(brought, targets, refused.results)
        done = False
    except _TakenBack:
        done = False
    else:
        done = True
        for target, result in zip(targets, results, strict=True):
            target.row.done = what_was_done(target.current, result.entry)
    _keep(rows)
    if not done:
        brought.save()
    return done


def _judge(brought: Import, rows: Sequence[ImportRow], *, by: Caller, now: datetime) -> None:
    """Have the entry service save all rows and take them back; put what it said of each cell on the rows."""
    targets = _targets(brought, rows)
    try:
        with transaction.atomic():
            raise _TakenBack(upsert_entries(targets, by=at_site(by, brought.site_id), reason=REHEARSAL, now=now))
    except (_TakenBack, NothingSaved) as done:
        _say(brought, targets, done.results)


def _targets(brought: Import, rows: Sequence[ImportRow]) -> list[Target]:
    """Return the rows as drafts, with what was saved in their entries since the template was made."""
    targets = [Target(row=row, form=forms_by_name()[row.form]) for row in rows]
    _mark_repeated(targets)
    for form in dict.fromkeys(target.form for target in targets):
        of_form = [target for target in targets if target.form is form and target.row.version is not None]
        asked = {
            (target.record_id, target.row.instance): target.row.version
            for target in of_form
            if target.row.instance is not None and target.row.version is not None
        }
        since = versions_since(form, asked)
        for target in of_form:
            target.versions = since.get((target.record_id, target.row.instance or 0), ())
    return targets


def _mark_repeated(targets: Sequence[Target]) -> None:
    first: dict[tuple[type[Form], str, int], Target] = {}
    for target in targets:
        if not target.record_id or target.row.instance is None:
            continue
        place = (target.form, target.record_id, target.row.instance)
        if first.setdefault(place, target) is not target:
            target.stands_in = first[place].row.line


def _say(brought: Import, targets: Sequence[Target], results: Sequence[Result]) -> None:
    """Put verdicts and findings on the rows, and what they come to on the import."""
    for target, result in zip(targets, results, strict=True):
        cells = _with_problems(target, result)
        verdicts = {cell.verdict for cell in cells}
        row = target.row
        row.verdict = next(
            (verdict for verdict in (Verdict.REFUSED, Verdict.CONFLICT) if verdict in verdicts),
            Verdict.NEW
            if target.current is None
            else Verdict.CHANGED
            if Verdict.CHANGED in verdicts
            else Verdict.UNCHANGED,
        )
        row.findings = [_told(cell, target) for cell in cells]
    counts = Counter(str(target.row.verdict) for target in targets)
    cells_changed = sum(
        cell["verdict"] in (Verdict.NEW, Verdict.CHANGED) for target in targets for cell in target.row.findings
    )
    brought.counts = {**counts, "rows": len(targets), "cells": cells_changed}
    brought.preview = digest_of([(target.row, target.row.findings) for target in targets])


def _with_problems(target: Target, result: Result) -> list[Cell]:
    """Return the cells with what the entry service refused of them."""
    cells = {cell.field: cell for cell in target.cells}
    for problem in result.problems:
        if problem.code == "conflict" and problem.field in cells:
            cells[problem.field].code, cells[problem.field].message = problem.code, problem.message
            continue
        cell = cells.setdefault(problem.field, _raw(target, problem.field))
        cell.verdict, cell.code, cell.message = Verdict.REFUSED.value, problem.code, problem.message
    order = {name: place for place, name in enumerate(target.form.variables())}
    return sorted(cells.values(), key=lambda cell: order.get(cell.field or "", len(order)))


def _raw(target: Target, name: str | None) -> Cell:
    """Return a cell as it stands in the file, for one that is no value."""
    cell = Cell(field=name, verdict=Verdict.REFUSED.value)
    if name is None:
        return cell
    texts, saved, variable = target.row.cells, target.current, target.form.variables().get(name)
    cell.file, cell.file_missing = texts.get(name), texts.get(f"{name}{MISSING}")
    if saved is not None and variable is not None:
        value = saved.values[name]
        cell.saved = None if value is None else variable.to_text(value)
        cell.saved_missing = saved.missing.get(name)
    return cell


def _told(cell: Cell, target: Target) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(cell)
    told["field"], told["verdict"] = cell.field, cell.verdict
    if target.current is not None and (cell.code == "conflict" or cell.take):
        told["who_version"] = target.current.version
    return told


def _keep(rows: Sequence[ImportRow]) -> None:
    """Save what was found of the rows, in a few statements however many there are."""
    sql = (
        "UPDATE crf_importrow kept SET verdict = said.verdict, findings = said.findings, choices = said.choices,"
        " done = said.done FROM jsonb_to_recordset(%s::jsonb)"
        " AS said (id bigint, verdict text, findings jsonb, choices jsonb, done jsonb) WHERE kept.id = said.id"
    )
    for start in range(0, len(rows), AT_ONCE):
        said = [
            {"id": r.pk, "verdict": str(r.verdict), "findings": r.findings, "choices": r.choices, "done": r.done}
            for r in rows[start : start + AT_ONCE]
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, [msgspec.json.encode(said).decode()])


def _printable(name: str) -> str:
    """Return the name of a file without its folder and without what cannot be printed."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in base if sign.isprintable()) or "file"
