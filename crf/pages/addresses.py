"""Where the pages of a patient are. Pages of an entry that is not there yet stand in for by the patient's own."""

from functools import cache

from django.urls import NoReverseMatch, reverse

from crf.forms import forms_by_name

ANY_PATIENT, ANY_INSTANCE = "AA-000", 9_999
"""What stands in an address until the patient and the instance are put in: a grid has a thousand addresses."""


def of_patient(record_id: str) -> str:
    """Return the address of a patient's page."""
    return _pattern("page-patient", instance=False).replace(ANY_PATIENT, record_id)


def of_form(record_id: str, form: str) -> str:
    """Return the address at which the entries of a form are, or the one entry of the patient form."""
    name = f"page-entries-{form}" if forms_by_name()[form].repeating else f"page-entry-{form}"
    there = _pattern(name, instance=False)
    return there.replace(ANY_PATIENT, record_id) if there else f"{of_patient(record_id)}#{form}"


def of_entry(record_id: str, form: str, instance: int) -> str:
    """Return the address of an entry."""
    if not forms_by_name()[form].repeating:
        return of_form(record_id, form)
    there = _pattern(f"page-entry-{form}", instance=True)
    if not there:
        return f"{of_patient(record_id)}#{form}"
    return there.replace(ANY_PATIENT, record_id).replace(str(ANY_INSTANCE), str(instance))


def of_new_entry(record_id: str, form: str) -> str:
    """Return the address at which an entry is added, "" when there is none."""
    return _pattern(f"page-entry-new-{form}", instance=False).replace(ANY_PATIENT, record_id)


def of_new_patient(site: str) -> str:
    """Return the address at which a patient is entered at a site, "" when there is none."""
    try:
        return reverse("page-patient-new", args=[site])
    except NoReverseMatch:
        return ""


def of_deletion(record_id: str, form: str, instance: int) -> str:
    """Return the address at which an entry, or the patient, is deleted."""
    repeating = forms_by_name()[form].repeating
    return reverse(f"page-delete-{form}", args=[record_id, instance] if repeating else [record_id])


def of_restore(record_id: str, form: str, instance: int) -> str:
    """Return the address at which a deleted entry, or patient, is brought back."""
    repeating = forms_by_name()[form].repeating
    return reverse(f"page-restore-{form}", args=[record_id, instance] if repeating else [record_id])


@cache
def _pattern(name: str, *, instance: bool) -> str:
    """Return the address with this name for any patient and instance, "" when there is no such address."""
    try:
        return reverse(name, args=[ANY_PATIENT, ANY_INSTANCE] if instance else [ANY_PATIENT])
    except NoReverseMatch:
        return ""
