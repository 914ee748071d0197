"""`manage.py rehearse_restore FILE`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.postgres_tools import ToolError
from registry.restore import BackupError, RestoreError, opened, other_keys, rehearse


class Command(BaseCommand):
    """Restores a backup into a scratch database, compares, and drops it; the one in use is not touched."""

    help = "Rehearse the restore of FILE in a scratch database. The owner of the tables needs CREATEDB."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path)

    def handle(self, *, file: Path, **_options: Any) -> None:
        """Rehearse, and say what was compared."""
        try:
            with opened(file) as backup:
                for name in other_keys(backup.manifest):
                    self.stderr.write(f"{name} is not the one of the installation that was backed up.")
                rehearse(backup, say=self.stdout.write)
        except (BackupError, ToolError, RestoreError, OSError) as error:
            raise CommandError(f"The rehearsal failed. {error}") from None
        self.stdout.write(f"The backup of {backup.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC can be restored.")
