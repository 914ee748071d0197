"""The stored endpoints: computed from the charts, kept in step with them, and summarised.

What keeps them right, whoever computes and whenever somebody is killed:

- Every change to a form puts its patient on the list of changed charts (crf_chartchange), in the same transaction.
  Whoever computes takes rows off the list first and reads the charts in a later statement, so that a change which is
  not read stays on the list. Taking, computing and storing are one transaction: killed, it never happened.
- One transaction at a time computes or summarises (`_alone`), so that nothing older is stored over something newer.
- The transaction that changes an outcome marks the summary as outdated, and the one that summarises clears the mark.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg
from django.db import connection

from exports.endpoints.cohort import summarise_cohort
from exports.endpoints.outcome import Member, Outcome, json_of_evidence
from exports.endpoints.reading import EVERYBODY, THESE, chart_of_json, charts_query
from exports.endpoints.rules import course_of, evidence_of, member_of
from exports.endpoints.version import RULES
from registry.acting import Door, acting_as_the_system

PATIENTS_AT_ONCE = 500

# The key of each form gives a patient's few rows in order; by way of a bitmap they would have to be sorted again.
ALONE = """
    SELECT pg_advisory_xact_lock(hashtext('exports_patientoutcome')), set_config('enable_bitmapscan', 'off', true)
"""
WITH_DIGEST = "SELECT chart, digest FROM ({charts}) charts LEFT JOIN exports_patientoutcome stored USING (record_id)"
STORE = """
    INSERT INTO exports_patientoutcome
        (record_id, site_id, outcome, evidence, sex, discoid, months_to_last_evaluable, digest, computed_at)
    SELECT *, now() FROM unnest(
        %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::boolean[], %b::float8[], %b::bytea[])
    ON CONFLICT (record_id) DO UPDATE SET
        site_id = excluded.site_id, outcome = excluded.outcome, evidence = excluded.evidence, sex = excluded.sex,
        discoid = excluded.discoid, months_to_last_evaluable = excluded.months_to_last_evaluable,
        digest = excluded.digest, computed_at = excluded.computed_at
"""
FORGET = """
    DELETE FROM exports_patientoutcome stored WHERE {which} AND NOT EXISTS (
        SELECT FROM crf_patient patient WHERE patient.record_id = stored.record_id AND patient.deleted_at IS NULL)
    RETURNING record_id
"""
OUTDATE = """
    INSERT INTO exports_cohortoutcome (id, outdated) VALUES (1, true)
    ON CONFLICT (id) DO UPDATE SET outdated = true WHERE NOT exports_cohortoutcome.outdated
"""
# What is on the list is not in the figures yet; everything that was saved before the first of it is.
DATA_AS_OF = "SELECT clock_timestamp(), LEAST(clock_timestamp(), min(changed_at)) FROM crf_chartchange"

encode = msgspec.json.Encoder().encode
outcome_of_json: Callable[[str], Outcome] = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What a computation of all endpoints found: patients, and the record ids of those that were stored anew.

    `missed` differed although no change of their chart was on the list: by a new version of the rules, or an error.
    """

    patients: int
    changed: list[str]
    missed: list[str]


def recompute_all(*, report: Callable[[int], None] = lambda percent: None) -> Recomputed:
    """Compute the endpoints of every patient, and the summary; `report` is told the progress in %."""
    recomputed = recompute_outcomes(report=report)
    summarise()
    return recomputed


