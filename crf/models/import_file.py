"""Files that were brought: what stood in them, what becomes of each cell, and what was applied and undone."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from registry.history import track
from registry.models import Site
from registry.rights import Caller, Right
from registry.row_security import OF_A_SITE, OF_A_SITE_FOR_A_TIME, Access


class ImportState(models.TextChoices):
    """How far an import has come."""

    PREVIEWED = "previewed", _("Preview")
    APPLIED = "applied", _("Applied")
    UNDONE = "undone", _("Undone")
    DISCARDED = "discarded", _("Thrown away")


class Verdict(models.TextChoices):
    """What becomes of an entry or a cell of a file."""

    NEW = "new", _("New")
    CHANGED = "changed", _("Changed")
    UNCHANGED = "unchanged", _("Unchanged")
    CONFLICT = "conflict", _("Conflict")
    REFUSED = "refused", _("Refused")


class ImportQuerySet(models.QuerySet["Import"]):
    """Imports."""

    def visible_to(self, caller: Caller) -> "ImportQuerySet":
        """Return the imports that `caller` may see: those at the sites where they enter data."""
        return self.filter(site_id__in=caller.sites_with(Right.ENTER))


@track(exclude=["counts"])
class Import(models.Model):
    """One file brought to one site. Nothing of it is saved in the forms before it is applied.

    `digest` is that of the file, `preview` that of the verdicts: who applies names the preview that they saw.
    """

    access: ClassVar[Access] = OF_A_SITE

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    file_name = models.TextField()
    digest = models.TextField()
    state = models.TextField(choices=ImportState.choices, default=ImportState.PREVIEWED)
    ignored = models.JSONField(default=list)
    """Names of the sheets that are of no form."""
    preview = models.TextField(default="")
    counts = models.JSONField(default=dict)
    """How many entries have each verdict, and how many cells change."""
    brought_at = models.DateTimeField(db_default=Now())
    brought_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    applied_at = models.DateTimeField(null=True)
    applied_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    apply_reason = models.TextField(default="")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    undo_reason = models.TextField(default="")

    objects: ClassVar[ImportQuerySet] = ImportQuerySet.as_manager()  # type: ignore[assignment]  # as in crf/forms.py

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(name="import_state_is_known", condition=Q(state__in=ImportState.values)),
            models.CheckConstraint(
                name="applied_imports_say_when",
                condition=Q(state__in=["applied", "undone"], applied_at__isnull=False)
                | Q(state__in=["previewed", "discarded"], applied_at__isnull=True),
            ),
            models.CheckConstraint(
                name="undone_imports_say_when",
                condition=Q(state="undone", undone_at__isnull=False) | (~Q(state="undone") & Q(undone_at__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["site", "digest"], condition=Q(state="applied"), name="file_is_applied_once_at_a_site"
            ),
        ]

    def __str__(self) -> str:
        return f"import {self.pk}"

    @property
    def problems(self) -> int:
        """How many entries are refused or in conflict."""
        return sum(self.counts.get(verdict.value, 0) for verdict in (Verdict.REFUSED, Verdict.CONFLICT))


class ImportRow(models.Model):
    """One entry of a file: its cells as they stood there, and what becomes of them.

    A working copy, thrown away with the preview: what is applied is in the forms and their history.
    """

    access: ClassVar[Access] = OF_A_SITE_FOR_A_TIME

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rows", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    """Place in the file, over all its sheets, from 1."""
    line = models.PositiveIntegerField()
    """Line of its sheet or file."""
    form = models.TextField()
    record_id = models.TextField()
    """As it stands in the file; blank for a new patient who gets the next number."""
    instance = models.PositiveIntegerField(null=True)
    version = models.PositiveIntegerField(null=True)
    """The version that the template was made from, if the file says so."""
    cells = models.JSONField(default=dict)
    """Text by column."""
    unread = models.JSONField(default=list)
    """What could not be read: field, code, words."""
    choices = models.JSONField(default=dict)
    """By field in conflict: whether the file's value is taken, and the version of the entry that was looked at."""
    verdict = models.TextField(choices=Verdict.choices, default=Verdict.UNCHANGED)
    findings = models.JSONField(default=list)
    """The cells of which there is something to say; see `crf.imports.merging.Cell`."""
    done = models.JSONField(null=True)
    """What applying did, for undoing it; see `crf.imports.undoing`."""

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["of", "number"], name="import_row_has_its_place")]

    def __str__(self) -> str:
        return f"row {self.number} of import {self.of_id}"
