"""`manage.py verify_history [--checkpoint FILE]`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.accesses import AccessKind, note_access
from registry.acting import Door, acting_as_the_system
from registry.history_chain import NotACheckpoint, broken_chains, read_checkpoint
from registry.models import HistoryChain

MOST_SHOWN = 50


class Command(BaseCommand):
    """Reads the whole history and names the first row of each chain that is not what was written."""

    help = "Verify the history: exit status 1, and the rows, if any was edited, removed or slipped in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a checkpoint."""
        parser.add_argument("--checkpoint", type=Path, help="a file of checkpoint_history, kept outside since")

    def handle(self, *, checkpoint: Path | None, **_options: Any) -> None:
        """Verify, and say what was found."""
        try:
            kept = read_checkpoint(checkpoint) if checkpoint else None
        except (NotACheckpoint, OSError) as error:
            raise CommandError(str(error)) from None
        with acting_as_the_system(door=Door.COMMAND) as by:
            breaks = list(broken_chains(checkpoint=kept))
            chains = HistoryChain.objects.count()
            found_so = {"chains": chains, "broken": len(breaks)}
            note_access(AccessKind.VERIFIED_HISTORY, rows=dict.fromkeys(by.sites, 0), details=found_so)
        for found in breaks[:MOST_SHOWN]:
            self.stdout.write(str(found))
        if breaks:
            raise CommandError(f"The history is not as it was written: {len(breaks)} of {chains} chains are broken.")
        since = f", and since the checkpoint of {kept.at:%Y-%m-%d %H:%M} UTC" if kept else ""
        self.stdout.write(f"The history is as it was written: {chains} chains are whole{since}.")