def recompute_outcomes(*, report: Callable[[int], None] = lambda percent: None) -> Recomputed:
    """Compute the outcomes of every patient from the charts of one moment, and store those that differ."""
    with _alone():
        listed = set(_take(EVERYBODY))
        computing = _Computing()
        total = _count_patients()
        with closing(_in_pieces(WITH_DIGEST.format(charts=charts_query(which=EVERYBODY)))) as pieces:
            for some in pieces:
                # What came of the piece before: stored by the server while Python computes this one. Sent after
                # computing, it would have to be waited for together with the next piece, with nothing else to do.
                computing.store()
                computing.compute(some)
                report(min(99, 100 * computing.patients // max(total, 1)))
        computing.store()
        computing.forget(which=EVERYBODY)
        missed = [record_id for record_id in computing.changed if record_id not in listed]
        # A change made since is in the charts that were read, and its row on the list has come with it.
        listed |= _listed()
        computing.outdate_summary()
    return Recomputed(computing.patients, computing.changed, [one for one in missed if one not in listed])


def recompute_changed(*, at_most: int = PATIENTS_AT_ONCE) -> int:
    """Compute the endpoints of patients on the list of changed charts; return how many were taken off it."""
    with _alone():
        first = "record_id IN (SELECT record_id FROM crf_chartchange ORDER BY id LIMIT %(at_most)s)"
        record_ids = sorted(set(_take(first, at_most=at_most)))
        if record_ids:
            computing = _Computing()
            query = WITH_DIGEST.format(charts=charts_query(which=THESE))
            computing.compute(_execute(query, record_ids=record_ids).fetchall())
            computing.store()
            if computing.patients < len(record_ids):
                computing.forget(which=THESE, record_ids=record_ids)
            computing.outdate_summary()
    return len(record_ids)


def summarise() -> None:
    """Summarise the stored outcomes, unless the summary has been made from them already."""
    with _alone():
        if _execute("SELECT FROM exports_cohortoutcome WHERE NOT outdated").fetchone() is not None:
            return
        now, data_as_of = _execute(DATA_AS_OF).fetchone() or (None, None)
        summary = encode(summarise_cohort(stored_members())).decode()
        _execute(
            "INSERT INTO exports_cohortoutcome (id, summary_json, computed_at, data_as_of, outdated)"
            " VALUES (1, %(summary)s, %(now)s, %(data_as_of)s, false)"
            " ON CONFLICT (id) DO UPDATE SET summary_json = excluded.summary_json, computed_at = excluded.computed_at,"
            " data_as_of = excluded.data_as_of, outdated = false",
            summary=summary,
            now=now,
            data_as_of=data_as_of,
        )


def stored_members() -> Iterator[Member]:
    """Yield the stored outcomes of all patients as members of the cohort; the outcomes are without their evidence."""
    columns = "outcome, sex, discoid, months_to_last_evaluable"
    for some in _in_pieces(f"SELECT {columns} FROM exports_patientoutcome"):  # noqa: S608 -- constants
        for outcome, sex, discoid, months in some:
            yield Member(outcome_of_json(outcome), sex, discoid, months)


def is_stale() -> bool:
    """Return whether a change of the data is not in the summary yet."""
    found = _execute("SELECT ecrf_endpoints_are_stale()").fetchone()
    return found is None or bool(found[0])


def are_being_computed() -> bool:
    """Return whether somebody's computation waits or runs."""
    found = _execute("SELECT ecrf_endpoints_are_being_computed()").fetchone()
    return found is not None and bool(found[0])


@dataclass
class _Computing:
    """Outcomes computed and stored within one transaction."""

    patients: int = 0
    changed: list[str] = field(default_factory=list)
    _different: list[tuple[Any, ...]] = field(default_factory=list)

    def compute(self, rows: Iterable[tuple[str, bytes | None]]) -> None:
        """Compute the outcomes of these charts, each with the digest of what is stored, and keep those that differ.

        The rows behind an outcome follow from chart and rules: they are only looked for when one of these differs.
        """
        for document, digest in rows:
            self.patients += 1
            chart = chart_of_json(document)
            course = course_of(chart)
            member = member_of(chart, course=course)
            outcome = encode(member.outcome)
            beside = (member.sex, member.discoid, member.months_to_last_evaluable)
            found = hashlib.sha256(RULES + document.encode() + outcome + encode(beside)).digest()
            if found != digest:
                evidence = json_of_evidence(evidence_of(chart, course=course))
                patient = chart.patient
                self._different.append((patient.record_id, patient.site, outcome.decode(), evidence, *beside, found))

    def store(self) -> None:
        """Store the outcomes that were kept, each column of them as one array."""
        if self._different:
            _cursor().execute(STORE, [list(column) for column in zip(*self._different, strict=True)])
            self.changed += [row[0] for row in self._different]
            self._different = []

    def forget(self, *, which: str, **parameters: Any) -> None:
        """Remove the outcomes of patients that are gone or deleted."""
        gone = _execute(FORGET.format(which=which), **parameters).fetchall()
        self.changed += [record_id for (record_id,) in gone]

    def outdate_summary(self) -> None:
        """Mark the summary as outdated if an outcome changed."""
        if self.changed:
            _execute(OUTDATE)


@contextmanager
def _alone() -> Iterator[None]:
    """Run the block as one transaction while nobody else computes or summarises."""
    with acting_as_the_system(door=Door.JOB):
        _execute(ALONE)
        yield


def _take(which: str, **parameters: Any) -> list[str]:
    """Take rows off the list of changed charts; return their record ids. Only afterwards may charts be read."""
    taken = _execute(f"DELETE FROM crf_chartchange WHERE {which} RETURNING record_id", **parameters)  # noqa: S608 -- constants
    return [record_id for (record_id,) in taken.fetchall()]


def _listed() -> set[str]:
    """Return the patients who are on the list of changed charts, those that were taken off it left out."""
    return {record_id for (record_id,) in _execute("SELECT DISTINCT record_id FROM crf_chartchange").fetchall()}


def _count_patients() -> int:
    found = _execute("SELECT count(*) FROM crf_patient WHERE deleted_at IS NULL").fetchone()
    return found[0] if found else 0


def _in_pieces(query: str) -> Generator[list[tuple[Any, ...]], None, None]:
    """Yield the rows of a query of one moment, some at a time; the server works on the next while these are used.

    Between two pieces other statements may run in the transaction, through this module; the next piece comes after all
    that were sent before it is asked for.
    """
    fetch = f"FETCH {PATIENTS_AT_ONCE} FROM pieces"
    with connection.connection.pipeline():
        _execute(f"DECLARE pieces NO SCROLL CURSOR FOR {query}")
        following = _execute(fetch)
        while some := following.fetchall():
            following = _execute(fetch)
            yield some
        _execute("CLOSE pieces")


def _execute(query: str, **parameters: Any) -> psycopg.Cursor[tuple[Any, ...]]:
    return _cursor().execute(query, parameters or None)


def _cursor() -> psycopg.Cursor[tuple[Any, ...]]:
    """Return a cursor of the driver itself: Django's can neither be read ahead of nor take arrays in binary."""
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)
