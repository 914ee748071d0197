"""How far sites and patients have come: counts of a site, and its patients by forms as a grid.

Questions to the database are made from the declarations of the forms; each answers with few rows, whatever the number
of patients, and is asked of the caller's sites only (row-level security holds beside). The index `<form>_of_site`
tells status and locks without reading the rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from crf import storage
from crf.forms import Form, Status, all_forms, patient_form
from crf.models.data_query import QueryState

PAGE: Final = 100
"""Patients shown at once."""
RECORD_ID: Final = "record_id"
QUERIES: Final = "queries"
"""What a grid is sorted by beside the forms: the record id, the number of open queries."""


class CellState(StrEnum):
    """What a cell of the grid can be asked for. Of several instances the one that is furthest behind counts."""

    NONE = "none"
    INCOMPLETE = "incomplete"
    UNVERIFIED = "unverified"
    COMPLETE = "complete"
    LOCKED = "locked"
    VERIFIED = "verified"
    SIGNED = "signed"
    QUERIES = "queries"


STATE_WORDS: Final[Mapping[CellState, Any]] = {
    CellState.NONE: _("none"),
    CellState.INCOMPLETE: _("incomplete"),
    CellState.UNVERIFIED: _("unverified"),
    CellState.COMPLETE: _("complete"),
    CellState.LOCKED: _("locked"),
    CellState.VERIFIED: _("verified"),
    CellState.SIGNED: _("signed"),
    CellState.QUERIES: _("open queries"),
}
OF_STATUS: Final[Mapping[Status, CellState]] = {
    Status.INCOMPLETE: CellState.INCOMPLETE,
    Status.UNVERIFIED: CellState.UNVERIFIED,
    Status.COMPLETE: CellState.COMPLETE,
}


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one site. `queries` are those that nobody has closed."""

    patients: int = 0
    entries: int = 0
    complete: int = 0
    incomplete: int = 0
    queries: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """One form of one patient: the number of instances, and of those locked, verified and signed.

    `state` is how far they have come, by the one furthest behind.
    """

    state: CellState
    number: int = 0
    locked: int = 0
    verified: int = 0
    signed: int = 0
    queries: int = 0


@dataclass(frozen=True, slots=True)
class GridRow:
    """One patient of the grid; cells by form name."""

    record_id: str
    cells: Mapping[str, Cell]

    @property
    def queries(self) -> int:
        """Queries of the patient that nobody has closed."""
        return sum(cell.queries for cell in self.cells.values())


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the grid of a site.

    `sort` is RECORD_ID, QUERIES or a form name; `state` with `form` keeps patients whose form is in that state, or
    without `form` those of whom one form is; `search` those in whose record id the text is; pages count from 1.
    """

    sort: str = RECORD_ID
    descending: bool = False
    state: CellState | None = None
    form: str | None = None
    search: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """One page of a grid; `matched` is the number of patients on all pages."""

    asked: Asked
    matched: int
    rows: Sequence[GridRow]

    @property
    def first(self) -> int:
        """The place of the first patient of the page, from 1; 0 when there is none."""
        return (self.asked.page - 1) * PAGE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The place of the last patient of the page."""
        return self.first + len(self.rows) - 1 if self.rows else 0


