"""The adverse event as a plain Django model: the same columns, no history, no checks, no constraints of ours."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from crf.models.adverse_event import AdverseEvent

CODES = {name: list(variable.codes.items()) for name, variable in AdverseEvent.variables().items()}


class BareEvent(models.Model):
    """One adverse event, as a tutorial would store it."""

    record_id = models.TextField()
    site = models.CharField(max_length=8)
    instance = models.PositiveSmallIntegerField()
    status = models.PositiveSmallIntegerField(default=2)
    version = models.PositiveIntegerField(default=1)
    missing = models.JSONField(default=dict, blank=True)
    locked = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    ae_term = models.TextField()
    ae_category = models.CharField(max_length=40, choices=CODES["ae_category"], null=True, blank=True)  # noqa: DJ001 -- as our row has it
    ae_grade = models.CharField(max_length=1, choices=CODES["ae_grade"])
    ae_start = models.CharField(max_length=10)
    ae_end = models.CharField(max_length=10, null=True, blank=True)  # noqa: DJ001 -- as our row has it
    ae_serious = models.BooleanField()
    ae_serious_criteria = ArrayField(models.CharField(max_length=40), null=True, blank=True)
    ae_related = models.CharField(max_length=40, choices=CODES["ae_related"])
    ae_action = models.CharField(max_length=40, choices=CODES["ae_action"])
    ae_outcome = models.CharField(max_length=40, choices=CODES["ae_outcome"])
    ae_special_interest = models.CharField(max_length=40, choices=CODES["ae_special_interest"])
    ae_notes = models.TextField(null=True, blank=True)  # noqa: DJ001 -- as our row has it

    class Meta:
        managed = False  # made by the benchmarks, each time anew
        indexes = [models.Index(fields=["record_id", "instance"], name="bare_event_of_patient")]

    def __str__(self) -> str:
        return self.ae_term
