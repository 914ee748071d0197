"""Locking: a site, a patient, a form of a patient or an instance stays as it is until the lock is lifted.

A lock is a row. Every entry that it covers is marked `locked`; triggers (`crf.guards`) refuse changes of marked rows,
new rows under a lock, and marks that no lock stands behind. Who locks waits for the writers at work, and the next
writers wait for who locks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet

from crf import storage
from crf.forms import Form, all_forms, forms_by_name, patient_form
from crf.models.lock import Lock
from crf.refusals import NotAllowed, NotFound
from registry.rights import Caller, Right


class AlreadyLocked(Exception):
    """The very place has a lock in force."""


class AlreadyUnlocked(Exception):
    """The lock was lifted before."""


@dataclass(frozen=True)
class Target:
    """A place to lock: a site; or a patient, with a form, with an instance, each narrower than the one before."""

    site: str | None = None
    record_id: str | None = None
    form: type[Form] | None = None
    instance: int | None = None


def visible_locks(by: Caller) -> QuerySet[Lock]:
    """Return the locks that the caller may see."""
    return Lock.objects.filter(site_id__in=by.sites_with(Right.READ))


def lock(target: Target, *, reason: str, by: Caller, now: datetime) -> Lock:
    """Lock a place and mark the entries there. Raises NotFound, NotAllowed, AlreadyLocked."""
    site = _site_of(target, by=by)
    if not by.may(Right.LOCK, at=site):
        raise NotAllowed
    _hold(target, site=site)
    try:
        with transaction.atomic():
            placed = Lock.objects.create(
                site_id=site,
                patient_id=target.record_id,
                form=target.form.form_name() if target.form else None,
                instance=target.instance,
                reason=reason,
                locked_at=now,
                locked_by_id=by.person_id,
            )
    except IntegrityError as error:
        raise AlreadyLocked from error
    _mark(placed, "locked = TRUE", where="NOT locked")
    return placed


def unlock(lock_id: int, *, reason: str, by: Caller, now: datetime) -> Lock:
    """Lift a lock; what another lock covers as well stays locked. Raises NotFound, NotAllowed, AlreadyUnlocked."""
    found = refuse_unless_allowed(lock_id, by=by)
    # The patient first, as when locking: two that lock and unlock there then wait in line.
    _hold(Target(record_id=found.patient_id), site=found.site_id)
    found = Lock.objects.select_for_update().get(pk=lock_id)
    if found.unlocked_at is not None:
        raise AlreadyUnlocked
    found.unlocked_at, found.unlocked_by_id, found.unlock_reason = now, by.person_id, reason
    found.save(update_fields=["unlocked_at", "unlocked_by", "unlock_reason"])
    _mark(found, "locked = FALSE", where="locked AND NOT crf_is_locked(site_id, record_id, {form}, instance)")
    return found


def refuse_unless_allowed(lock_id: int, *, by: Caller) -> Lock:
    """Return a lock that the caller may lift. Raises NotFound, NotAllowed."""
    found = visible_locks(by).filter(pk=lock_id).first()
    if found is None:
        raise NotFound
    if not by.may(Right.LOCK, at=found.site_id):
        raise NotAllowed
    return found


def is_locked_anywhere(record_id: str) -> bool:
    """Return whether a lock is in force on the patient or on anything of the patient."""
    return Lock.objects.filter(patient_id=record_id, unlocked_at__isnull=True).exists()


def forms_without_additions(site: str, *, record_id: str | None = None) -> frozenset[type[Form]]:
    """Return the forms to which nothing can be added, at a patient or without one as a new patient of the site."""
    placed = Lock.objects.filter(Q(patient=None) | Q(patient_id=record_id), site_id=site, instance=None)
    covered = set(placed.filter(unlocked_at__isnull=True).values_list("form", flat=True))
    return frozenset(form for form in all_forms() if covered & {None, form.form_name()})


def _site_of(target: Target, *, by: Caller) -> str:
    """Return the site of a place that the caller may see. Raises NotFound."""
    if target.record_id is None:
        if target.site is None or not by.may(Right.READ, at=target.site):
            raise NotFound
        return target.site
    patients = patient_form().objects.visible_to(by).filter(record_id=target.record_id)
    site: str | None = patients.values_list("site_id", flat=True).first()
    if site is None or target.site not in (None, site):
        raise NotFound
    if target.form is not None and target.instance is not None:
        where = "record_id = %s AND instance = %s"
        if not storage.select_entries(target.form, where=where, parameters=[target.record_id, target.instance]):
            raise NotFound
    return site


def _hold(target: Target, *, site: str) -> None:
    """Wait for the writers at the place, and have the next ones wait until the transaction ends.

    At a site as a whole first for those who hold patients, then for those who bring new ones, then for those who hold
    these: a writer holds patients before bringing one, so that nobody waits in a circle.
    """
    patients = "SELECT FROM crf_patient WHERE {} ORDER BY record_id FOR UPDATE"
    with connection.cursor() as cursor:
        if target.record_id is not None:
            cursor.execute(patients.format("record_id = %s"), [target.record_id])
            return
        cursor.execute(patients.format("site_id = %s"), [site])
        cursor.execute("SELECT FROM registry_site WHERE code = %s FOR UPDATE", [site])
        cursor.execute(patients.format("site_id = %s"), [site])


def _mark(placed: Lock, assignment: str, *, where: str) -> None:
    """Set the mark of the entries that a lock covers, deleted ones included: they cannot be brought back either."""
    conditions, parameters = zip(*_covered(placed), strict=True)
    with connection.cursor() as cursor:
        for form in all_forms() if placed.form is None else (forms_by_name()[placed.form],):
            condition = " AND ".join((*conditions, where.format(form="%s")))
            more = [form.form_name()] if "{form}" in where else []
            sql = f"UPDATE {storage.table_of(form).quoted} SET {assignment} WHERE {condition}"  # noqa: S608 -- constants and identifiers of the declaration
            cursor.execute(sql, [*parameters, *more])


def _covered(placed: Lock) -> Iterator[tuple[str, Any]]:
    yield "site_id = %s", placed.site_id
    if placed.patient_id is not None:
        yield "record_id = %s", placed.patient_id
    if placed.instance is not None:
        yield "instance = %s", placed.instance
