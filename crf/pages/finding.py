"""A patient by what somebody types: the record id, or at a site its number alone."""

from collections.abc import Collection
from typing import Final

from crf.forms import patient_form

MAX_SEARCH: Final = 20
"""Characters of a search; no record id is longer."""


def patient_named(text: str, *, sites: Collection[str]) -> str | None:
    """Return the record id of the one patient at `sites` whom `text` names, whole or as a number, None for no such."""
    patients = patient_form().objects.filter(site_id__in=sites, deleted_at__isnull=True)
    wanted = text.strip().upper()
    named = {"number": int(wanted)} if _is_number(wanted) else {"record_id": wanted}
    if not wanted.isprintable():
        return None
    found = list(patients.filter(**named).values_list("record_id", flat=True)[:2])
    return found[0] if len(found) == 1 else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 7
