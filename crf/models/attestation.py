"""What people attest of an entry: a monitor its source data verification, an investigator a signature.

Both are bound to the exact values. A trigger of every form (`crf.guards`) drops them when a value changes, whichever
way the change came, and writes down when, by which change and at which variables. Nobody can take that back: the
application's role adds rows and changes none.
"""

from dataclasses import replace
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crf.constraints import OfPatientAtSite, patient_key, site_key
from registry.history import track
from registry.row_security import OF_A_SITE, Access


class Meaning(models.TextChoices):
    """What a signature says."""

    REVIEWED = "reviewed", _("I have reviewed these data.")
    APPROVED = "approved", _("I approve these data.")
    RESPONSIBLE = "responsible", _("I am responsible for these data.")


class Attestation(models.Model):
    """A person's word on one version of one entry."""

    access: ClassVar[Access] = replace(OF_A_SITE, grants="SELECT, INSERT")

    site = site_key()
    patient = patient_key()
    form = models.TextField()
    instance = models.PositiveSmallIntegerField()
    version = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    """Of the canonical values (`crf.attestations.canonical`)."""
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.TextField()
    """The person's name as it was then."""
    at = models.DateTimeField()
    dropped_at = models.DateTimeField(null=True)
    dropped_version = models.PositiveIntegerField(null=True)
    dropped_variables: models.Field[Any, Any] = ArrayField(models.TextField(), null=True)
    dropped_by = models.JSONField(null=True)
    """The actor of the change, as in the history."""

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} by {self.name} of {self.patient_id} {self.form} {self.instance}"


@track
class Verification(Attestation):
    """Source data verification: a monitor has compared an entry with the source."""

    class Meta(Attestation.Meta):
        constraints = [
            OfPatientAtSite(name="verification_is_at_the_site_of_its_patient"),
            models.UniqueConstraint(
                fields=["patient", "form", "instance"],
                condition=Q(dropped_at__isnull=True),
                name="entry_is_verified_once",
            ),
        ]


@track
class Signature(Attestation):
    """An investigator's signature under an entry, with the password given again."""

    meaning = models.TextField(choices=Meaning.choices)

    class Meta(Attestation.Meta):
        constraints = [
            OfPatientAtSite(name="signature_is_at_the_site_of_its_patient"),
            models.CheckConstraint(name="signature_meaning_is_known", condition=Q(meaning__in=Meaning.values)),
            models.UniqueConstraint(
                fields=["patient", "form", "instance", "person", "meaning"],
                condition=Q(dropped_at__isnull=True),
                name="entry_is_signed_once_by_a_person_in_one_sense",
            ),
        ]
