"""All that is recorded of one patient, with what stands beside each entry: queries, locks, verification, signatures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from django.db import connection

from crf import storage
from crf.checks import required_but_blank
from crf.derivations import completed_years, index_date
from crf.forms import Form, Status, all_forms, patient_form
from crf.refusals import NotFound
from crf.storage import Entry
from registry.rights import Caller, Right

BESIDE = """
    SELECT 'queries', form, instance, count(*)::text FROM crf_dataquery
     WHERE record_id = %(record_id)s AND state <> 'closed' GROUP BY form, instance
    UNION ALL SELECT 'verified', form, instance, name FROM crf_verification
     WHERE record_id = %(record_id)s AND dropped_at IS NULL
    UNION ALL SELECT 'signed', form, instance, name FROM crf_signature
     WHERE record_id = %(record_id)s AND dropped_at IS NULL
"""


@dataclass(slots=True)
class EntryOverview:
    """An entry with what stands beside it; `blank` names required variables with neither value nor reason."""

    entry: Entry
    blank: Sequence[str]
    queries: int = 0
    verified_by: list[str] = field(default_factory=list)
    signed_by: list[str] = field(default_factory=list)


@dataclass
class PatientOverview:
    """One patient: the entries of every form, by form name, in the order of the forms and instances."""

    entries: Mapping[str, Sequence[EntryOverview]]

    @property
    def patient(self) -> Entry:
        """The patient form."""
        return self.entries[patient_form().form_name()][0].entry

    @cached_property
    def first_dose(self) -> date | None:
        """The first day of the first dose above 0."""
        doses = (known.entry.values for known in self.entries["dosing"])
        return index_date((dose["dose_start"], dose["dose_mg"]) for dose in doses)

    @property
    def age_at_first_dose(self) -> int | None:
        """Completed years at the first dose, None without a birth date or a dose."""
        born = self.patient.values["birth_date"]
        return None if born is None or self.first_dose is None else completed_years(birth_date=born, on=self.first_dose)

    @property
    def every(self) -> list[EntryOverview]:
        """All entries."""
        return [known for of_form in self.entries.values() for known in of_form]

    @property
    def complete(self) -> int:
        """How many entries are complete."""
        return sum(known.entry.status == Status.COMPLETE for known in self.every)

    @property
    def queries(self) -> int:
        """Queries that nobody has closed."""
        return sum(known.queries for known in self.every)


def overview_of(record_id: str, *, by: Caller) -> PatientOverview:
    """Return what is recorded of a patient. Raises NotFound."""
    where, parameters = "record_id = %s AND site_id = ANY(%s)", [record_id, sorted(by.sites_with(Right.READ))]
    entries = {form.form_name(): _of_form(form, where, parameters) for form in all_forms()}
    if not entries[patient_form().form_name()]:
        raise NotFound
    by_place = {(name, known.entry.instance): known for name, of_form in entries.items() for known in of_form}
    with connection.cursor() as cursor:
        cursor.execute(BESIDE, {"record_id": record_id})
        for kind, form, instance, text in cursor.fetchall():
            known = by_place.get((form, instance))
            if known is not None:
                _note(known, kind, text)
    return PatientOverview(entries)


def _of_form(form: type[Form], where: str, parameters: Sequence[Any]) -> list[EntryOverview]:
    entries = storage.select_entries(form, where=where, parameters=parameters)
    return [EntryOverview(entry, required_but_blank(form, entry.as_row(), missing=entry.missing)) for entry in entries]


def _note(known: EntryOverview, kind: str, text: str) -> None:
    match kind:
        case "queries":
            known.queries = int(text)
        case "verified":
            known.verified_by.append(text)
        case "signed":
            known.signed_by.append(text)
