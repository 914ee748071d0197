"""What an installation shows of its exports: a job asked for, done by a worker, and its file as it was written."""

import hashlib
from typing import Final

from exports import jobs
from exports.cuts import Cut, Privacy
from exports.job_files import file_of
from exports.models import Kind, State
from registry.installation_checks import Check, NotMet
from registry.patience import within

JOB_SECONDS: Final = 120


def export_is_written() -> str:
    """Ask for a de-identified export of one form, wait for a worker, and compare the file with its digest."""
    with jobs.as_the_machine() as by:
        sites = tuple(sorted(by.sites))
        cut = Cut(forms=("patient",), sites=sites, privacy=Privacy.DEIDENTIFIED)
        job = jobs.enqueue(Kind.EXPORT, parameters=cut.parameters(), by=by, sites=sites)

    def ended() -> bool:
        jobs.read_anew(job)
        return job.has_ended

    if not within(JOB_SECONDS, ended):
        with jobs.as_the_machine():
            jobs.cancel(job.pk)
        raise NotMet(f"the job {job.pk} was not done within {JOB_SECONDS} s: is there a worker, and a broker?")
    if job.state != State.DONE:
        raise NotMet(f"the job {job.pk} is {job.state}: {job.error}")
    try:
        with file_of(job).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise NotMet(f"the file of the job {job.pk} is not under VAR_DIR here: do worker and web share it?") from None
    if digest != job.sha256:
        raise NotMet(f"the file of the job {job.pk} is not the one that the worker wrote")
    return f"the job {job.pk} wrote {job.size} bytes, SHA-256 {digest[:16]}..."


CHECKS: Final = (
    Check(
        "Exports are done, and arrive as they were written",
        "a de-identified export through broker and worker",
        export_is_written,
    ),
)
