"""What people attest of exact values: source data verification (SDV) by a monitor, signature by an investigator.

Both name the version they were given for and keep the SHA-256 of its values. They drop by a trigger when a value
changes, whichever way the change came (`crf.models.attestation`). Locked entries can be verified and signed.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from crf import storage
from crf.charts import known_patients
from crf.forms import Form, Status, all_forms
from crf.models.attestation import Meaning, Signature, Verification
from crf.refusals import NotAllowed, NotFound, Stale
from crf.storage import Entry
from registry.models import Person
from registry.rights import Caller, Right


class AlreadyAttested(Exception):
    """The same is attested and in force."""


class NotComplete(Exception):
    """Only complete forms are signed; `entries` are those that are not."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__(len(entries))
        self.entries = list(entries)


def canonical(entry: Entry) -> bytes:
    """Return the values of an entry in the one spelling whose SHA-256 is kept.

    UTF-8 JSON, names sorted, no blanks: record id, form, instance, status, missing-value reasons, and each variable as
    CSV carries it, null where there is none.
    """
    variables = entry.form.variables()
    values = {name: None if value is None else variables[name].to_text(value) for name, value in entry.values.items()}
    content = {
        "record_id": entry.record_id,
        "form": entry.form.form_name(),
        "instance": entry.instance,
        "status": str(entry.status.label),
        "missing": entry.missing,
        "values": values,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def verify(form: type[Form], record_id: str, instance: int, *, version: int, by: Caller, now: datetime) -> Verification:
    """Attest that a version of an entry was compared with the source.

    Raises NotFound, NotAllowed, Stale, AlreadyAttested.
    """
    _hold_patient(record_id, right=Right.VERIFY, by=by)
    entry = _hold_entry(form, record_id, instance, version=version)
    try:
        with transaction.atomic():
            return Verification.objects.create(**_bound(entry, by=by, now=now))
    except IntegrityError as error:
        raise AlreadyAttested from error


def sign_entry(
    form: type[Form], record_id: str, instance: int, *, version: int, meaning: Meaning, by: Caller, now: datetime
) -> Signature:
    """Sign a version of an entry; the caller has proved to be the person, with the password.

    Raises NotFound, NotAllowed, Stale, NotComplete, AlreadyAttested.
    """
    _hold_patient(record_id, right=Right.SIGN, by=by)
    entry = _hold_entry(form, record_id, instance, version=version)
    (signature,) = _sign([entry], meaning=meaning, by=by, now=now)
    return signature


def sign_patient(record_id: str, *, meaning: Meaning, by: Caller, now: datetime) -> list[Signature]:
    """Sign each entry of a patient as it is saved; those with such a signature in force keep it.

    Raises NotFound, NotAllowed, NotComplete, AlreadyAttested.
    """
    _hold_patient(record_id, right=Right.SIGN, by=by)
    entries = [entry for form in all_forms() for entry in _held(form, "record_id = %s", [record_id])]
    in_force = Signature.objects.filter(patient_id=record_id, person=by.person_id, meaning=meaning, dropped_at=None)
    signed = set(in_force.values_list("form", "instance"))
    return _sign(
        [entry for entry in entries if (entry.form.form_name(), entry.instance) not in signed],
        meaning=meaning,
        by=by,
        now=now,
    )


def _sign(entries: Sequence[Entry], *, meaning: Meaning, by: Caller, now: datetime) -> list[Signature]:
    if not entries:
        raise AlreadyAttested
    incomplete = [entry for entry in entries if entry.status != Status.COMPLETE]
    if incomplete:
        raise NotComplete(incomplete)
    try:
        with transaction.atomic():
            return [Signature.objects.create(meaning=meaning, **_bound(entry, by=by, now=now)) for entry in entries]
    except IntegrityError as error:
        raise AlreadyAttested from error


def _hold_patient(record_id: str, *, right: Right, by: Caller) -> None:
    """Keep writers of the patient waiting. Raises NotFound, NotAllowed."""
    known = known_patients([record_id], forms=(), sites=by.sites_with(Right.READ), hold=True).get(record_id)
    if known is None:
        raise NotFound
    if not by.may(right, at=known.site):
        raise NotAllowed


def _hold_entry(form: type[Form], record_id: str, instance: int, *, version: int) -> Entry:
    found = _held(form, "record_id = %s AND instance = %s", [record_id, instance])
    if not found:
        raise NotFound
    if found[0].version != version:
        raise Stale(found[0])
    return found[0]


def _held(form: type[Form], where: str, parameters: Sequence[Any]) -> list[Entry]:
    """Return entries whose rows nobody changes until the transaction ends, not even past the entry service."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT FROM {storage.table_of(form).quoted} WHERE {where} FOR SHARE", parameters)
    return storage.select_entries(form, where=where, parameters=parameters)


def _bound(entry: Entry, *, by: Caller, now: datetime) -> dict[str, Any]:
    """Return the columns of an attestation of an entry as it is."""
    person = Person.objects.get(username=by.username)
    return {
        "site_id": entry.site,
        "patient_id": entry.record_id,
        "form": entry.form.form_name(),
        "instance": entry.instance,
        "version": entry.version,
        "sha256": hashlib.sha256(canonical(entry)).hexdigest(),
        "person": person,
        "name": person.full_name or person.username,
        "at": now,
    }
