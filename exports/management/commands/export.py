"""`manage.py export --format xlsx --out FILE`: a data cut from the shell, by the system, which may everything."""

import shutil
from argparse import ArgumentParser
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crf.filters import FilterError
from crf.forms import forms_by_name
from exports import (
    jobs,
    pooled_workbook,  # noqa: F401 -- does the jobs of its kind
)
from exports.cuts import Cut, Privacy
from exports.disclosures import note_export
from exports.filtering import read_filter
from exports.job_files import file_of
from exports.models import Job, Kind, State
from exports.outcome_sheets import OUTCOMES
from registry.accesses import AccessKind
from registry.acting import Door, acting, the_system


class Command(BaseCommand):
    """Runs one export in this process and puts its file where it is wanted."""

    help = "Export a data cut to a file. Without options: every form of every site, with identifiers and labels."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--format", choices=["xlsx"], default="xlsx")
        parser.add_argument("--out", type=Path, required=True, help="the file to write")
        parser.add_argument("--site", action="append", default=[], help="code of a site; can be given several times")
        parser.add_argument("--form", action="append", default=[], help="name of a form; can be given several times")
        parser.add_argument("--privacy", choices=list(Privacy), default=Privacy.FULL)
        parser.add_argument("--filter", metavar="EXPRESSION", help="rows to leave in: docs/redcap-filters.md")
        parser.add_argument("--no-labels", dest="labels", action="store_false", help="codes without labels")

    def handle(
        self, *, out: Path, site: list[str], form: list[str], privacy: str, labels: bool, filter: str | None, **_: Any
    ) -> None:
        """Run the command."""
        by = the_system()
        if not out.parent.is_dir():
            raise CommandError(f"There is no folder {out.parent}. Make it, or choose another --out.")
        cut = Cut(
            forms=chosen(form, of=list(forms_by_name()), option="--form"),
            sites=chosen(site, of=sorted(by.sites), option="--site"),
            privacy=Privacy(privacy),
            labels=labels,
            filter=usable(filter, privacy=Privacy(privacy)),
        )
        with acting(by, door=Door.COMMAND):
            job = jobs.enqueue(Kind.EXPORT, parameters=cut.parameters(), by=by, sites=cut.sites, doorbell=False)
            note_export(AccessKind.ASKED_FOR_EXPORT, job)
        finish(job)
        if job.state != State.DONE:
            raise CommandError(f"The export is {job.state}. {job.error}")
        with acting(by, door=Door.COMMAND):
            note_export(AccessKind.FETCHED_EXPORT, job)
        hand_over(file_of(job), to=out)
        for sheet in (*cut.forms, OUTCOMES):
            self.stdout.write(f"{sheet}: {job.rows[sheet]['written']} rows")
        self.stdout.write(f"{out}: {job.size} bytes, SHA-256 {job.sha256}")


def chosen(given: Collection[str], *, of: Collection[str], option: str) -> tuple[str, ...]:
    """Return those of `of` that were given, all if none was. Raises CommandError for one that is not there."""
    for name in given:
        if name not in of:
            raise CommandError(f"{option} {name}: there is no such one. Choose from: {', '.join(of)}.")
    return tuple(name for name in of if not given or name in given)


def usable(text: str | None, *, privacy: Privacy) -> str | None:
    """Return the filter, None for a blank one. Raises CommandError when the cut cannot have it."""
    if text is None or not text.strip():
        return None
    try:
        return read_filter(text, privacy=privacy).text
    except FilterError as error:
        raise CommandError(f"--filter: {error.message}") from error


def finish(job: Job) -> None:
    """Run the job, again if it broke off, until it has ended; broken off by hand, it is not left to a worker."""
    try:
        while not job.has_ended:
            jobs.run(job.pk)
            jobs.read_anew(job)
    except KeyboardInterrupt:
        with jobs.as_the_machine():
            jobs.cancel(job.pk)
        raise


def hand_over(file: Path, *, to: Path) -> None:
    """Move a file; at its new place it appears when it is whole. Nothing of it stays behind."""
    draft = to.with_name(f"{to.name}.part")
    try:
        shutil.copyfile(file, draft)
        draft.replace(to)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CommandError(f"{to} could not be written: {error.strerror}.") from error
    finally:
        file.unlink(missing_ok=True)
