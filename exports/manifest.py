"""The manifest: what a workbook holds, of which moment, for whom, what was left out of it and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crf.forms import forms_by_name
from exports.cuts import Cut, Privacy
from exports.pseudonyms import OLDEST_AGE
from exports.withheld import withheld_variables
from exports.writers.workbook import Column, Kind, Row, Sheet, Written
from registry import __version__

SOFTWARE = f"eCRF {__version__}"

COLUMNS = (
    Column("part", width=12),
    Column("item", width=32),
    Column("value", width=80),
    Column("counted", Kind.INTEGER, width=10),
    Column("written", Kind.INTEGER, width=10),
)
LEVELS: Mapping[Privacy, str] = {
    Privacy.FULL: "everything the person may see",
    Privacy.LIMITED: "no identifiers, no free text",
    Privacy.DEIDENTIFIED: "no identifiers, no free text; record ids replaced by a keyed hash; all dates of a patient "
    "moved by the same secret number of days (1-365); partial dates cut to the year after that; "
    f"ages above {OLDEST_AGE - 1} shown as {OLDEST_AGE}; patients of a site in an order of no meaning",
}
KEPT = (
    "patients with a row for which the filter holds; of forms that the filter names, only rows for which it holds; the "
    "sheet endpoints is about all patients of the sites"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a workbook comes from: the moment of the snapshot, who asked, and the state of the endpoints in it."""

    taken_at: datetime
    asked_by: str
    endpoints_as_of: datetime | None
    endpoints_stale: bool


def manifest(cut: Cut, origin: Origin, written: Written, *, counted: Mapping[str, int]) -> Sheet:
    """Return the last sheet of a workbook; `counted` has the rows in the snapshot of each sheet that was counted."""
    return Sheet("manifest", COLUMNS, list(_rows(cut, origin, written, counted)))


def _rows(cut: Cut, origin: Origin, written: Written, counted: Mapping[str, int]) -> Iterator[Row]:
    yield from _of_the_cut(cut, origin)
    for sheet in written.sheets:
        yield _row("rows", sheet.name, ", ".join(sheet.titles), counted.get(sheet.name), sheet.rows)
    for name in cut.forms:
        for withheld in withheld_variables(forms_by_name()[name], privacy=cut.privacy):
            yield _row("withheld", f"{withheld.form}.{withheld.variable}", withheld.reason)
    for number, note in enumerate(_notes(written.notes), start=1):
        yield _row("note", str(number), note)


def _of_the_cut(cut: Cut, origin: Origin) -> Iterator[Row]:
    # To the millisecond, as Excel keeps times; the writer's own note on that would come after this sheet.
    yield _row("cut", "data as of", _to_the_millisecond(origin.taken_at))
    yield _row("cut", "asked for by", origin.asked_by)
    yield _row("cut", "sites", ", ".join(cut.sites))
    yield _row("cut", "forms", ", ".join(cut.forms))
    yield _row("cut", "deleted entries", "left out")
    yield _row("cut", "filter", cut.filter or "none")
    if cut.filter:
        yield _row("cut", "left in by the filter", KEPT)
    yield _row("cut", "privacy level", f"{cut.privacy}: {LEVELS[cut.privacy]}")
    yield _row("cut", "labels beside codes", "yes" if cut.labels else "no")
    as_of = origin.endpoints_as_of
    yield _row("cut", "endpoints as of", _to_the_millisecond(as_of) if as_of else "not computed yet")
    if origin.endpoints_stale:
        yield _row("cut", "endpoints", "older than the data: a patient changed since, and they were being computed")
    yield _row("software", "version", SOFTWARE)


def _to_the_millisecond(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _notes(notes: Sequence[str]) -> Sequence[str]:
    return notes or ("Everything is stored exactly as it was given.",)


def _row(part: str, item: str, value: Any, *rows: int | None) -> Row:
    counted, written = rows or (None, None)
    return [part, item, value, counted, written]
