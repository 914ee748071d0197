"""Drafts of forms: kept while somebody types, restored when they come back, gone when the form is saved.

A draft belongs to one person and one place. It holds what was typed as it was typed, be it readable or not. Everything
runs in the transaction of its caller, in which the database shows nobody the drafts of others (`crf.models.draft`).
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from crf.judging import Place
from crf.models.draft import Draft
from registry.rights import Caller, Right

MAX_CHARACTERS = 400_000
"""Of a draft as JSON: the longest notes that a form takes, and room for the rest."""
KEPT_FOR = timedelta(days=30)


class DraftTooLarge(ValueError):
    """More was typed than any form takes."""


def keep_draft(
    place: Place, typed: Mapping[str, Any], *, site: str, version: int | None, by: Caller, now: datetime
) -> None:
    """Keep what was typed in the place of what was kept there before. Raises DraftTooLarge."""
    if len(json.dumps(typed)) > MAX_CHARACTERS:
        raise DraftTooLarge
    draft = Draft(
        person_id=by.person_id,
        site_id=site,
        patient_id=place.record_id,
        form=place.form.form_name(),
        instance=place.instance,
        version=version,
        typed=typed,
        updated_at=now,
    )
    place_of_draft = ["person", "site", "patient", "form", "instance"]
    Draft.objects.bulk_create(
        [draft], update_conflicts=True, unique_fields=place_of_draft, update_fields=["version", "typed", "updated_at"]
    )


def draft_at(place: Place, *, by: Caller) -> Draft | None:
    """Return what the person has typed at a place, None when that is nothing."""
    return _at(place, by=by).first()


def forget_draft(place: Place, *, by: Caller) -> None:
    """Forget what the person has typed at a place."""
    _at(place, by=by).delete()


def drafts_of(by: Caller) -> QuerySet[Draft]:
    """Return the drafts of a person at sites where they may enter data, the latest first; none of a deleted patient."""
    if by.person_id is None:
        return Draft.objects.none()
    mine = Draft.objects.filter(person_id=by.person_id, site_id__in=by.sites_with(Right.ENTER))
    return mine.filter(patient__deleted_at__isnull=True).order_by("-updated_at")


def forget_old_drafts(*, now: datetime) -> None:
    """Forget what nobody came back to."""
    Draft.objects.filter(updated_at__lt=now - KEPT_FOR).delete()


def _at(place: Place, *, by: Caller) -> QuerySet[Draft]:
    found = drafts_of(by).filter(form=place.form.form_name(), instance=place.instance)
    if place.record_id is None:
        return found.filter(patient__isnull=True, site_id=place.site)
    return found.filter(patient_id=place.record_id)
