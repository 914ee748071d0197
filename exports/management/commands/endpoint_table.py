"""`manage.py endpoint_table`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports.endpoints.published import table_lines
from exports.endpoints.store import is_stale
from exports.models import CohortOutcome


class Command(BaseCommand):
    """Prints the stored endpoint table beside the published one; fails if a figure is not the published one."""

    help = "Print the endpoint table of the cohort beside the published one; exit status 1 if a figure differs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what the table of other data needs."""
        parser.add_argument(
            "--other-data", action="store_true", help="the cohort is not the published one: figures may differ"
        )

    def handle(self, *, other_data: bool, **_: Any) -> None:
        """Print the table."""
        stored = CohortOutcome.objects.first()
        if stored is None or stored.summary is None:
            raise CommandError("The endpoints were not computed yet. Run manage.py recompute_endpoints.")
        lines = table_lines(stored.summary["overall"])
        label = max(len(line.label) for line in lines)
        value = max(len("this cohort"), *(len(line.value_text) for line in lines))
        self.stdout.write(f"{'figure':<{label}}  {'this cohort':<{value}}  published")
        for line in lines:
            mark = "" if line.matches else "   <-- differs"
            self.stdout.write(f"{line.label:<{label}}  {line.value_text:<{value}}  {line.published_text}{mark}")
        stale = " (stale: data changed since)" if is_stale() else ""
        self.stdout.write(f"as of {stored.data_as_of:%Y-%m-%d %H:%M:%S} UTC{stale}")
        different = [line.label for line in lines if not line.matches]
        if different and not other_data:
            raise CommandError(f"{len(different)} of {len(lines)} figures are not the published ones.")
