"""`manage.py load_forms FOLDER`."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crf.loading import NotLoaded, load_folder
from registry.acting import Door, acting, the_system

MOST_SHOWN = 50


class Command(BaseCommand):
    """Loads a folder of CSV files, one a form, through the entry service."""

    help = "Load per-form CSV files (format: docs/cohort19) through the entry service, all or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the folder."""
        parser.add_argument("folder", type=Path)

    def handle(self, *_args: Any, folder: Path, **_options: Any) -> None:
        """Load, and say what was loaded or what to mend."""
        by = the_system()
        try:
            with acting(by, door=Door.COMMAND, reason="load_forms"):
                loaded = load_folder(folder, by=by)
        except NotLoaded as refused:
            lines = [str(problem) for problem in refused.problems[:MOST_SHOWN]]
            if len(refused.problems) > MOST_SHOWN:
                lines.append(f"... and {len(refused.problems) - MOST_SHOWN} more")
            raise CommandError("Nothing was loaded.\n" + "\n".join(lines)) from None
        for form, count in loaded.entries.items():
            self.stdout.write(f"{form}: {count} entries")
        for code, count in loaded.warnings.items():
            self.stdout.write(f"warning {code}: {count}")
