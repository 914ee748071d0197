"""`manage.py validate [--rehearse] [--html FILE]`."""

import platform
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template.loader import render_to_string
from django.utils import timezone

from registry import __version__
from registry.installation_checks import as_text, results


class Command(BaseCommand):
    """Checks the live system and prints a sheet to sign."""

    help = (
        "Check this installation: requirement, test, result, to be signed. Exit status 1 if a requirement is not met."
    )
    requires_system_checks = []  # they are on the sheet

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what else to do."""
        parser.add_argument("--rehearse", action="store_true", help="make a backup and rehearse its restore too")
        parser.add_argument("--html", type=Path, metavar="FILE", help="write the sheet as a page to print too")

    def handle(self, *, rehearse: bool, html: Path | None, **_options: Any) -> None:
        """Run the checks and print the sheet."""
        now = timezone.now()
        rows = list(results(rehearsal=rehearse))
        failed = sum(not row.met for row in rows)
        head = [
            f"Installation: {settings.INSTALLATION_NAME} on {platform.node()}",
            f"Software:     eCRF {__version__}",
            f"Date:         {now:%Y-%m-%d %H:%M:%S} UTC",
            f"Result:       {len(rows) - failed} of {len(rows)} requirements are met",
        ]
        if not rehearse:
            head.append("Not tested:   the restore of a backup (--rehearse)")
        self.stdout.write(as_text(rows, head=head))
        if html is not None:
            html.write_text(
                render_to_string("registry/validation.html", {"head": head, "rows": rows}), encoding="utf-8"
            )
        if failed:
            raise CommandError(f"{failed} of {len(rows)} requirements are not met.")
