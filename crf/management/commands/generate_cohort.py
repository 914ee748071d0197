"""`manage.py generate_cohort --patients N --seed S [--out FOLDER]`: a synthetic cohort, for benchmarks and try-outs."""

import csv
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Max

from crf.entry import create_entries
from crf.fields import FileField
from crf.forms import Form, all_forms, forms_by_name, patient_form
from crf.reading import Submission, read_cells
from crf.synthetic import Cells, SyntheticPatient, synthetic_cohort
from registry.acting import Door, acting, the_system
from registry.rights import Caller

PATIENTS_AT_ONCE = 200


class Command(BaseCommand):
    """Makes patients whom nobody ever met, and enters them or writes them to files."""

    help = "Make a synthetic cohort and enter it through the entry service, or write it as CSV files with --out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--patients", type=int, required=True, help="how many")
        parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same patients")
        parser.add_argument("--out", type=Path, help="a folder for the CSV files; then nothing is entered")

    def handle(self, *, patients: int, seed: int, out: Path | None, **_options: Any) -> None:
        """Run the command."""
        by = the_system()
        if patients < 1:
            raise CommandError("--patients is a number from 1.")
        if not by.sites:
            raise CommandError("There is no site yet, and a patient needs one. Make the sites first.")
        if out is not None:
            rows = write_files(synthetic_cohort(patients, seed=seed, sites=sorted(by.sites)), folder=out)
            self.stdout.write(f"{patients} patients, {rows} rows in {out}")
            return
        rows = self._enter(patients, seed=seed, by=by)
        self.stdout.write(f"{patients} patients, {rows} rows entered")

    def _enter(self, patients: int, *, seed: int, by: Caller) -> int:
        """Enter the cohort, all or nothing; return the number of rows."""
        sites = sorted(by.sites)
        with acting(by, door=Door.COMMAND):
            cohort = synthetic_cohort(patients, seed=seed, sites=sites, first_number=free_numbers(sites))
            done = rows = 0
            while some := list(islice(cohort, PATIENTS_AT_ONCE)):
                rows += enter(some, by=by)
                done += len(some)
                self.stderr.write(f"{done} of {patients} patients")
        return rows


def enter(patients: Sequence[SyntheticPatient], *, by: Caller) -> int:
    """Enter these patients with all their forms; return the number of entries. Raises Refused."""
    submissions = [
        submission_of(forms_by_name()[name], row)
        for patient in patients
        for name, rows in patient.rows.items()
        for row in rows
    ]
    return len(create_entries(submissions, by=by))


def submission_of(form: type[Form], row: Cells) -> Submission:
    """Return one row of cells as what a door received."""
    if not form.repeating:
        return read_cells(form, row)
    cells = {name: text for name, text in row.items() if name not in ("record_id", "redcap_repeat_instance")}
    submission = read_cells(form, cells)
    submission.record_id, submission.instance = row["record_id"], int(row["redcap_repeat_instance"])
    return submission


def free_numbers(sites: Iterable[str]) -> dict[str, int]:
    """Return the first number of a patient at each site that is still free."""
    highest = dict(patient_form().objects.values_list("site_id").annotate(Max("number")))
    return {site: highest.get(site, 0) + 1 for site in sites}


def write_files(patients: Iterator[SyntheticPatient], *, folder: Path) -> int:
    """Write one CSV file a form, as `manage.py load_forms` reads them; return the number of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        writers = {}
        for form in all_forms():
            file = files.enter_context((folder / f"{form.form_name()}.csv").open("w", encoding="utf-8", newline=""))
            writers[form.form_name()] = csv.DictWriter(file, columns_of(form), restval="", lineterminator="\n")
            writers[form.form_name()].writeheader()
        written = 0
        for patient in patients:
            for name, rows in patient.rows.items():
                writers[name].writerows(rows)
                written += len(rows)
    return written


def columns_of(form: type[Form]) -> list[str]:
    """Return the columns of the file of one form: its key, its variables, and why values are missing."""
    variables = [
        name for name, kind in form.variables().items() if name != "record_id" and not isinstance(kind, FileField)
    ]
    return ["record_id", "redcap_repeat_instance" if form.repeating else "site", *variables, "missing"]
