"""`manage.py recompute_endpoints`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports import recompute  # noqa: F401 -- does the jobs of its kind
from exports.jobs import as_the_machine, enqueue
from exports.management.commands.export import finish
from exports.models import Kind, State


class Command(BaseCommand):
    """Computes the endpoints of every patient in this process."""

    help = "Compute the endpoints of every patient, and the summary of the cohort."

    def handle(self, **_: Any) -> None:
        """Compute, and say what was found."""
        with as_the_machine() as by:
            job = enqueue(Kind.ENDPOINTS, parameters={"reason": "command"}, by=by, sites=by.sites, doorbell=False)
        finish(job)
        if job.state != State.DONE:
            raise CommandError(f"The computation is {job.state}. {job.error}")
        counts = job.rows["outcomes"]
        self.stdout.write(f"{counts['computed']} patients computed, {counts['changed']} outcomes changed")
