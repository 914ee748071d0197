"""The identifiers of patients: the next free one at a site, and another one for a patient who has a wrong one.

A number is given once at a site, also to patients that were deleted since.
"""

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from crf.batch import RECORD_ID, number_of
from crf.charts import known_patients
from crf.forms import patient_form
from crf.locks import is_locked_anywhere
from crf.refusals import Locked, NotAllowed, NotFound
from crf.storage import select_entries
from registry.rights import Caller, Right


class RecordIdNotFree(ValueError):
    """The new identifier is taken or not one of the site; the message says which."""


def next_record_id(site: str, *, hold: bool = False) -> str:
    """Return the identifier after the highest of a site.

    With `hold` whoever else numbers a patient there waits until the transaction ends.
    """
    with connection.cursor() as cursor:
        if hold:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('crf_patient.number'), hashtext(%s))", [site])
        cursor.execute("SELECT COALESCE(max(number), 0) FROM crf_patient WHERE site_id = %s", [site])
        highest = cursor.fetchone()[0]
    return f"{site}-{highest + 1:03d}"


def following(record_id: str) -> str:
    """Return the identifier after this one: MTP-008 after MTP-007."""
    return f"{record_id.rpartition('-')[0]}-{number_of(record_id) + 1:03d}"


def rename_patient(record_id: str, *, to: str, by: Caller) -> None:
    """Give a patient another identifier of the same site; the other forms follow.

    Raises NotFound, NotAllowed, Locked, RecordIdNotFree.
    """
    spelled = RECORD_ID.fullmatch(record_id)
    readable = by.sites_with(Right.READ)
    known = known_patients([record_id], forms=[patient_form()], sites=readable, hold=True) if spelled else {}
    if record_id not in known:
        raise NotFound
    site = known[record_id].site
    if not by.may(Right.ENTER, at=site):
        raise NotAllowed
    new = RECORD_ID.fullmatch(to)
    if new is None or new.group(1) != site:
        raise RecordIdNotFree(_("The new identifier is not of the form %(site)s-001.") % {"site": site})
    (patient,) = select_entries(patient_form(), where="record_id = %s", parameters=[record_id])
    if patient.locked or is_locked_anywhere(record_id):
        raise Locked
    if to == record_id:
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE crf_patient SET record_id = %s, number = %s, version = version + 1, updated_at = now()"
                " WHERE record_id = %s",
                [to, number_of(to), record_id],
            )
    except IntegrityError:
        raise RecordIdNotFree(_("There is a patient with this identifier already. Give a free one.")) from None
