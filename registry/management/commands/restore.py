"""`manage.py restore FILE [--replace]`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.accesses import AccessKind, note_access
from registry.acting import Door, acting_as_the_system
from registry.postgres_tools import ToolError
from registry.restore import BackupError, RestoreError, opened, other_keys, restore


class Command(BaseCommand):
    """Brings a backup back, all of it or nothing."""

    help = "Restore database and files from FILE. Stop web, worker and scheduler first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, and whether data may be lost."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="lose the data that are in the database now")

    def handle(self, *, file: Path, replace: bool, **_options: Any) -> None:
        """Check the file, restore it, and say what was compared."""
        try:
            with opened(file) as backup:
                for name in other_keys(backup.manifest):
                    self.stderr.write(f"{name} is not the one of the installation that was backed up.")
                restore(backup, replace=replace, say=self.stdout.write)
        except RestoreError as error:
            raise CommandError(f"{error} The backup was restored but differs: do not use it.") from None
        except (BackupError, ToolError, OSError) as error:
            raise CommandError(f"Nothing was restored. {error}") from None
        with acting_as_the_system(door=Door.COMMAND) as by:
            details = {"made_at": backup.manifest.made_at.isoformat(), "seal": backup.manifest.seal[:16]}
            note_access(AccessKind.RESTORED_BACKUP, rows=dict.fromkeys(by.sites, 0), details=details)
        self.stdout.write(f"Restored what was backed up at {backup.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC.")
