"""How an entry, a patient or a site stands: locked, verified, signed, by whom and when, and who may change that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from crf import locks
from crf.forms import Form, Status, forms_by_name, patient_form
from crf.locks import Target
from crf.models.attestation import Attestation, Signature, Verification
from crf.models.lock import Lock
from crf.refusals import NotFound
from crf.storage import Entry, select_entries
from registry.rights import Caller, Right

ENTRY, FORM, PATIENT, SITE = "entry", "form", "patient", "site"
"""How far a lock reaches."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A place (`target`) at a site, with its locks, verifications and signatures, the latest first.

    `entry` is what is there when the place is an entry. `may` are the rights that the caller has at the site.
    """

    target: Target
    site: str
    may: frozenset[Right]
    entry: Entry | None = None
    locks: Sequence[Lock] = ()
    verifications: Sequence[Verification] = ()
    signatures: Sequence[Signature] = ()

    @property
    def locks_in_force(self) -> list[Lock]:
        """The locks that cover the place."""
        return [lock for lock in self.locks if lock.unlocked_at is None]

    @property
    def lifted_locks(self) -> list[Lock]:
        """The locks that covered it."""
        return [lock for lock in self.locks if lock.unlocked_at is not None]

    @property
    def verification(self) -> Verification | None:
        """The verification in force."""
        return next((found for found in self.verifications if found.dropped_at is None), None)

    @property
    def signatures_in_force(self) -> list[Signature]:
        """The signatures in force."""
        return [found for found in self.signatures if found.dropped_at is None]

    @property
    def dropped(self) -> list[Attestation]:
        """What no longer holds: the last verification and the last signature of each person that a change dropped."""
        standing = {(type(found), found.person_id) for found in self._all() if found.dropped_at is None}
        latest: dict[Any, Attestation] = {}
        for found in self._all():
            key = (type(found), found.person_id)
            if key not in standing:
                latest.setdefault(key, found)
        return list(latest.values())

    @property
    def earlier(self) -> list[Attestation]:
        """Everything that was attested and holds no longer."""
        return sorted((found for found in self._all() if found.dropped_at), key=lambda found: found.at, reverse=True)

    @property
    def complete(self) -> bool:
        """Whether the entry is complete, as what is signed must be."""
        return self.entry is not None and self.entry.status == Status.COMPLETE

    def _all(self) -> list[Attestation]:
        return [*self.verifications, *self.signatures]


def standing_of_entry(form: type[Form], record_id: str, instance: int, *, by: Caller) -> Standing:
    """Return how an entry stands. Raises NotFound."""
    where = "record_id = %s AND instance = %s AND site_id = ANY(%s)"
    readable = sorted(by.sites_with(Right.READ))
    found = select_entries(form, where=where, parameters=[record_id, instance, readable])
    if not found:
        raise NotFound
    (standing,) = standings_of(found, by=by)
    return standing


def standings_of(entries: Sequence[Entry], *, by: Caller) -> list[Standing]:
    """Return how entries of one patient stand, in their order: three questions to the database."""
    if not entries:
        return []
    record_id, site = entries[0].record_id, entries[0].site
    placed = list(_locks(by, site=site).filter(Q(patient=None) | Q(patient_id=record_id)))
    verified = _by_place(Verification.objects.filter(patient_id=record_id))
    signed = _by_place(Signature.objects.filter(patient_id=record_id))
    may = _rights(by, at=site)
    return [
        Standing(
            target=Target(record_id=record_id, form=entry.form, instance=entry.instance),
            site=site,
            may=may,
            entry=entry,
            locks=[lock for lock in placed if _covers(lock, entry)],
            verifications=verified.get((entry.form.form_name(), entry.instance), []),
            signatures=signed.get((entry.form.form_name(), entry.instance), []),
        )
        for entry in entries
    ]


def standing_of_patient(record_id: str, *, by: Caller, site: str | None = None) -> Standing:
    """Return how a patient as a whole stands; `site` where it is known that `by` sees the patient. Raises NotFound."""
    if site is None:
        visible = patient_form().objects.visible_to(by).filter(record_id=record_id)
        site = visible.values_list("site_id", flat=True).first()
    if site is None:
        raise NotFound
    placed = _locks(by, site=site).filter(Q(patient=None) | Q(patient_id=record_id, form=None))
    return Standing(target=Target(record_id=record_id), site=site, may=_rights(by, at=site), locks=list(placed))


def standing_of_site(site: str, *, by: Caller) -> Standing:
    """Return how a site as a whole stands. Raises NotFound."""
    if not by.may(Right.READ, at=site):
        raise NotFound
    placed = list(_locks(by, site=site).filter(patient=None))
    return Standing(target=Target(site=site), site=site, may=_rights(by, at=site), locks=placed)


def reach_of(lock: Lock) -> str:
    """Return how far a lock reaches: an entry, a form of a patient, a patient or a site."""
    if lock.patient_id is None:
        return SITE
    if lock.form is None:
        return PATIENT
    return FORM if lock.instance is None and forms_by_name()[lock.form].repeating else ENTRY


def _rights(by: Caller, *, at: str) -> frozenset[Right]:
    return frozenset(right for right in Right if by.may(right, at=at))


def _locks(by: Caller, *, site: str) -> QuerySet[Lock]:
    rows = locks.visible_locks(by).filter(site_id=site)
    return rows.select_related("locked_by", "unlocked_by").order_by("-pk")


def _covers(lock: Lock, entry: Entry) -> bool:
    return lock.form in (None, entry.form.form_name()) and lock.instance in (None, entry.instance)


def _by_place(rows: Any) -> dict[tuple[str, int], list[Any]]:
    found: dict[tuple[str, int], list[Any]] = {}
    for row in rows.order_by("-pk"):
        found.setdefault((row.form, row.instance), []).append(row)
    return found
