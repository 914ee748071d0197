"""Texts, notes, and the names of files."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext as _

from crf.fields.variable import Unreadable, Variable

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
MAX_TEXT = 1_000
MAX_NOTES = 100_000


class TextField(Variable, models.TextField[Any, Any]):
    """A line of text."""

    plain = "django.db.models.TextField"
    max_characters: ClassVar[int] = MAX_TEXT
    forbidden: ClassVar[re.Pattern[str]] = CONTROL

    def read(self, value: Any) -> str:
        """Return the text unchanged; outer blanks count as written."""
        if not isinstance(value, str):
            raise self.wrong_type(_("a text in quotes"))
        if not value.strip():
            raise Unreadable(
                "blank", _("%(label)s is blank. Write a text, or null for none.") % {"label": self.shown_label}
            )
        if len(value) > self.max_characters:
            message = _("%(label)s has %(n)d characters. Shorten it to %(max)d at most.")
            raise Unreadable(
                "too_long", message % {"label": self.shown_label, "n": len(value), "max": self.max_characters}
            )
        # What is printable holds neither; to ask that first is quick.
        if not value.isprintable() and (self.forbidden.search(value) or SURROGATE.search(value)):
            message = _("%(label)s holds characters that cannot be printed. Remove them or type the text again.")
            raise Unreadable("unprintable", message % {"label": self.shown_label})
        return value


class NotesField(TextField):
    """Free text of several lines; withheld from exports that are not full."""

    field_type = "notes"
    free_text = True
    max_characters = MAX_NOTES
    forbidden = CONTROL_BUT_LAYOUT


class FileField(TextField):
    """The name of a stored file; the file itself comes and goes through its own door, never as a value.

    `taken_on` names the variable of the form with the day it was taken, `shown_with` those that are read beside it.
    """

    field_type = "file"

    def __init__(self, label: str, *, taken_on: str = "", shown_with: Sequence[str] = (), **declaration: Any) -> None:
        super().__init__(label, **declaration)
        self.taken_on, self.shown_with = taken_on, tuple(shown_with)

    def read(self, value: Any) -> str:
        """Refuse: a name is not a photograph."""
        message = _("%(label)s takes a file, not a name. Leave it out here and upload the file.")
        raise Unreadable("file_not_a_value", message % {"label": self.shown_label})
