"""The pooled workbook: a sheet for each form of a data cut, codebook, endpoints, outcomes and manifest.

All of it is of one snapshot; the writer takes the rows as the cursors deliver them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from crf.filters import FilterError
from crf.forms import forms_by_name
from exports.codebook import codebook
from exports.cuts import Cut, CutNotAllowed, authorise_cut
from exports.datasets import columns_of, counted_rows, rows_of, snapshot
from exports.filtering import read_filter
from exports.jobs import JobFailed, Work, runs
from exports.manifest import SOFTWARE, Origin, manifest
from exports.models import Kind
from exports.outcome_sheets import (
    OUTCOMES,
    StoredFigures,
    counted_outcomes,
    figures,
    outcome_columns,
    outcome_rows,
    stored_figures,
)
from exports.writers.workbook import Properties, Row, Sheet, Written
from exports.writers.xlsx import write_workbook
from registry.rights import Caller, Right

ROWS_BETWEEN_REPORTS = 500
WRITTEN_PERCENT = 95
"""Progress when all rows are written; what is left is to close the file and check it."""


@runs(Kind.EXPORT)
def build_dataset(work: Work) -> None:
    """Write the workbook of the cut that the job asks for.

    Rights are asked for before the first row is read and again when the file is written out.
    """
    cut = Cut.from_parameters(work.job.parameters)
    by = _authorised(work, cut)
    name = _write(work, cut, by=by)
    _authorised(work, cut)
    with work.draft.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    work.deliver(name=name, sha256=sha256, size=work.draft.stat().st_size)


def _authorised(work: Work, cut: Cut) -> Caller:
    by = work.caller()
    try:
        authorise_cut(by, cut)
        if cut.filter is not None:
            read_filter(cut.filter, privacy=cut.privacy)  # the forms may have changed since it was asked for
    except CutNotAllowed as refusal:
        raise JobFailed(str(refusal), code="not_allowed") from refusal
    except FilterError as refusal:
        raise JobFailed(str(refusal), code="not_in_a_cut") from refusal
    return by


def _write(work: Work, cut: Cut, *, by: Caller) -> str:
    """Write the draft of the job; return the name under which the person gets it."""
    with snapshot(by) as taken_at:
        book = PooledWorkbook(cut, work, by=by)
        stored = stored_figures()
        origin = Origin(
            taken_at=taken_at,
            asked_by=by.username,
            endpoints_as_of=stored.as_of if stored else None,
            endpoints_stale=stored is not None and stored.stale,
        )
        properties = Properties(title=f"Data cut, {cut.privacy}", creator=SOFTWARE, made_at=taken_at)
        work.draft.touch(mode=0o600)
        write_workbook(
            work.draft,
            book.sheets(stored),
            properties=properties,
            closing=lambda written: [manifest(cut, origin, book.checked(written), counted=book.counted)],
        )
    return f"cut-{taken_at:%Y%m%dT%H%M%SZ}-{cut.privacy}.xlsx"


class PooledWorkbook:
    """The sheets of one cut; made inside the snapshot, where the rows are counted first."""

    def __init__(self, cut: Cut, work: Work, *, by: Caller) -> None:
        self.cut = cut
        self.counted = counted_rows(cut) | {OUTCOMES: counted_outcomes(cut)}
        self._by = by
        self._work = work
        self._written = dict.fromkeys(self.counted, 0)

    def sheets(self, stored: StoredFigures | None) -> Iterator[Sheet]:
        """Yield the sheets but the manifest; `stored` are the endpoints of the cohort, None when there are none yet."""
        cut = self.cut
        for name in cut.forms:
            form = forms_by_name()[name]
            rows = self._watched(name, rows_of(form, cut=cut))
            yield Sheet(name, columns_of(form, cut=cut), rows, frozen_columns=3 if form.repeating else 2)
        yield codebook(cut)
        yield figures(self._cohorts(stored))
        yield Sheet(OUTCOMES, outcome_columns(), self._watched(OUTCOMES, outcome_rows(cut)), frozen_columns=2)

    def checked(self, written: Written) -> Written:
        """Return what was written; raise JobFailed unless every row that was counted is there, and no other."""
        rows = {sheet.name: sheet.rows for sheet in written.sheets if sheet.name in self.counted}
        if rows != self.counted:
            message = _("The rows written are not those counted, so the file was thrown away. Ask again.")
            raise JobFailed(message, code="rows_differ")
        self._report()
        return written

    def _cohorts(self, stored: StoredFigures | None) -> dict[str, Mapping[str, Any]]:
        """Return the summaries that the sheet shows: the whole cohort, which names nobody, and the sites of the cut."""
        if stored is None:
            return {}
        overall = {"overall": stored.overall} if self._by.may_anywhere(Right.SEE_POOLED_ENDPOINTS) else {}
        return overall | {site: of for site, of in stored.by_site.items() if site in self.cut.sites}

    def _watched(self, name: str, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows and report how far the workbook is; stops with Abandoned when the job is no longer ours."""
        for row in rows:
            yield row
            self._written[name] += 1
            if self._written[name] % ROWS_BETWEEN_REPORTS == 0:
                self._report()

    def _report(self) -> None:
        total = sum(self.counted.values()) or 1
        progress = WRITTEN_PERCENT * sum(self._written.values()) // total
        rows = {name: {"counted": count, "written": self._written[name]} for name, count in self.counted.items()}
        self._work.report(min(progress, WRITTEN_PERCENT), rows=rows)
