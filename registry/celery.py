"""The Celery application: `celery -A registry.celery worker`, and `beat` for the scheduler."""

import logging.config
import os
from typing import Any

from celery import Celery, signals
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")

app = Celery("ecrf")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def log_as_django_does(**_kwargs: Any) -> None:
    """Before a worker or the scheduler starts: leave the logs as the settings say; Celery's own quote exceptions."""
    logging.config.dictConfig(settings.LOGGING)


@signals.before_task_publish.connect(sender="registry.show_life")  # type: ignore[untyped-decorator]  # as above
def show_that_the_scheduler_lives(**_kwargs: Any) -> None:
    """Note it in the scheduler itself, so that a silent worker or broker is not mistaken for it."""
    from registry.heartbeats import beat_of_the_scheduler  # noqa: PLC0415 -- models need the apps that Celery sets up

    beat_of_the_scheduler()


@signals.worker_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def look_at_the_database_role(**_kwargs: Any) -> None:
    """Before a worker starts: end it if row-level security would not hold for it."""
    from registry.application_role import refuse_to_serve_unfit  # noqa: PLC0415 -- Django is set up by then, not before

    refuse_to_serve_unfit()
