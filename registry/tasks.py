"""What the scheduler asks of the registry."""

from datetime import timedelta
from importlib import import_module

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from registry.acting import Door, acting_as_the_system
from registry.heartbeats import beat
from registry.models import Heart, IdempotentAnswer

ANSWERS_ARE_KEPT_FOR = timedelta(days=7)
"""How long a repeated request gets its first answer: longer than any client retries."""


@shared_task(name="registry.forget_answers", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def forget_answers() -> None:
    """Delete the answers that nobody will ask for again."""
    with acting_as_the_system(door=Door.JOB):
        IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - ANSWERS_ARE_KEPT_FOR).delete()


@shared_task(name="registry.forget_sessions", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def forget_sessions() -> None:
    """Delete the sessions that are over: nobody can use them, but they say who was here."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


@shared_task(name="registry.show_life", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def show_life() -> None:
    """Note that a worker does what the scheduler asks for."""
    beat(Heart.WORKER)
