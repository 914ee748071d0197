"""`manage.py makemessages`: Django's own, which also takes up the texts that the forms declare.

Labels, choices, notes and messages of checks stand in the forms as plain English, because the data dictionary exports
them as they are; pages translate them when they are shown.
"""

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.commands import makemessages
from django.utils.module_loading import import_string

NO_FORMAT = "xgettext: no-python-format"
"""For xgettext: "95 % on" is no place to put a value."""
OF_THE_DAY = re.compile(r'^"(POT-Creation-Date|Report-Msgid-Bugs-To):.*\n', re.MULTILINE)
"""Lines of a catalogue that would change each time, or say nothing."""


class Command(makemessages.Command):
    """Django's command, over the texts of the code, the templates and the declarations; it guesses nothing."""

    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def handle(self, *args: Any, **options: Any) -> None:
        """Write what is declared to files that are read like the others, and take them away again."""
        files = {Path(name): import_string(texts) for name, texts in settings.DECLARED_TEXTS.items()}
        try:
            for file, texts in files.items():
                file.write_text("".join(f"# {NO_FORMAT}\n_({text!r})\n" for text in texts()))
            super().handle(*args, **options)
        finally:
            for file in files:
                file.unlink(missing_ok=True)

    def write_po_file(self, potfile: str, locale: str) -> None:
        """Write the catalogue, so that it only changes when a text does."""
        super().write_po_file(potfile, locale)
        catalogue = Path(potfile).parent / locale / "LC_MESSAGES" / f"{self.domain}.po"
        catalogue.write_text(OF_THE_DAY.sub("", catalogue.read_text()))
