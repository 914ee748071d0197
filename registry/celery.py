"""The Celery application: `celery -A registry.celery worker`, and `beat` for the scheduler."""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging, worker_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")

app = Celery("ecrf")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def log_as_django_does(**_: object) -> None:
    """Before a worker or the scheduler starts: leave the logs as the settings say; Celery's own quote exceptions."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def look_at_the_database_role(**_: object) -> None:
    """Before a worker starts: end it if row-level security would not hold for it."""
    from registry.application_role import refuse_to_serve_unfit  # noqa: PLC0415 -- Django is set up by then, not before

    refuse_to_serve_unfit()
