"""The cases of `workbook.py`, each run in a process of its own."""

import gc
import io
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from openpyxl import Workbook

from crf.forms import all_forms, forms_by_name
from crf.storage import table_of
from exports import jobs
from exports.cuts import Cut, Privacy
from exports.datasets import snapshot
from exports.endpoints.store import recompute_all
from exports.job_files import file_of
from exports.jobs import Heart, Work
from exports.models import Job, Kind, State
from exports.outcome_sheets import stored_figures
from exports.pooled_workbook import PooledWorkbook
from exports.writers.workbook import Row
from registry.acting import the_system
from registry.rights import Role
from tests.bench.data import as_owner, new_token, see_everything
from tests.bench.endpoints import count_patients


def prepare(patients: int) -> dict[str, float]:
    """Fill the database with exactly so many patients and their endpoints, unless it has them."""
    quiet: dict[str, Any] = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    call_command("migrate", verbosity=0)
    see_everything()
    if missing := patients - count_patients():
        call_command("generate_cohort", patients=missing, seed=1, **quiet)
    recompute_all()
    as_owner("VACUUM ANALYZE")
    return {}


def ours(_patients: int) -> dict[str, float]:
    """Run the job of a pooled workbook, from its row to the file in place."""
    see_everything()
    job = _job()
    start = perf_counter()
    jobs.run(job.pk)
    seconds = perf_counter() - start
    job.refresh_from_db()
    if job.state != State.DONE:
        raise RuntimeError(job.error)
    found = _found(seconds, file_of(job)) | {"rows": sum(sheet["written"] for sheet in job.rows.values())}
    file_of(job).unlink()
    return found


def openpyxl(_patients: int) -> dict[str, float]:
    """Write the same cells from memory by openpyxl's write-only mode; the manifest, made last, is left out."""
    with snapshot(the_system()):
        pooled = PooledWorkbook(_cut(), _work(), by=the_system())
        sheets = [
            (sheet.name, [[column.header for column in sheet.columns], *map(_cells, sheet.rows)])
            for sheet in pooled.sheets(stored_figures())
        ]
    path = settings.VAR_DIR / "openpyxl.xlsx"
    gc.collect()
    gc.freeze()  # openpyxl shall not pay for looking through cells that stay
    start = perf_counter()
    book = Workbook(write_only=True)
    for name, rows in sheets:
        worksheet = book.create_sheet(name)
        for row in rows:
            worksheet.append(row)
    book.save(path)
    found = _found(perf_counter() - start, path)
    path.unlink()
    return found | {"cells": sum(cell is not None for _name, rows in sheets for row in rows for cell in row)}


def copy(_patients: int) -> dict[str, float]:
    """Copy the tables of the forms to CSV files, one after the other."""
    see_everything()
    path = settings.VAR_DIR / "tables.csv"
    start = perf_counter()
    with path.open("wb") as file:
        for part in _copied():
            file.write(part)
    found = _found(perf_counter() - start, path)
    path.unlink()
    return found


def token(_patients: int) -> dict[str, str]:
    """Return a token of somebody who may read every site."""
    return {"token": new_token(Role.DATA_MANAGER, site=None)}


CASES: dict[str, Callable[[int], Mapping[str, Any]]] = {
    "prepare": prepare,
    "ours": ours,
    "openpyxl": openpyxl,
    "copy": copy,
    "token": token,
}


def _copied() -> Iterator[bytes | memoryview]:
    connection.ensure_connection()
    for form in all_forms():
        query = f"COPY (SELECT * FROM {table_of(form).quoted} WHERE deleted_at IS NULL) TO STDOUT (FORMAT csv, HEADER)"  # noqa: S608 -- names of tables
        with connection.connection.cursor().copy(query) as parts:
            yield from parts


def _cut() -> Cut:
    return Cut(forms=tuple(forms_by_name()), sites=tuple(sorted(the_system().sites)), privacy=Privacy.FULL, labels=True)


def _job() -> Job:
    cut = _cut()
    return jobs.enqueue(Kind.EXPORT, parameters=cut.parameters(), by=the_system(), sites=cut.sites, doorbell=False)


def _work() -> Work:
    """Return an attempt that never starts: what is reported to it is kept nowhere."""
    job = Job(kind=Kind.EXPORT)
    return Work(job, Heart(job))


def _cells(row: Row) -> list[Any]:
    """Return the cells of a row, blank ones as None."""
    return [None if value == "" else value for value in row]


def _found(seconds: float, path: Path) -> dict[str, float]:
    return {"seconds": seconds, "peak_mb": _peak_mb(), "mb": path.stat().st_size / 1e6}


def _peak_mb() -> float:
    """Return the most memory that this process ever held, in MB.

    Linux's own mark, where it is: that of getrusage starts from what the parent process held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (kilobytes,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
