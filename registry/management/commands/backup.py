"""`manage.py backup FILE`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.accesses import AccessKind, note_access
from registry.acting import Door, acting_as_the_system
from registry.backup import make_backup
from registry.postgres_tools import ToolError


class Command(BaseCommand):
    """Writes database and files to one file; the keys are not in it."""

    help = "Back up database and files to FILE. SECRET_KEY and PSEUDONYM_KEY are not in it: keep them elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path)

    def handle(self, *, file: Path, **_options: Any) -> None:
        """Write the file, and say what is in it."""
        try:
            manifest = make_backup(file, now=timezone.now())
        except (ToolError, OSError) as error:
            raise CommandError(f"No backup was made. {error}") from None
        contents = manifest.contents
        with acting_as_the_system(door=Door.COMMAND) as by:
            details = {"made_at": manifest.made_at.isoformat(), "seal": manifest.seal[:16]}
            note_access(AccessKind.MADE_BACKUP, rows=dict.fromkeys(by.sites, 0), details=details)
        self.stdout.write(
            f"{file}: {sum(contents.rows.values())} rows in {len(contents.rows)} tables, {contents.links} rows of "
            f"history in {contents.chains} chains, {len(manifest.members) - 1} files.\n"
            "Keep SECRET_KEY and PSEUDONYM_KEY in another place: they are not in it, and nothing replaces them."
        )
