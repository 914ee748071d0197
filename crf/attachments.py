"""Stored files of entries: photographs of lesions come, go and are shown here, whichever door they came through.

A file belongs to a variable of an entry, whose value is its name. Storing and removing change that value through the
entry service, in one transaction with the bytes: rights, version, reason, locks, edit checks, history, and what is
attested hold as for any other value. What was there before stays stored.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from crf.entry import change_entry, get_entry
from crf.fields import FileField, Unreadable
from crf.forms import Form, all_forms, patient_form
from crf.models.attachment import Attachment, AttachmentContent
from crf.pictures import ENDINGS, Picture, read_picture
from crf.reading import Problem, Submission
from crf.refusals import Locked, NotAllowed, NotFound, Refused, Stale
from crf.storage import Entry, select_entries
from registry.accesses import AccessKind, note_access
from registry.rights import Caller, Right

DIGITS_IN_NAME = 16
"""64 bits of the digest: what is signed or verified is bound to the picture by its name."""


class NoFile(LookupError):
    """The variable of an entry holds no file."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a door received it: its bytes, what it was called, and what it was declared to be."""

    content: bytes
    file_name: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file to be handed out. `download_name` names the patient by record id alone."""

    content: bytes
    content_type: str
    download_name: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file of a patient among the others, in the order of `taken_on`.

    `beside` are labels and values of the variables that the declaration puts beside it.
    """

    entry: Entry
    variable: FileField
    stored: Attachment
    taken_on: Any
    beside: Sequence[tuple[str, str]]


@cache
def file_variables(form: type[Form]) -> Mapping[str, FileField]:
    """Return the variables of a form that hold files, by name."""
    return {name: kind for name, kind in form.variables().items() if isinstance(kind, FileField)}


def store_file(
    form: type[Form],
    record_id: str,
    instance: int,
    variable: str,
    upload: Upload,
    *,
    by: Caller,
    version: int,
    reason: str | None = None,
    now: datetime | None = None,
) -> Entry:
    """Store a photograph at a variable of an entry, over the one that is there; return the entry with its warnings.

    Raises NotFound, NotAllowed, Locked, Stale, ReasonNeeded, Refused.
    """
    now = now or timezone.now()
    current = get_entry(form, record_id, instance, by=by)
    _refuse_in_vain(current, by=by, version=version)
    try:
        picture = _read(upload)
    except Unreadable as unreadable:
        place = (form.form_name(), record_id, instance, variable)
        raise Refused([Problem(*place, unreadable.code, unreadable.message)]) from None
    digest = hashlib.sha256(picture.content).hexdigest()
    name = f"{variable}_{digest[:DIGITS_IN_NAME]}.{ENDINGS[picture.content_type]}"
    submission = Submission(form=form, values={variable: name})
    changed = change_entry(form, record_id, instance, submission, by=by, version=version, reason=reason, now=now)
    _keep(picture, entry=changed, variable=variable, name=name, digest=digest, by=by, now=now)
    return changed


def remove_file(
    form: type[Form],
    record_id: str,
    instance: int,
    variable: str,
    *,
    by: Caller,
    version: int,
    reason: str | None,
    now: datetime | None = None,
) -> Entry:
    """Take the photograph off a variable of an entry; return the entry with its warnings. It stays stored.

    Raises NotFound, NotAllowed, Locked, Stale, NoFile, ReasonNeeded, Refused.
    """
    current = get_entry(form, record_id, instance, by=by)
    _refuse_in_vain(current, by=by, version=version)
    if current.values[variable] is None:
        raise NoFile
    submission = Submission(form=form, values={variable: None})
    return change_entry(form, record_id, instance, submission, by=by, version=version, reason=reason, now=now)


def get_file(
    form: type[Form],
    record_id: str,
    instance: int,
    variable: str,
    *,
    by: Caller,
    name: str | None = None,
    thumbnail: bool = False,
) -> StoredFile:
    """Return the file that an entry shows, or the one called `name` that it shows or has shown; note the access.

    Raises NotFound, NotAllowed (the person may not see identifiers there), NoFile.
    """
    entry = _entry_with_identifiers(form, record_id, instance, by=by)
    wanted = entry.values[variable] if name is None else name
    column = "thumbnail" if thumbnail else "content"
    found = (
        AttachmentContent.objects.filter(**_prefixed(entry, variable), attachment__name=wanted)
        .values_list(column, "attachment__content_type", "attachment__name")
        .first()
    )
    if found is None:
        raise NoFile
    content, content_type, stored_name = found
    details = {"form": form.form_name(), "variable": variable, "file": stored_name}
    note_access(AccessKind.READ_IDENTIFIERS, rows={entry.site: 1}, record_id=record_id, details=details)
    of_patient = f"{record_id}_{form.form_name()}_{instance}_{stored_name}"
    return StoredFile(bytes(content), "image/jpeg" if thumbnail else content_type, of_patient)


