"""What row-level security costs: the same statements as the application's role, and as the owner whom no policy holds.

A list is a page of 100 adverse events of one site, an export is every lesion assessment of that site from a cursor, an
insert is one transaction with one adverse event and its triggers, taken back. Both connections are of this process,
the rounds are interleaved, and the owner's statements name the site just as the application's do.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from tests.bench.data import address_of
from tests.bench.endpoints import have_patients

PATIENTS = 2_000
ROUNDS = 15
TIMES = {"list": 60, "export": 1, "insert": 60}
SITE = "MTP"
LIST = (
    "SELECT * FROM crf_adverseevent WHERE site_id = ANY(%s) AND deleted_at IS NULL"
    " ORDER BY record_id, instance LIMIT 100"
)
EXPORT = "SELECT * FROM crf_lesionassessment WHERE site_id = ANY(%s) AND deleted_at IS NULL ORDER BY site_id, record_id"
INSERT = (
    "INSERT INTO crf_adverseevent (record_id, site_id, instance, status, version, missing, locked, ae_term)"
    " VALUES (%s, %s, 30000, 0, 1, '{}', false, 'Fatigue')"
)


def run() -> list[str]:
    """Return the lines of the report."""
    have_patients(PATIENTS)
    with psycopg.connect(address_of("default")) as application, psycopg.connect(address_of("owner")) as owner:
        record_id = first_patient(owner)
        lines = [f"row-level security, application's role against owner, medians of {ROUNDS} interleaved rounds:"]
        for name, statement in (("list", one_list), ("export", one_export), ("insert", one_insert)):
            pairs = [
                [milliseconds(statement, side, record_id, times=TIMES[name]) for side in order]
                for number in range(ROUNDS)
                for order in [(application, owner) if number % 2 else (owner, application)]
            ]
            pairs = [pair if number % 2 else pair[::-1] for number, pair in enumerate(pairs)]
            ratio = median(with_policies / without for with_policies, without in pairs)
            mine, bare = (median(side) for side in zip(*pairs, strict=True))
            lines.append(f"  {name}: {ratio:.2f}x ({mine:.2f} ms against {bare:.2f} ms)")
    return lines


def first_patient(owner: psycopg.Connection[Any]) -> str:
    """Return the record id of a patient of the site."""
    found = owner.execute("SELECT min(record_id) FROM crf_patient WHERE site_id = %s", [SITE]).fetchone()
    owner.rollback()
    assert found is not None
    return str(found[0])


def milliseconds(
    statement: Callable[[psycopg.Connection[Any], str], None],
    connection: psycopg.Connection[Any],
    record_id: str,
    *,
    times: int,
) -> float:
    """Return how long a statement takes in a transaction that says who acts, in ms."""
    start = perf_counter()
    for _time in range(times):
        connection.execute("SELECT ecrf_begin('{}', '1', %s, NULL)", [SITE])
        statement(connection, record_id)
        connection.rollback()
    return 1000 * (perf_counter() - start) / times


def one_list(connection: psycopg.Connection[Any], _record_id: str) -> None:
    """Read one page."""
    connection.execute(LIST, [[SITE]], prepare=True).fetchall()


def one_export(connection: psycopg.Connection[Any], _record_id: str) -> None:
    """Read every row of a form of the site, 500 at a time."""
    with connection.cursor("rows") as cursor:
        cursor.execute(EXPORT, [[SITE]])
        while cursor.fetchmany(500):
            pass


def one_insert(connection: psycopg.Connection[Any], record_id: str) -> None:
    """Insert one row with its triggers."""
    connection.execute(INSERT, [record_id, SITE], prepare=True)
