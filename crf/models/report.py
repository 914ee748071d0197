"""Saved reports: which variables of which rows, for everybody who may read."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from registry.history import track
from registry.models import Person
from registry.rights import Caller, Right
from registry.row_security import SHARED, Access


class ReportQuerySet(models.QuerySet["Report"]):
    """Saved reports."""

    def visible_to(self, caller: Caller) -> "ReportQuerySet":
        """Return the reports that `caller` may use: all for who may read entries of any site, else none."""
        return self.all() if caller.may_anywhere(Right.READ) else self.none()


@track
class Report(models.Model):
    """A question to the data that is asked again and again. It holds no patient data: everybody gets their own rows.

    `name` is for programs, `title` for people. No `variables` means all of the forms; no `forms`, all forms.
    """

    access: ClassVar[Access] = SHARED

    name = models.CharField(max_length=50, unique=True)
    title = models.CharField(max_length=200)
    forms = ArrayField(models.TextField(), default=list)
    variables = ArrayField(models.TextField(), default=list)
    filter = models.TextField(default="")
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[ReportQuerySet] = ReportQuerySet.as_manager()  # type: ignore[assignment]  # as in crf/forms.py

    class Meta:
        ordering = ["id"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.title
