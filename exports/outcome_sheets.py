"""The endpoints as sheets: the figures of each cohort with their definitions, and the outcomes of each patient."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from exports.cuts import Cut, Privacy
from exports.datasets import record_order, stream
from exports.endpoints.definitions import FIGURES
from exports.endpoints.outcome import OUTCOME_NAMES, Evidence, Outcome, evidence_of_json
from exports.endpoints.published import interval_of
from exports.endpoints.store import is_stale
from exports.filtering import patients_kept
from exports.models import CohortOutcome
from exports.pseudonyms import Pseudonyms, pseudonyms, shown_age
from exports.writers.workbook import Column, Kind, Row, Sheet

FIGURE_COLUMNS = (
    Column("cohort", width=10),
    Column("figure", width=40),
    Column("n", Kind.INTEGER, width=8),
    Column("of", Kind.INTEGER, width=8),
    Column("percent", Kind.DECIMAL, width=10),
    Column("median", Kind.DECIMAL, width=10),
    Column("min", Kind.DECIMAL, width=10),
    Column("max", Kind.DECIMAL, width=10),
    Column("low", Kind.DECIMAL, width=10),
    Column("high", Kind.DECIMAL, width=10),
    Column("definition", width=90),
)
OUTCOMES = "outcomes"
"""The name of the sheet with the outcome of each patient."""
INTERVAL_NOTE = "; low and high: exact (Clopper-Pearson) 95 % interval, in %"
SURVIVAL_NOTE = "; n: events of that many patients; low and high: 95 % interval of the median (log-log)"

DATES = ("index_date", "last_contact", "treatment_end", "bor_date", "relapse_date")
"""Outcomes that are days; like other texts, but as ISO 8601."""
KINDS: Mapping[Any, Kind] = {
    bool: Kind.INTEGER,
    bool | None: Kind.INTEGER,
    int | None: Kind.INTEGER,
    float | None: Kind.DECIMAL,
}
"""Kinds of columns by type of the outcome; yes and no are 1 and 0, as in the forms. All others hold codes."""


@dataclass(frozen=True, slots=True)
class StoredFigures:
    """The summary as it was last computed: the changes saved up to `as_of` are in it; stale when there are others."""

    overall: Mapping[str, Any]
    by_site: Mapping[str, Mapping[str, Any]]
    as_of: datetime
    stale: bool


def stored_figures() -> StoredFigures | None:
    """Return the stored summary of the cohort, None before the first computation."""
    stored = CohortOutcome.objects.first()
    if stored is None or stored.summary is None or stored.data_as_of is None:
        return None
    summary = stored.summary
    return StoredFigures(summary["overall"], summary["by_site"], stored.data_as_of, is_stale())


def figures(cohorts: Mapping[str, Mapping[str, Any]]) -> Sheet:
    """Return the sheet of the figures of each cohort: its name, and its summary as docs/endpoints.md gives it."""
    rows = (row for cohort, summary in cohorts.items() for row in _figures_of(cohort, summary))
    return Sheet("endpoints", FIGURE_COLUMNS, rows, frozen_columns=2)


def _figures_of(cohort: str, summary: Mapping[str, Any]) -> Iterator[Row]:
    for name, figure in summary.items():
        if name in ("intervals", "kaplan_meier"):
            continue
        if name == "changed_without_relapse_for":
            for reason, n in figure.items():
                yield _figure(cohort, f"{name}.{reason}", n=n)
        elif isinstance(figure, Mapping):
            yield _figure(cohort, name, **figure)
        else:
            interval = interval_of(name, summary=summary)
            note = INTERVAL_NOTE if interval else ""
            yield _figure(cohort, name, note=note, **(interval or {"n": figure}))
    for name, curve in summary["kaplan_meier"].items():
        told = {"n": curve["events"], "of": curve["n"]} | {key: curve[key] for key in ("median", "low", "high")}
        yield _figure(cohort, f"kaplan_meier.{name}", note=SURVIVAL_NOTE, **told)


def _figure(cohort: str, name: str, *, note: str = "", **told: Any) -> Row:
    known = {"cohort": cohort, "figure": name, "definition": FIGURES.get(name, "") + note, **told}
    return [known.get(column.name) for column in FIGURE_COLUMNS]


def outcome_columns() -> list[Column]:
    """Return the columns of the sheet of outcomes: site, record id, each outcome, and the rows that decided it."""
    named = [Column(name, _kind(name), width=max(12, len(name) + 4)) for name in OUTCOME_NAMES]
    return [Column("site", Kind.CODE, width=8), Column("record_id", Kind.CODE, width=18), *named, _EVIDENCE]


_EVIDENCE = Column("evidence", width=60)


def _kind(name: str) -> Kind:
    return Kind.DATE if name in DATES else KINDS.get(Outcome.__annotations__[name], Kind.CODE)


def counted_outcomes(cut: Cut) -> int:
    """Return of how many patients of the cut the outcomes are stored."""
    kept, parameters = patients_kept(cut)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM exports_patientoutcome WHERE {kept}", parameters)  # noqa: S608 -- constants and identifiers
        count: int = cursor.fetchone()[0]
    return count


def outcome_rows(cut: Cut) -> Iterator[Row]:
    """Yield the stored outcomes of the patients of a cut, disguised where the level of privacy asks for it."""
    order, salt = record_order(cut.privacy)
    columns = "site_id, record_id, outcome, evidence"
    kept, parameters = patients_kept(cut)
    sql = f"SELECT {columns} FROM exports_patientoutcome WHERE {kept} ORDER BY site_id, {order}"  # noqa: S608 -- constants and identifiers
    secret = pseudonyms() if cut.privacy is Privacy.DEIDENTIFIED else None
    for site, record_id, outcome, evidence in stream(sql, [*parameters, *salt]):
        values = _cells(json.loads(outcome))
        if secret:
            _disguise(values, record_id=record_id, secret=secret)
        shown = secret.of(record_id) if secret else record_id
        yield [site, shown, *values.values(), _evidence(evidence_of_json(evidence))]


def _cells(outcome: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: outcome.get(name) for name in OUTCOME_NAMES}
    for name in DATES:
        day: str | None = values[name]
        values[name] = day and date.fromisoformat(day)
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


def _disguise(values: dict[str, Any], *, record_id: str, secret: Pseudonyms) -> None:
    for name in DATES:
        values[name] = values[name] and secret.shifted(values[name], record_id=record_id)
    age = values["age_at_start"]
    values["age_at_start"] = None if age is None else shown_age(age)


def _evidence(evidence: Evidence) -> str:
    """Return the rows behind each outcome as text: "bor: dosing 1, lesion_assessment 3"."""
    told = [(name, ", ".join(f"{row.form} {row.instance}" for row in rows)) for name, rows in evidence.items()]
    return "; ".join(f"{name}: {rows}" for name, rows in told if rows)
