"""What every form stands on: sites, people, their memberships and tokens, and answers kept for repeated requests."""

from typing import Any, ClassVar

import pgtrigger
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from registry.history import track
from registry.rights import Right, Role
from registry.row_security import ADDED_TO, OF_A_SITE, OF_THE_SYSTEM, SHARED, Access, of_a_person

SITE_CODE = r"^[A-Z][A-Z0-9]{1,7}$"


@track
class Site(models.Model):
    """A department that records patients; its code starts the record id of each of them."""

    access: ClassVar[Access] = SHARED

    code = models.CharField(_("code"), primary_key=True, max_length=8, validators=[RegexValidator(SITE_CODE)])
    name = models.CharField(_("name"), max_length=200)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(name="site_code_is_capitals", condition=Q(code__regex=SITE_CODE)),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class PersonManager(BaseUserManager["Person"]):
    """Makes people; who may do what is said by memberships, never by a flag on the person."""

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "Person":
        """Save and return a person; without a password nobody can sign in as them."""
        person = self.model(username=username, **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person


@track(exclude=["password", "last_login", "session_generation", "must_change_password"])
class Person(AbstractBaseUser):
    """Somebody who signs in or whose token a script carries."""

    access: ClassVar[Access] = SHARED

    username = models.CharField(_("user name"), max_length=150, unique=True)
    full_name = models.CharField(_("name"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    session_generation = models.PositiveIntegerField(default=0)
    """Counts how often all sessions of the person were ended; each session holds to the number it began with."""

    must_change_password = models.BooleanField(default=False)
    """Whether somebody else has seen the password: then it is changed at the next sign-in, before anything else."""

    objects: ClassVar[PersonManager] = PersonManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name_plural = "people"
        ordering = ["username"]

    def __str__(self) -> str:
        return self.full_name or self.username

    def get_session_auth_hash(self) -> str:
        """Return what a session must carry to be the person's: it changes with the password and the generation."""
        made_of = f"{super().get_session_auth_hash()} {self.session_generation}"
        return salted_hmac("registry.models.Person.session", made_of, algorithm="sha256").hexdigest()


@track
class Membership(models.Model):
    """A role of a person at one site, or at all sites (no site), from a day and until one."""

    access: ClassVar[Access] = SHARED

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=20, choices=Role.choices)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, null=True, blank=True, help_text=_("Blank: all sites"))
    starts_on = models.DateField(_("from"))
    ends_on = models.DateField(_("until"), null=True, blank=True)

    class Meta:
        ordering = ["person", "site", "role"]
        constraints = [
            models.CheckConstraint(name="membership_role_is_known", condition=Q(role__in=Role.values)),
            models.CheckConstraint(
                name="membership_ends_after_it_starts",
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
            ),
            models.UniqueConstraint(
                fields=["person", "role", "site", "starts_on"], nulls_distinct=False, name="membership_is_given_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} is {self.role} at {self.site_id or 'all sites'}"


@track(exclude=["digest", "last_used_at"])
class Token(models.Model):
    """An API token of one person, optionally for one site or some of the person's rights; only its hash is kept."""

    access: ClassVar[Access] = SHARED

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="tokens")
    digest = models.BinaryField(_("SHA-256 of the token"), max_length=32, unique=True)
    hint = models.CharField(_("first characters"), max_length=4)
    name = models.CharField(_("what it is for"), max_length=100, blank=True)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, null=True, blank=True)
    rights = ArrayField(models.CharField(max_length=40), null=True, blank=True, help_text=_("Blank: all rights"))
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="token_rights_are_known",
                condition=Q(rights__isnull=True) | Q(rights__contained_by=[right.value for right in Right]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hint}… of {self.person}"


class IdempotentAnswer(models.Model):
    """The first answer to a POST that carried an `Idempotency-Key`, given again when the request is repeated.

    Written in the transaction of the request itself: an answer is here if and only if what it reports was saved.
    """

    access: ClassVar[Access] = of_a_person("person_id")

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=300)
    request_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField()
    body = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "key"], name="idempotency_key_is_used_once")]

    def __str__(self) -> str:
        return f"answer {self.status} of {self.created_at:%Y-%m-%d %H:%M}"


