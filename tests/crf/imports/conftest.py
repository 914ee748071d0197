"""Files to bring, made cell by cell."""

import csv
import io

import pytest
from django.utils import timezone

from crf.forms import forms_by_name
from crf.imports import service
from crf.imports.rows import read_file
from crf.imports.undoing import undo
from registry.acting import Door, acting
from tests.conftest import see_everything


def csv_of(*rows):
    """Return the bytes of a CSV file with these rows, each a dictionary of cells by column."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


class Importer:
    """Brings files to MTP as one person."""

    def __init__(self, by, site="MTP"):
        self.by, self.site = by, site

    def bring(self, *rows, content=None, name="file.csv", form=None, **reading):
        """Return the import of a file of these rows."""
        content = csv_of(*rows) if content is None else content
        found = read_file(name, content, form=form and forms_by_name()[form], **reading)
        with acting(self.by, door=Door.REST):
            brought = service.bring(name, content, found, site=self.site, by=self.by, now=timezone.now())
        see_everything()
        return brought

    def apply(self, brought, reason="Charts abstracted", preview=None):
        """Apply an import; return whether it was done."""
        with acting(self.by, door=Door.REST):
            done = service.apply(
                brought.pk, preview=preview or brought.preview, by=self.by, reason=reason, now=timezone.now()
            )
        see_everything()
        brought.refresh_from_db()
        return done

    def undo(self, brought, reason="Wrong file"):
        """Undo an import."""
        with acting(self.by, door=Door.REST):
            undo(service.find(brought.pk, by=self.by, hold=True), by=self.by, reason=reason, now=timezone.now())
        see_everything()
        brought.refresh_from_db()

    def choose(self, brought, choices):
        """Settle conflicts."""
        with acting(self.by, door=Door.REST):
            found = service.choose(brought.pk, choices, by=self.by, now=timezone.now())
        see_everything()
        return found


@pytest.fixture
def importer(coordinator):
    """A coordinator of MTP with files."""
    return Importer(coordinator)


def findings(brought):
    """Return verdict, and (field, verdict, code) of each finding, of every row of an import."""
    return [
        (row.verdict, [(cell["field"], cell["verdict"], cell.get("code")) for cell in row.findings])
        for row in brought.rows.order_by("number")
    ]
