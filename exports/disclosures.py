"""Who asks for an export and who gets its file leaves a trace, through whichever door."""

from exports.models import Job
from registry.accesses import AccessKind, note_access


def note_export(kind: AccessKind, job: Job) -> None:
    """Note it at each site of the export; the rows of a file are known when it is written, and stand on the job."""
    details = {"export": str(job.pk), "privacy": job.parameters["privacy"], "forms": job.parameters["forms"]}
    note_access(kind, rows=dict.fromkeys(job.sites, 0), details=details)
