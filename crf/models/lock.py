"""Locks: places in the data where nothing changes until the lock is lifted."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from crf.constraints import OfPatientAtSite, patient_key
from registry.history import track
from registry.models import Site
from registry.row_security import OF_A_SITE, Access


@track
class Lock(models.Model):
    """One lock on a site, a patient, a form of a patient or an instance: what is not named is covered as a whole."""

    access: ClassVar[Access] = OF_A_SITE

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    patient = patient_key(null=True)
    form = models.TextField(null=True)  # noqa: DJ001 -- none: every form
    instance = models.PositiveSmallIntegerField(null=True)
    reason = models.TextField()
    locked_at = models.DateTimeField()
    locked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    unlocked_at = models.DateTimeField(null=True)
    unlocked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    unlock_reason = models.TextField(null=True)  # noqa: DJ001 -- none: in force

    class Meta:
        default_permissions = ()
        constraints = [
            OfPatientAtSite(name="lock_is_at_the_site_of_its_patient"),
            models.CheckConstraint(
                name="lock_names_a_place",
                condition=Q(instance__isnull=True) & (Q(form__isnull=True) | Q(patient__isnull=False))
                | Q(instance__isnull=False, form__isnull=False, patient__isnull=False),
            ),
            models.CheckConstraint(
                name="lifted_locks_say_when_and_why",
                condition=Q(unlocked_at__isnull=True, unlocked_by__isnull=True, unlock_reason__isnull=True)
                | Q(unlocked_at__isnull=False, unlock_reason__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["site", "patient", "form", "instance"],
                condition=Q(unlocked_at__isnull=True),
                nulls_distinct=False,
                name="place_is_locked_once",
            ),
        ]
        indexes = [
            # Asked at every insert: what is in force on a patient, and on a site as a whole.
            models.Index(fields=["patient"], condition=Q(unlocked_at__isnull=True), name="lock_of_patient"),
            models.Index(
                fields=["site"], condition=Q(unlocked_at__isnull=True, patient__isnull=True), name="lock_of_site"
            ),
        ]

    def __str__(self) -> str:
        place = " ".join(str(part) for part in (self.patient_id or self.site_id, self.form, self.instance) if part)
        return f"lock {self.pk} on {place}"
