"""The list of charts that have changed since their endpoints were computed."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from registry.row_security import OF_A_SITE_FOR_A_TIME, Access


class ChartChange(models.Model):
    """One change to the chart of a patient, written by a trigger on every form.

    A list to which writers only add: they never wait for the worker that reads it. Whoever computes takes rows off
    first, in the transaction that computes, so that a change made meanwhile stays on the list.
    """

    access: ClassVar[Access] = OF_A_SITE_FOR_A_TIME

    record_id = models.TextField()
    site_id = models.TextField()
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.record_id} at {self.changed_at}"
