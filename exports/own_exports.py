"""The exports of a person, as every door needs them: ask for one, find it, have its file, throw the file away."""

from typing import BinaryIO
from uuid import UUID

from django.utils.translation import gettext as _

from exports.cuts import Cut, authorise_cut
from exports.disclosures import note_export
from exports.job_files import file_of
from exports.jobs import enqueue
from exports.models import Job, Kind, State
from exports.models.job import JobQuerySet
from registry.accesses import AccessKind
from registry.problems import Problem, not_found
from registry.rights import Caller

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILE_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""With which the file of an export is sent: it holds patients' data."""


def exports_of(by: Caller) -> JobQuerySet:
    """Return the exports that a person asked for, of sites that they may still see."""
    visible: JobQuerySet = Job.objects.visible_to(by)
    return visible.filter(kind=Kind.EXPORT)


def export_of(by: Caller, job_id: UUID) -> Job:
    """Return an export of the person; raise a 404 problem for anybody else's."""
    job = exports_of(by).filter(pk=job_id).first()
    if job is None:
        raise not_found()
    return job


def ask_for_export(cut: Cut, *, by: Caller) -> Job:
    """Save the job of a cut. Raises CutNotAllowed."""
    authorise_cut(by, cut)
    job = enqueue(Kind.EXPORT, parameters=cut.parameters(), by=by, sites=cut.sites)
    note_export(AccessKind.ASKED_FOR_EXPORT, job)
    return job


def open_file(job: Job, *, by: Caller) -> BinaryIO:
    """Open the file of an export for its person, and note that they have it.

    Raises CutNotAllowed when they may not have it any more, and a problem when it is not there.
    """
    authorise_cut(by, Cut.from_parameters(job.parameters))
    if job.state != State.DONE:
        raise Problem(409, "job_is_not_done", _("The export is not done. Watch its state until it is."))
    try:
        file = file_of(job).open("rb")
    except FileNotFoundError:
        message = _("The file was kept for a week and is gone. Ask for the export again.")
        raise Problem(410, "file_is_gone", message) from None
    note_export(AccessKind.FETCHED_EXPORT, job)
    return file


def has_file(job: Job) -> bool:
    """Return whether the file of an export is there."""
    return job.state == State.DONE and file_of(job).exists()


def discard_file(job: Job) -> None:
    """Throw the file of an export away; who asked for what, and when, stays. Can be repeated.

    Raises a problem while the export has not ended.
    """
    if not job.has_ended:
        raise Problem(409, "job_is_not_done", _("The export has not ended. Call it off first."))
    file_of(job).unlink(missing_ok=True)