def stored_files(
    form: type[Form], record_id: str, instance: int, variable: str, *, by: Caller
) -> tuple[Entry, list[Attachment]]:
    """Return an entry, and what is known of every file that its variable shows or has shown, the latest first.

    Raises NotFound, NotAllowed (the person may not see identifiers there).
    """
    entry = _entry_with_identifiers(form, record_id, instance, by=by)
    stored = Attachment.objects.filter(**_place(entry, variable)).select_related("stored_by")
    return entry, list(stored.order_by("-stored_at", "-pk"))


def photographs_of(record_id: str, *, by: Caller) -> list[Sighting]:
    """Return the photographs that the entries of a patient show, in the order of the day they were taken.

    Who may not see identifiers may know that they are there. Raises NotFound.
    """
    if not patient_form().objects.visible_to(by).filter(record_id=record_id).exists():
        raise NotFound
    sites = sorted(by.sites_with(Right.READ))
    shown = {
        (stored.form, stored.instance, stored.variable, stored.name): stored
        for stored in Attachment.objects.filter(patient_id=record_id, site_id__in=sites)
    }
    sightings = [
        _sighting(entry, name, stored)
        for form in all_forms()
        if file_variables(form) and any(place[0] == form.form_name() for place in shown)
        for entry in select_entries(form, where="record_id = %s AND site_id = ANY(%s)", parameters=[record_id, sites])
        for name in file_variables(form)
        if (stored := shown.get((form.form_name(), entry.instance, name, entry.values[name])))
    ]
    return sorted(sightings, key=lambda one: (str(one.taken_on or "9999"), one.stored.pk))


def _sighting(entry: Entry, name: str, stored: Attachment) -> Sighting:
    variables = entry.form.variables()
    variable = file_variables(entry.form)[name]
    taken_on = entry.values[variable.taken_on] if variable.taken_on else None
    beside = [(_(variables[other].label), _shown(entry, other)) for other in variable.shown_with]
    return Sighting(entry, variable, stored, taken_on, beside)


def _shown(entry: Entry, name: str) -> str:
    """Return a value for people, blank when there is none."""
    variable, value = entry.form.variables()[name], entry.values[name]
    if value is None:
        return ""
    label = variable.labels(value)
    return _(label) if label else f"{variable.to_text(value)} {variable.unit}".strip()


def _refuse_in_vain(entry: Entry, *, by: Caller, version: int) -> None:
    """Raise NotAllowed, Locked or Stale before a picture is worked on; the entry service asks again, with a lock."""
    if not by.may(Right.ENTER, at=entry.site):
        raise NotAllowed
    if entry.locked:
        raise Locked
    if entry.version != version:
        raise Stale(entry)


def _read(upload: Upload) -> Picture:
    if len(upload.content) > settings.MAX_PHOTOGRAPH_BYTES:
        message = _("The photograph has more than %(max)d MB. Make it smaller.")
        raise Unreadable("too_large", message % {"max": settings.MAX_PHOTOGRAPH_BYTES // 1_000_000})
    return read_picture(
        upload.content,
        most_pixels=settings.MAX_PHOTOGRAPH_PIXELS,
        file_name=upload.file_name,
        declared=upload.content_type,
    )


def _keep(picture: Picture, *, entry: Entry, variable: str, name: str, digest: str, by: Caller, now: datetime) -> None:
    """Keep the bytes, unless the same picture was stored there before."""
    stored, is_new = Attachment.objects.get_or_create(
        **_place(entry, variable),
        name=name,
        defaults={
            "site_id": entry.site,
            "content_type": picture.content_type,
            "sha256": digest,
            "size": len(picture.content),
            "width": picture.width,
            "height": picture.height,
            "stored_at": now,
            "stored_by_id": by.person_id,
        },
    )
    if is_new:
        of_patient = {"site_id": entry.site, "patient_id": entry.record_id}
        AttachmentContent.objects.create(
            attachment=stored, **of_patient, content=picture.content, thumbnail=picture.thumbnail
        )


def _entry_with_identifiers(form: type[Form], record_id: str, instance: int, *, by: Caller) -> Entry:
    entry = get_entry(form, record_id, instance, by=by)
    if not by.may(Right.EXPORT_WITH_IDENTIFIERS, at=entry.site):
        raise NotAllowed
    return entry


def _place(entry: Entry, variable: str) -> dict[str, Any]:
    return {
        "patient_id": entry.record_id,
        "form": entry.form.form_name(),
        "instance": entry.instance,
        "variable": variable,
    }


def _prefixed(entry: Entry, variable: str) -> dict[str, Any]:
    return {f"attachment__{name}": value for name, value in _place(entry, variable).items()}
