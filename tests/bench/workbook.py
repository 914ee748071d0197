"""The pooled workbook, from the rows of the database to the file, against COPY and against openpyxl alone.

COPY is the plain way to get the same tables out: five CSV files. openpyxl alone writes the same cells in its write-only
mode, from memory, where they were collected before the clock started. Each case is a process of its own on a database
of exactly so many patients, and says how long it took and how much memory the whole process ever held.

Goals: within 1.2 times openpyxl alone; below 150 MB, and the same at 1,000 and at 10,000 patients.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from statistics import median
from typing import Any

FEW, MANY = 1_000, 10_000
ROUNDS = 3
Result = Mapping[str, Any]


def run() -> list[str]:
    """Return the lines of the report."""
    for patients in (FEW, MANY):
        make_database(patients)
        case("prepare", patients=patients)
    rounds = [
        (case("ours", patients=FEW), *(case(name, patients=MANY) for name in ("ours", "openpyxl", "copy")))
        for _round in range(ROUNDS)
    ]
    few, ours, openpyxl, copy = (median_of(side) for side in zip(*rounds, strict=True))
    return [
        f"pooled workbook of {MANY} patients, {ours['rows']} rows, {openpyxl['cells']} cells: {ours['seconds']:.1f} s",
        f"  against openpyxl's write-only mode, the same cells from memory: {ratio(rounds, 1, 2):.2f}x"
        f" ({openpyxl['seconds']:.1f} s)",
        f"  against COPY of the same tables to CSV files: {ratio(rounds, 1, 3):.0f}x ({copy['seconds']:.2f} s)",
        f"  peak memory: {few['peak_mb']:.0f} MB at {FEW} patients, {ours['peak_mb']:.0f} MB at {MANY}"
        f" (openpyxl with the cells in memory: {openpyxl['peak_mb']:.0f} MB)",
        f"  the file: {ours['mb']:.1f} MB, openpyxl's {openpyxl['mb']:.1f} MB, CSV {copy['mb']:.1f} MB",
    ]


def median_of(results: tuple[Result, ...]) -> Result:
    """Return the medians of what the rounds of one case gave."""
    return {name: median(result[name] for result in results) for name in results[0]}


def ratio(rounds: list[tuple[Result, ...]], one: int, other: int) -> float:
    """Return how many times as long as another a case takes: the median of the rounds, each side by side."""
    times: float = median(cases[one]["seconds"] / cases[other]["seconds"] for cases in rounds)
    return times


def make_database(patients: int) -> None:
    """Make the database for so many patients, unless it is there, on the server of the other benchmarks."""
    from django.db import connections  # noqa: PLC0415 -- the cases import this module before Django is set up

    name = database_name(patients)
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {name}")


def case(name: str, *, patients: int) -> Result:
    """Run one case in a process of its own and return what it printed."""
    from django.conf import settings  # noqa: PLC0415 -- the cases import this module before Django is set up

    environment = os.environ | environment_of(patients)
    program = [sys.executable, "-m", "tests.bench.workbook", name, str(patients)]
    done = subprocess.run(program, env=environment, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, check=True)
    found: Result = json.loads(done.stdout)
    return found


def environment_of(patients: int) -> dict[str, str]:
    """Return the settings of a process that works on the database of so many patients."""
    from django.conf import settings  # noqa: PLC0415 -- the cases import this module before Django is set up

    from tests.bench.data import address_of  # noqa: PLC0415 -- likewise

    return {
        "DATABASE_URL": address_of("default", NAME=database_name(patients)),
        "DATABASE_OWNER_URL": address_of("owner", NAME=database_name(patients)),
        "BROKER_URL": settings.BROKER_URL,
        "VAR_DIR": str(settings.VAR_DIR),
        "SECRET_KEY": settings.SECRET_KEY,
        "PSEUDONYM_KEY": settings.PSEUDONYM_KEY,
    }


def database_name(patients: int) -> str:
    """Return the name of the database that has exactly so many patients."""
    return f"ecrf_bench_{patients}"


def main(name: str, patients: str) -> None:
    """Run one case here, on the database that the environment names, and print what it gave as JSON."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")
    import django  # noqa: PLC0415 -- after the settings are named

    django.setup()
    from tests.bench import workbook_cases  # noqa: PLC0415 -- after django.setup

    print(json.dumps(workbook_cases.CASES[name](int(patients))))  # noqa: T201 -- read by `case`


if __name__ == "__main__":
    main(*sys.argv[1:])
