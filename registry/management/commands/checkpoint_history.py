"""`manage.py checkpoint_history FILE`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand
from django.utils import timezone

from registry.acting import Door, acting_as_the_system
from registry.history_chain import make_checkpoint


class Command(BaseCommand):
    """Writes where every chain of the history stands, dated and signed."""

    help = "Write a checkpoint of the history, dated and signed. Keep it where nobody of this server can change it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path)

    def handle(self, *, file: Path, **_options: Any) -> None:
        """Write the file."""
        with acting_as_the_system(door=Door.COMMAND):
            checkpoint = make_checkpoint(now=timezone.now())
        file.write_bytes(msgspec.json.encode(checkpoint))
        self.stdout.write(f"{file}: {len(checkpoint.chains)} chains, signed with the key {checkpoint.key}")
