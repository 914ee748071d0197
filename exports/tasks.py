"""The tasks of worker and scheduler: each takes keys, never data, makes one call and may be run twice."""

from uuid import UUID

from celery import shared_task

from exports import (
    jobs,
    pooled_workbook,  # noqa: F401 -- does the jobs of its kind
    recompute,
)


@shared_task(name="exports.run_job", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def run_job(*, job_id: str) -> None:
    """Do one job."""
    jobs.run(UUID(job_id))


@shared_task(name="exports.sweep_jobs", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def sweep_jobs() -> None:
    """Take up waiting and abandoned jobs."""
    jobs.sweep(now=jobs.database_time())


@shared_task(name="exports.recompute_stale", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def recompute_stale() -> None:
    """Bring the endpoints up to date with the data."""
    recompute.recompute_stale()


@shared_task(name="exports.nightly_check", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def nightly_check() -> None:
    """Make sure that no change was missed."""
    recompute.nightly_check()