def totals_of_sites(sites: Iterable[str]) -> dict[str, Totals]:
    """Return the counts of each of `sites`, by code; asked in one question."""
    wanted = sorted(sites)
    forms = [_entries_of(form) for form in all_forms()]
    # What is not complete is counted from the small index that holds it, and the others as the rest.
    counts = (
        f"(SELECT count(*) {_entries_of(patient_form())})",
        " + ".join(f"(SELECT count(*) {entries})" for entries in forms),
        " + ".join(f"(SELECT count(*) {entries} AND status < {Status.COMPLETE})" for entries in forms),
        " + ".join(f"(SELECT count(*) {entries} AND status = {Status.INCOMPLETE})" for entries in forms),
        f"(SELECT count(*) FROM crf_dataquery WHERE site_id = code AND {_OPEN})",  # noqa: S608 -- constants
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT code, {', '.join(counts)} FROM unnest(%s::text[]) AS wanted (code)", [wanted])  # noqa: S608 -- see above
        return {
            site: Totals(patients, entries, entries - unfinished, incomplete, queries)
            for site, patients, entries, unfinished, incomplete, queries in cursor.fetchall()
        }


def _entries_of(form: type[Form]) -> str:
    return f"FROM {storage.table_of(form).quoted} WHERE site_id = code AND deleted_at IS NULL"


def grid_of_site(site: str, asked: Asked) -> Grid:
    """Return one page of the patients of a site by forms; asked in one question."""
    question = _Question(site, asked)
    with connection.cursor() as cursor:
        cursor.execute(question.sql(), question.parameters)
        rows: dict[str, dict[str, Cell]] = {}
        matched = 0
        for record_id, matched, form, number, lowest, locked, verified, signed, queries in cursor.fetchall():  # noqa: B007 -- each row says it
            state = CellState.NONE if lowest is None else OF_STATUS[Status(lowest)]
            rows.setdefault(record_id, {})[form] = Cell(state, number, locked, verified, signed, queries)
    order = [form.form_name() for form in all_forms()]
    return Grid(
        asked, matched, [GridRow(record_id, {name: cells[name] for name in order}) for record_id, cells in rows.items()]
    )


_OPEN: Final = f"state <> '{QueryState.CLOSED.value}'"
_MARKS: Final[Mapping[CellState, tuple[str, str, str]]] = {
    CellState.VERIFIED: ("crf_verification", "dropped_at IS NULL", "count(DISTINCT instance)"),
    CellState.SIGNED: ("crf_signature", "dropped_at IS NULL", "count(DISTINCT instance)"),
    CellState.QUERIES: ("crf_dataquery", _OPEN, "count(*)"),
}
"""Tables of what stands beside entries, which of their rows count, and what is counted."""
_COUNTED: Final = frozenset({CellState.LOCKED, CellState.VERIFIED, CellState.SIGNED})
"""States that a form of a patient has when all its entries have them: these are summed up over the site."""


@dataclass
class _Question:
    """The SQL of one page of a grid: first the patients of the page, then their cells alone.

    What is sorted by, and filtered by where it takes a count, is summed up over the site; what an index tells of a
    patient, or holds for few of them, is asked of it; all else is looked up for the patients of the page.
    """

    site: str
    asked: Asked
    parameters: list[Any] = field(default_factory=list)

    def sql(self) -> str:
        """Return the statement; `parameters` are then complete."""
        chosen = self._chosen()
        self.parameters += [self.site] * len(all_forms())
        marks = "".join(
            f", {name} AS (SELECT record_id, form, {counted}::int AS number FROM chosen JOIN {table} USING (record_id)"  # noqa: S608 -- constants
            f" WHERE {condition} GROUP BY record_id, form)"
            for name, (table, condition, counted) in _MARKS.items()
        )
        joined = "".join(f" LEFT JOIN {name} USING (record_id, form)" for name in _MARKS)
        counts = ", ".join(f"COALESCE({name}.number, 0)" for name in _MARKS)
        cells = " UNION ALL ".join(_cell(form) for form in all_forms())
        return (
            f"WITH chosen AS MATERIALIZED ({chosen}){marks}"  # noqa: S608 -- identifiers of the declarations
            f" SELECT record_id, chosen.matched, form, cells.number, cells.lowest, cells.locked, {counts}"
            f" FROM chosen CROSS JOIN LATERAL ({cells}) cells (form, number, lowest, locked){joined}"
            " ORDER BY chosen.place"
        )

    def _chosen(self) -> str:
        """Return the SQL of the patients of the page: record id, place in the order, and how many match in all."""
        filtered, sites = self._filter()
        joins = "".join(f" LEFT JOIN ({self._summary(name)}) of_{name} USING (record_id)" for name in self._summed_up())
        where, parameters = ["enrolled.site_id = %s", "enrolled.deleted_at IS NULL"], [self.site]
        if filtered:
            where.append(filtered)
            parameters += sites
        if self.asked.search:
            where.append("strpos(record_id, %s) > 0")
            parameters.append(self.asked.search.upper())
        self.parameters += [*parameters, PAGE, (self.asked.page - 1) * PAGE]
        return (
            f"SELECT record_id, count(*) OVER () AS matched, row_number() OVER ({self._order()}) AS place"  # noqa: S608 -- identifiers of the declarations
            f" FROM {storage.table_of(patient_form()).quoted} enrolled{joins} WHERE {' AND '.join(where)}"
            " ORDER BY place LIMIT %s OFFSET %s"
        )

    def _order(self) -> str:
        direction = "DESC" if self.asked.descending else "ASC"
        if self.asked.sort == RECORD_ID:
            return f"ORDER BY enrolled.number {direction}"
        if self.asked.sort == QUERIES:
            return f"ORDER BY COALESCE(of_every_query.number, 0) {direction}, enrolled.number"
        form = f"of_{self.asked.sort}"
        # No instance at all is furthest behind.
        return (
            f"ORDER BY COALESCE({form}.lowest, -1) {direction}, COALESCE({form}.number, 0) {direction}, enrolled.number"
        )

    def _filter(self) -> tuple[str, list[Any]]:
        """Return the SQL condition of the state that is asked for, "" for none, and its parameters."""
        if self.asked.state is None:
            return "", []
        conditions = [_is_in(self.asked.state, form) for form in self._filtered_forms()]
        condition = " OR ".join(conditions)
        return f"({condition})", [self.site] * condition.count("%s")

    def _filtered_forms(self) -> list[type[Form]]:
        return [form for form in all_forms() if self.asked.form in (None, form.form_name())]

    def _summed_up(self) -> list[str]:
        """Return the names of the summaries over the site that order and filter read."""
        forms = {form.form_name() for form in all_forms()}
        read = {"every_query"} if self.asked.sort == QUERIES else {self.asked.sort} & forms
        if self.asked.state in _COUNTED:
            filtered = {form.form_name() for form in self._filtered_forms()}
            read |= filtered
            if self.asked.state in _MARKS:
                read |= {f"{form}_marks" for form in filtered}
        return sorted(read)

    def _summary(self, name: str) -> str:
        """Return the SQL of a summary by patient, over the site."""
        self.parameters.append(self.site)
        if name == "every_query":
            return f"SELECT record_id, count(*) AS number FROM crf_dataquery WHERE site_id = %s AND {_OPEN} GROUP BY 1"  # noqa: S608 -- constants
        state = self.asked.state
        if name.endswith("_marks") and state is not None:
            table, condition, counted = _MARKS[state]
            self.parameters.append(name.removesuffix("_marks"))
            return (
                f"SELECT record_id, {counted} AS number FROM {table}"  # noqa: S608 -- constants
                f" WHERE site_id = %s AND form = %s AND {condition} GROUP BY 1"
            )
        (form,) = [form for form in all_forms() if form.form_name() == name]
        return (
            "SELECT record_id, count(*) AS number, min(status) AS lowest,"  # noqa: S608 -- identifiers of the declaration
            f" count(*) FILTER (WHERE locked) AS locked FROM {storage.table_of(form).quoted}"
            " WHERE site_id = %s AND deleted_at IS NULL GROUP BY 1"
        )


def _cell(form: type[Form]) -> str:
    """Return the SQL of the cell of one form for the patient of `chosen`."""
    return (
        f"SELECT '{form.form_name()}', count(*)::int, min(status), (count(*) FILTER (WHERE locked))::int"  # noqa: S608 -- identifiers of the declaration
        f" FROM {storage.table_of(form).quoted} entry WHERE site_id = %s AND entry.record_id = chosen.record_id"
        " AND deleted_at IS NULL"
    )


def _is_in(state: CellState, form: type[Form]) -> str:
    """Return the SQL condition that a form of a patient is in a state; the summaries it reads are joined.

    Each of its parameters is the site.
    """
    name = f"of_{form.form_name()}"
    if state in _COUNTED:
        counted = f"{name}.locked" if state == CellState.LOCKED else f"{name}_marks.number"
        return f"({name}.number > 0 AND {counted} = {name}.number)"
    if state == CellState.QUERIES:
        return (
            "EXISTS (SELECT FROM crf_dataquery asked WHERE site_id = %s"
            f" AND asked.record_id = enrolled.record_id AND form = '{form.form_name()}' AND {_OPEN})"
        )
    some = (
        f"EXISTS (SELECT FROM {storage.table_of(form).quoted} entry WHERE site_id = %s"
        " AND entry.record_id = enrolled.record_id AND deleted_at IS NULL{})"
    )
    match state:
        case CellState.NONE:
            return f"NOT {some.format('')}"
        case CellState.COMPLETE:
            return f"({some.format('')} AND NOT {some.format(f' AND status < {Status.COMPLETE}')})"
    return some.format(f" AND status = {Status.INCOMPLETE if state == CellState.INCOMPLETE else Status.UNVERIFIED}")
