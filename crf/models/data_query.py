"""Data queries: questions about a value, raised by a soft check or asked by a person, and every step of the answer."""

from dataclasses import replace
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Func, Q
from django.utils.translation import gettext_lazy as _

from crf.constraints import OfPatientAtSite, patient_key, site_key
from registry.history import track
from registry.row_security import OF_A_SITE, Access


class ActingDoor(Func):
    """The door of the transaction, as the history has it."""

    function = "crf_door"
    output_field = models.TextField()


class QueryOrigin(models.TextChoices):
    """What asked."""

    SOFT_CHECK = "soft_check", _("Edit check")
    MANUAL = "manual", _("By hand")


class QueryState(models.TextChoices):
    """How far the question has come."""

    OPEN = "open", _("Open")
    ANSWERED = "answered", _("Answered")
    CLOSED = "closed", _("Closed")


class StepKind(models.TextChoices):
    """What was done; what ends in "by system" followed from a change of the data, whose author is the person."""

    OPENED = "opened", _("Opened")
    OPENED_BY_SYSTEM = "opened_by_system", _("Raised by the data")
    ANSWERED = "answered", _("Answered")
    REOPENED = "reopened", _("Reopened")
    REOPENED_BY_SYSTEM = "reopened_by_system", _("Raised again by the data")
    CLOSED = "closed", _("Closed")
    CLOSED_BY_SYSTEM = "closed_by_system", _("No longer raised by the data")


@track
class DataQuery(models.Model):
    """One question about one variable of an entry. A soft check has one query an entry, opened again when need be."""

    access: ClassVar[Access] = OF_A_SITE

    site = site_key()
    patient = patient_key()
    form = models.TextField()
    instance = models.PositiveSmallIntegerField()
    variable = models.TextField()
    text = models.TextField()
    origin = models.TextField(choices=QueryOrigin.choices)
    check_code = models.TextField(null=True)  # noqa: DJ001 -- a query by hand has none
    basis = models.TextField(null=True)  # noqa: DJ001 -- a query by hand has none
    """Digest of the values of the entry that the check looked at when it last found them odd."""
    state = models.TextField(choices=QueryState.choices, default=QueryState.OPEN)
    opened_at = models.DateTimeField()
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    """Who closed it by hand; none when the data did."""

    class Meta:
        default_permissions = ()
        constraints = [
            OfPatientAtSite(name="data_query_is_at_the_site_of_its_patient"),
            models.CheckConstraint(name="query_state_is_known", condition=Q(state__in=QueryState.values)),
            models.CheckConstraint(
                name="query_of_a_check_names_it",
                condition=Q(origin=QueryOrigin.MANUAL, check_code__isnull=True, basis__isnull=True)
                | Q(origin=QueryOrigin.SOFT_CHECK, check_code__isnull=False, basis__isnull=False),
            ),
            models.CheckConstraint(
                name="closed_queries_say_when",
                condition=Q(state=QueryState.CLOSED, closed_at__isnull=False)
                | (~Q(state=QueryState.CLOSED) & Q(closed_at__isnull=True, closed_by__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["patient", "form", "instance", "check_code", "variable"],
                condition=Q(origin=QueryOrigin.SOFT_CHECK),
                name="check_has_one_query_an_entry",
            ),
        ]
        indexes = [
            models.Index(fields=["patient", "form", "instance"], name="query_of_entry"),
            models.Index(fields=["site", "state"], name="query_of_site"),
        ]

    def __str__(self) -> str:
        return f"query {self.pk} on {self.patient_id} {self.form} {self.instance} {self.variable}: {self.state}"


@track
class DataQueryStep(models.Model):
    """One step of a query. Steps are added, never changed."""

    access: ClassVar[Access] = replace(OF_A_SITE, grants="SELECT, INSERT")

    query = models.ForeignKey(DataQuery, on_delete=models.PROTECT, related_name="steps")
    site = site_key()
    patient = patient_key()
    kind = models.TextField(choices=StepKind.choices)
    text = models.TextField(blank=True)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    door = models.TextField(db_default=ActingDoor())
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            OfPatientAtSite(name="query_step_is_at_the_site_of_its_patient"),
            models.CheckConstraint(name="query_step_kind_is_known", condition=Q(kind__in=StepKind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"