class Heart(models.TextChoices):
    """A program that shows by heartbeats that it lives."""

    SCHEDULER = "scheduler", _("Scheduler")
    WORKER = "worker", _("Worker")


class Heartbeat(models.Model):
    """When a kind of program last showed that it lives, by the clock of the database."""

    access: ClassVar[Access] = SHARED

    kind = models.CharField(primary_key=True, max_length=20, choices=Heart.choices)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(name="heartbeat_kind_is_known", condition=Q(kind__in=Heart.values))]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


class HistoryChain(models.Model):
    """How far a chain of the history has come, and the digest of its last row. Triggers alone write it."""

    # Chains of people and roles belong to no site: who verifies them is the system.
    access: ClassVar[Access] = Access("SELECT", f"{OF_A_SITE.condition} OR (site_id IS NULL AND {OF_THE_SYSTEM})")

    chain = models.TextField(primary_key=True)
    site_id = models.TextField(null=True)  # noqa: DJ001 -- people and sites have chains that belong to no site
    length = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.chain}, {self.length} rows"


class SignInEvent(models.Model):
    """Something that happened on the way in or out. Rows are added, never changed.

    A failure under a name that nobody has is kept without the name: people type their passwords there.
    """

    access: ClassVar[Access] = ADDED_TO

    class Kind(models.TextChoices):
        """What happened."""

        SIGNED_IN = "signed_in", _("Signed in")
        SIGNED_OUT = "signed_out", _("Signed out")
        TIMED_OUT = "timed_out", _("Session ended by itself")
        FAILED = "failed", _("Wrong user name or password")
        WRONG_CODE = "wrong_code", _("Wrong code")
        REFUSED = "refused", _("Refused although an issuer vouched for them")
        LOCKED_OUT = "locked_out", _("Refused while locked out")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        PASSWORD_RESET = "password_reset", _("Password reset by e-mail")
        CODES_SET_UP = "codes_set_up", _("Second factor set up")
        CODES_REMOVED = "codes_removed", _("Second factor removed")
        RECOVERY_CODE_USED = "recovery_code_used", _("Recovery code used")
        PASSWORD_GIVEN = "password_given", _("New password given")
        LINK_SENT = "link_sent", _("Link to choose a password sent")
        LOCK_OUT_LIFTED = "lock_out_lifted", _("Lock-out lifted")
        SESSIONS_ENDED = "sessions_ended", _("Other sessions ended")

    at = models.DateTimeField(db_default=Now(), db_index=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="sign_in_events")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    """Who did it, where it was not the person."""
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["-at", "-pk"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class CacheEntry(models.Model):
    """A row of Django's cache (`CACHES`), which reads and writes the table itself; declared to have it migrated."""

    access: ClassVar[Access] = SHARED

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.cache_key


CARE = ("made_backup", "verified_history")
"""Kinds of access that look after the data."""


class AccessEvent(models.Model):
    """Somebody saw or took data of patients: identifiers read, an export asked for, its file fetched.

    One row for each site that a request touched. It is added to, and nothing else; `actor` is as in the history.
    """

    access: ClassVar[Access] = Access("SELECT, INSERT", "site_id = ANY ((SELECT ecrf_sites())::text[])")

    at = models.DateTimeField(db_default=Now())
    kind = models.TextField()
    actor = models.JSONField()
    site_id = models.TextField()
    record_id = models.TextField(blank=True, default="")
    """The patient, where it was one."""
    details = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(name="accesses_by_time", fields=["at"]),
            # The health page asks for the last of each, among very many others.
            models.Index(name="care_by_time", fields=["kind", "at"], condition=Q(kind__in=CARE)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"
