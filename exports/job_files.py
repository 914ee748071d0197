"""The files of jobs: where they are, and which of them nobody needs any more.

An attempt writes to a draft of its own, named for job and claim; when the job is done the draft becomes its file.
"""

import logging
import os
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q

from exports.models import Job, State
from exports.models.job import OPEN

logger = logging.getLogger(__name__)

FILES_ARE_KEPT = timedelta(days=7)

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DRAFT = re.compile(rf"(?P<job>{_UUID})\.(?P<claim>{_UUID})\.part")
_FILE = re.compile(rf"(?P<job>{_UUID})\.xlsx")


def folder() -> Path:
    """Return the folder of the files, made if need be; only this user can read it."""
    path: Path = settings.VAR_DIR / "exports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def file_of(job: Job) -> Path:
    """Return where the file of a job that is done is, as long as it is kept."""
    return folder() / f"{job.pk}.xlsx"


def draft_of(job: Job) -> Path:
    """Return where the present attempt at a job writes."""
    return folder() / f"{job.pk}.{job.claim}.part"


def remove_drafts(job: Job) -> None:
    """Remove what earlier attempts left; one that still writes finds its file gone when it is too late anyway."""
    _remove(folder().glob(f"{job.pk}.*.part"))


def tidy(*, now: datetime) -> None:
    """Remove what dead attempts left, and the files of jobs that ended too long ago."""
    drafts = [(path, match) for path in folder().iterdir() if (match := _DRAFT.fullmatch(path.name))]
    files = [(path, match) for path in folder().iterdir() if (match := _FILE.fullmatch(path.name))]
    # The rows are read after the folder: a file seen there belongs to an attempt that the rows know.
    of_jobs = Job.objects.filter(pk__in={match["job"] for _path, match in drafts + files})
    if drafts:
        claims = {str(claim) for claim in of_jobs.filter(state=State.RUNNING).values_list("claim", flat=True)}
        _remove(path for path, match in drafts if match["claim"] not in claims)
    if files:
        # A file is moved to its place just before its job is done, so that an open job may have one as well.
        recent = Q(state=State.DONE, finished_at__gte=now - FILES_ARE_KEPT)
        kept = {str(key) for key in of_jobs.filter(Q(state__in=OPEN) | recent).values_list("pk", flat=True)}
        _remove(path for path, match in files if match["job"] not in kept)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        logger.info("removed %s", os.fspath(path))
