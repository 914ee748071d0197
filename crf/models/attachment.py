"""Stored files of entries: what is known of each, and apart from it the bytes.

A row is added when a file is stored and never changes; which of them an entry shows is said by the value of its
variable, the name of the file. So replacing and removing keep what was there before, and the history of the entry
tells who did it, when and why.
"""

from dataclasses import replace
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from crf.constraints import OfPatientAtSite, patient_key, site_key
from crf.pictures import CONTENT_TYPES
from registry.history import track
from registry.row_security import OF_A_SITE, Access

ADDED_TO_AT_A_SITE = replace(OF_A_SITE, grants="SELECT, INSERT")


@track
class Attachment(models.Model):
    """One file that was stored at a variable of an entry."""

    access: ClassVar[Access] = ADDED_TO_AT_A_SITE

    site = site_key()
    patient = patient_key()
    form = models.TextField()
    instance = models.PositiveSmallIntegerField()
    variable = models.TextField()
    name = models.TextField()
    """The value of the variable; made of its name and the digest, never of what the file was called."""
    content_type = models.TextField()
    sha256 = models.CharField(max_length=64)
    """Of the bytes that are kept."""
    size = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    stored_at = models.DateTimeField()
    stored_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [
            OfPatientAtSite(name="attachment_is_at_the_site_of_its_patient"),
            models.CheckConstraint(
                name="attachment_is_jpeg_or_png", condition=Q(content_type__in=sorted(CONTENT_TYPES.values()))
            ),
            models.UniqueConstraint(
                fields=["patient", "form", "instance", "variable", "name"], name="attachment_is_stored_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.patient_id} {self.form} {self.instance}"


class AttachmentContent(models.Model):
    """The bytes of a stored file, and of a small picture of it; read by their key alone."""

    access: ClassVar[Access] = ADDED_TO_AT_A_SITE

    attachment = models.OneToOneField(Attachment, on_delete=models.PROTECT, primary_key=True, related_name="+")
    site = site_key()
    patient = patient_key()
    content = models.BinaryField()
    thumbnail = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [OfPatientAtSite(name="content_is_at_the_site_of_its_patient")]

    def __str__(self) -> str:
        return f"content of {self.attachment_id}"
