"""What the scheduler asks of the forms."""

from celery import shared_task
from django.utils import timezone

from crf.drafts import forget_old_drafts
from registry.acting import Door, acting_as_the_system


@shared_task(name="crf.forget_old_drafts", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def forget_drafts() -> None:
    """Delete the drafts that nobody came back to."""
    with acting_as_the_system(door=Door.JOB):
        forget_old_drafts(now=timezone.now())
