"""Where the pages of a patient are. A grid has a thousand addresses, so that each kind is worked out once."""

from functools import cache

from django.urls import reverse

from crf.forms import forms_by_name

ANY_PATIENT, ANY_INSTANCE, ANY_ROW, ANY_VARIABLE = "AA-000", 9_999, 999_999, "ANY_VARIABLE"
"""What stands in an address until the patient, the instance, the key of a row and the variable are put in."""


def of_patient(record_id: str) -> str:
    """Return the address of a patient's page."""
    return _pattern("page-patient", ANY_PATIENT).replace(ANY_PATIENT, record_id)


def of_form(record_id: str, form: str) -> str:
    """Return the address at which the entries of a form are, or the one entry of the patient form."""
    name = f"page-entries-{form}" if forms_by_name()[form].repeating else f"page-entry-{form}"
    return _pattern(name, ANY_PATIENT).replace(ANY_PATIENT, record_id)


def of_entry(record_id: str, form: str, instance: int) -> str:
    """Return the address of an entry."""
    return _of_instance("page-entry", record_id, form, instance)


def of_new_entry(record_id: str, form: str) -> str:
    """Return the address at which an entry of a repeating form is added."""
    return _pattern(f"page-entry-new-{form}", ANY_PATIENT).replace(ANY_PATIENT, record_id)


def of_new_patient(site: str) -> str:
    """Return the address at which a patient is entered at a site."""
    return reverse("page-patient-new", args=[site])


def of_deletion(record_id: str, form: str, instance: int) -> str:
    """Return the address at which an entry, or the patient, is deleted."""
    return _of_instance("page-delete", record_id, form, instance)


def of_restore(record_id: str, form: str, instance: int) -> str:
    """Return the address at which a deleted entry, or patient, is brought back."""
    return _of_instance("page-restore", record_id, form, instance)


def of_beside(record_id: str, form: str, instance: int, variable: str) -> str:
    """Return the address of the panel of a variable."""
    return _of_instance("page-beside", record_id, form, instance, ANY_VARIABLE).replace(ANY_VARIABLE, variable)


def of_query(query_id: int, *, page: str = "page-query") -> str:
    """Return the address of a data query, or of a step of it."""
    return _pattern(page, ANY_ROW).replace(str(ANY_ROW), str(query_id))


def _of_instance(page: str, record_id: str, form: str, instance: int, *further: str) -> str:
    number = [ANY_INSTANCE] if forms_by_name()[form].repeating else []
    pattern = _pattern(f"{page}-{form}", ANY_PATIENT, *number, *further)
    return pattern.replace(str(ANY_INSTANCE), str(instance)).replace(ANY_PATIENT, record_id)


@cache
def _pattern(name: str, *arguments: str | int) -> str:
    """Return the address with this name for any patient, instance or row."""
    return reverse(name, args=arguments)
