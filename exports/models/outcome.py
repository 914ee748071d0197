"""The computed endpoints: one row a patient, and the summary of the cohort."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from msgspec import json

from exports.endpoints.cohort import CohortSummary
from registry.models import Site
from registry.row_security import OF_A_SITE_FOR_A_TIME, SHARED, Access


class PatientOutcome(models.Model):
    """The endpoints of one patient, computed from the chart as it was at `computed_at`.

    Derived from the forms and from nothing else: it can be thrown away and computed again. A row changes only when
    the endpoints of the patient do.
    """

    access: ClassVar[Access] = OF_A_SITE_FOR_A_TIME

    record_id = models.TextField()
    # Neither a foreign key nor an index: the rows of the forms that this is computed from hold to the site.
    site = models.ForeignKey(Site, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    # JSON as it goes out, kept as text: written and read whole and never taken apart here, at a third of the cost.
    outcome = models.TextField()
    """The names of docs/endpoints.md, "Per patient", all but `evidence`, as a JSON object."""
    evidence = models.TextField()
    """The rows that decided each, as a JSON object of arrays [form, instance]; without names that no row decided."""
    sex = models.TextField(null=True)  # noqa: DJ001 -- not recorded is not the empty text
    discoid = models.BooleanField()
    months_to_last_evaluable = models.FloatField(null=True)
    digest = models.BinaryField(max_length=32)
    """SHA-256 of rules, chart and outcome: tells at once whether a new computation gives the same."""
    computed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["record_id"], name="patient_has_one_outcome")]

    def __str__(self) -> str:
        return f"outcome of {self.record_id}"


class CohortOutcome(models.Model):
    """The summary of all outcomes, overall and by site: a single row.

    `outdated` is set in the transaction that changes an outcome and cleared in the one that summarises, so that a
    worker killed between the two leaves the work to be done, and the figures marked as stale.
    """

    # Figures of all patients together, none of a patient: every role may see them.
    access: ClassVar[Access] = SHARED

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # As text, for the order of the figures: PostgreSQL's jsonb would sort them by the length of their names.
    summary_json = models.TextField(null=True)  # noqa: DJ001 -- not computed yet is not the empty text
    computed_at = models.DateTimeField(null=True)
    data_as_of = models.DateTimeField(null=True)
    """Every change saved up to this moment is in the summary."""
    outdated = models.BooleanField(default=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(name="cohort_outcome_is_one_row", condition=Q(id=1)),
            models.CheckConstraint(
                name="cohort_outcome_is_outdated_until_computed",
                condition=Q(outdated=True)
                | Q(summary_json__isnull=False, computed_at__isnull=False, data_as_of__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"cohort as of {self.data_as_of}"

    @property
    def summary(self) -> CohortSummary | None:
        """The summary as docs/endpoints.md gives it, None before it was computed."""
        return None if self.summary_json is None else json.decode(self.summary_json, type=CohortSummary)
