"""The endpoints of all patients, computed and stored, against merely reading the same rows; and of one after a change.

Reading is the plain way: an ordered server-side cursor a form, 2,000 rows at a time, each row a tuple.
Goals: all patients within twice the time of the reading, one patient in less than 10 ms.
"""

import io
from collections.abc import Callable
from statistics import median
from time import perf_counter

import psycopg
from django.core.management import call_command
from django.db import connection, transaction

from crf.forms import forms_by_name, patient_form
from exports.endpoints.reading import ROWS_OF
from exports.endpoints.store import recompute_changed, recompute_outcomes, summarise
from tests.bench.data import as_owner

PATIENTS = 10_000
ROUNDS = 7
CHANGES = 51
ROWS_AT_A_TIME = 2_000
PATIENT_FIELDS = ("site_id", "birth_date", "sex", "cle_subtype", "last_contact_date")


def run() -> list[str]:
    """Return the lines of the report."""
    have_patients()
    recompute_outcomes()
    rounds = [(seconds(read_rows), seconds(recompute_outcomes), seconds(from_nothing)) for _round in range(ROUNDS)]
    reading, nothing_new, everything_new = (median(side) for side in zip(*rounds, strict=True))
    ones = [one_change(number) for number in range(CHANGES)]
    summary = median(seconds(summary_again) for _round in range(3))
    return [
        f"endpoints of {count_patients()} patients, {read_rows()} rows, against reading the rows ({reading:.2f} s):",
        f"  computed, compared with what is stored: {median(same / read for read, same, _ in rounds):.2f}x"
        f" ({nothing_new:.2f} s)",
        f"  computed and all stored anew: {median(new / read for read, _, new in rounds):.2f}x"
        f" ({everything_new:.2f} s)",
        f"  one patient after a change: {1000 * median(ones):.1f} ms, slowest of {CHANGES}: {1000 * max(ones):.1f} ms",
        f"  summary of the cohort, once after many changes: {summary:.2f} s",
    ]


def have_patients(count: int = PATIENTS) -> None:
    """Make a synthetic cohort of at least `count`, unless the database of the benchmarks has one."""
    missing = count - count_patients()
    if missing > 0:
        call_command("generate_cohort", patients=missing, seed=1, stdout=io.StringIO(), stderr=io.StringIO())
        as_owner("VACUUM ANALYZE")


def count_patients() -> int:
    """Return how many patients there are."""
    return patient_form().objects.filter(deleted_at=None).count()


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = perf_counter()
    function()
    return perf_counter() - start


def read_rows() -> int:
    """Read what the rules read, row by row, and return how many rows there were."""
    tables: dict[str, tuple[str, ...]] = {patient_form()._meta.db_table: PATIENT_FIELDS}
    tables |= {forms_by_name()[form]._meta.db_table: kind.__struct_fields__ for form, kind in ROWS_OF.items()}
    rows = 0
    with transaction.atomic():
        for table, fields in tables.items():
            with psycopg.ServerCursor(connection.connection, "rows") as cursor:
                cursor.itersize = ROWS_AT_A_TIME
                cursor.execute(
                    f"SELECT record_id, {', '.join(fields)} FROM {table}"  # noqa: S608 -- names of tables and fields
                    " WHERE deleted_at IS NULL ORDER BY record_id, instance"
                )
                for _row in cursor:
                    rows += 1
    return rows


def from_nothing() -> None:
    """Compute everything into an empty table."""
    as_owner("TRUNCATE exports_patientoutcome")
    recompute_outcomes()


def one_change(number: int) -> float:
    """Change one row of one patient and return how long the endpoints of that patient take."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE crf_lesionassessment SET lesion_clearance = %s WHERE id IN"
            " (SELECT id FROM crf_lesionassessment ORDER BY id OFFSET %s LIMIT 1)",
            [number % 100, 7 * number],
        )
    return seconds(recompute_changed)


def summary_again() -> None:
    """Make the summary of what is stored."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exports_cohortoutcome SET outdated = true")
    summarise()
