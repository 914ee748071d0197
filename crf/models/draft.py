"""Drafts: what a person has typed into a form and not saved yet."""

from dataclasses import replace
from typing import ClassVar

from django.conf import settings
from django.db import models

from crf.constraints import OfPatientAtSite, patient_key, site_key
from registry.row_security import OF_A_SITE, Access, of_a_person


class Draft(models.Model):
    """What one person has typed into one form: texts as they stand in the fields, not values.

    `patient` is null for a patient who is being enrolled, `instance` for an entry that is being added; `version` is the
    one that a change began from. Nobody else sees it, and its author only while they may see its site.

    There is no history of it: what was never saved is not part of the study's data, it is replaced with every
    keystroke, and it goes when its form is saved, which the history does keep.
    """

    access: ClassVar[Access] = replace(
        OF_A_SITE,
        grants="SELECT, INSERT, UPDATE, DELETE",
        condition=f"{OF_A_SITE.condition} AND {of_a_person('person_id').condition}",
    )

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    site = site_key()
    patient = patient_key(null=True)
    form = models.TextField()
    instance = models.PositiveSmallIntegerField(null=True)
    version = models.PositiveIntegerField(null=True)
    typed = models.JSONField()
    updated_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            OfPatientAtSite(name="draft_is_at_the_site_of_its_patient"),
            models.UniqueConstraint(
                fields=["person", "site", "patient", "form", "instance"],
                nulls_distinct=False,
                name="one_draft_a_person_and_place",
            ),
        ]
        indexes = [models.Index(fields=["updated_at"], name="draft_by_age")]

    def __str__(self) -> str:
        return f"draft {self.pk}: {self.form} {self.instance or 'new'} of {self.patient_id or 'a new patient'}"
