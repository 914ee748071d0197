"""What every form stands on: sites, people, their memberships and tokens, and answers kept for repeated requests."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from registry.history import track
from registry.rights import Role
from registry.row_security import SHARED, Access, of_a_person

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


@track(exclude=["password", "last_login"])
class Person(AbstractBaseUser):
    """Somebody who signs in or whose token a script carries."""

    access: ClassVar[Access] = SHARED

    username = models.CharField(_("user name"), max_length=150, unique=True)
    full_name = models.CharField(_("name"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    objects: ClassVar[PersonManager] = PersonManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name_plural = "people"
        ordering = ["username"]

    def __str__(self) -> str:
        return self.full_name or self.username


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
    """An API token of one person, optionally for one site; only its hash is kept."""

    access: ClassVar[Access] = SHARED

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="tokens")
    digest = models.BinaryField(_("SHA-256 of the token"), max_length=32, unique=True)
    hint = models.CharField(_("first characters"), max_length=4)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

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

    access: ClassVar[Access] = Access("SELECT", "site_id IS NULL OR site_id = ANY ((SELECT ecrf_sites())::text[])")

    chain = models.TextField(primary_key=True)
    site_id = models.TextField(null=True)  # noqa: DJ001 -- people and sites have chains that belong to no site
    length = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.chain}, {self.length} rows"
