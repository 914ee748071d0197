"""A job is a row first: whatever happens to a message or a worker, the row says what is still to be done."""

from typing import ClassVar
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from registry.models import Person, Token
from registry.rights import Caller, Right
from registry.row_security import Access, of_a_person


class Kind(models.TextChoices):
    """What a job does."""

    EXPORT = "export", _("Export")
    ENDPOINTS = "endpoints", _("Endpoints")


class State(models.TextChoices):
    """How far a job has come."""

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN = (State.WAITING, State.RUNNING)
ENDED = (State.DONE, State.FAILED, State.CANCELLED)
_CLAIMED = Q(claim__isnull=False, heartbeat_at__isnull=False)


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs by who may know of them."""

    def visible_to(self, caller: Caller) -> "JobQuerySet":
        """Return the jobs that the caller asked for, of sites that they may still see."""
        sites = sorted(caller.sites_with(Right.READ))
        return self.filter(requested_by=caller.person_id, sites__contained_by=sites)


class Job(models.Model):
    """One export or one computation of the endpoints, from the request to its end.

    `claim` is the number of the attempt that may write to the row: each new attempt has another one, so that a worker
    that was given up for dead and comes back can change nothing. `rows` says for each sheet of an export how many
    rows were `counted` in the snapshot and `written` to the file. `error` is for the person who asked, and holds no
    data of patients; `error_code` says the same to programs. A job without `requested_by` is the system's own.
    """

    access: ClassVar[Access] = of_a_person("requested_by_id")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    progress = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(100)])
    error = models.TextField(default="", blank=True)
    error_code = models.CharField(max_length=40, default="", blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(db_default=Now())
    # People and tokens that asked for something are deactivated, not deleted: a job must not become the system's own.
    requested_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    token = models.ForeignKey(Token, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    sites = ArrayField(models.CharField(max_length=8), default=list)
    parameters = models.JSONField(default=dict)
    rows = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64, default="", blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True)
    file_name = models.CharField(max_length=200, default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Job"]] = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(name="job_kind_is_known", condition=Q(kind__in=Kind.values)),
            models.CheckConstraint(name="job_state_is_known", condition=Q(state__in=State.values)),
            models.CheckConstraint(name="job_progress_is_a_percentage", condition=Q(progress__range=(0, 100))),
            models.CheckConstraint(
                name="job_is_claimed_while_it_runs",
                condition=(Q(state=State.RUNNING) & _CLAIMED) | (~Q(state=State.RUNNING) & Q(claim__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_has_an_end_when_it_ended",
                condition=Q(state__in=ENDED, finished_at__isnull=False)
                | (~Q(state__in=ENDED) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(name="job_that_failed_says_why", condition=~Q(state=State.FAILED) | ~Q(error="")),
            models.CheckConstraint(
                name="job_that_is_done_is_whole", condition=~Q(state=State.DONE) | Q(progress=100, error="")
            ),
            models.CheckConstraint(
                name="job_file_has_its_digest",
                condition=Q(file_name="", sha256="", size__isnull=True)
                | Q(state=State.DONE, sha256__regex=r"^[0-9a-f]{64}$", size__isnull=False) & ~Q(file_name=""),
            ),
        ]
        indexes = [
            # What the sweep looks for; few jobs are open at a time.
            models.Index(name="open_jobs", fields=["created_at"], condition=Q(state__in=OPEN)),
            models.Index(name="jobs_of_a_person", fields=["requested_by", "-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}, {self.state}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED
