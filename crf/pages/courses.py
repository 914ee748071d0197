"""The course of a patient in words: what the timeline draws, and the table that says the same."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from crf.derivations import months_between, visit_response
from crf.fields import Variable
from crf.forms import forms_by_name
from crf.pages import addresses
from crf.pages.values import worded
from crf.partial_dates import PartialDate
from crf.patient_overview import EntryOverview, PatientOverview
from crf.storage import Entry
from crf.timeline import Assessment, Course, Dose, Span

SHORT_SCHEDULES: Mapping[str, str] = {"alternate_days": "½", "d21_28": "¾", "other": "?"}
"""What is written beside a dose that is not taken every day: the share of days."""


def course_of(patient: PatientOverview) -> Course:
    """Return what the timeline draws of a patient."""
    last_contact = patient.patient.values["last_contact_date"]
    return Course(
        before=[_treatment(known.entry) for known in patient.entries["prior_treatment"]],
        doses=[_dose(known.entry) for known in patient.entries["dosing"]],
        assessments=[_assessment(known.entry) for known in patient.entries["lesion_assessment"]],
        events=[_event(known.entry) for known in patient.entries["adverse_event"]],
        until=last_contact,
    )


def table_of(patient: PatientOverview) -> list[dict[str, Any]]:
    """Return the course as rows of a table, in the order of time: what, from, to, months since the first dose."""
    rows = [
        _table_row(known, name, start, end, patient.first_dose, words)
        for name, (start, end, words) in IN_TABLE.items()
        for known in patient.entries[name]
    ]
    return sorted(rows, key=lambda row: (row["start"] == "", str(row["start"])))


def _table_row(
    known: EntryOverview,
    name: str,
    start: str,
    end: str,
    first_dose: date | None,
    words: Callable[[Entry], str],
) -> dict[str, Any]:
    entry = known.entry
    begins = entry.values[start]
    day = begins.earliest if isinstance(begins, PartialDate) else begins
    return {
        "title": _(entry.form.title()),
        "instance": entry.instance,
        "href": addresses.of_entry(entry.record_id, name, entry.instance),
        "start": _text(entry, start),
        "end": _text(entry, end) if end else "",
        "months": None if day is None or first_dose is None else round(months_between(first_dose, day), 1),
        "words": words(entry),
    }


def _variable(entry: Entry, name: str) -> Variable:
    return entry.form.variables()[name]


def _text(entry: Entry, name: str) -> str:
    return worded(_variable(entry, name), entry.values[name], missing=entry.missing.get(name))


def _said(entry: Entry, names: Sequence[str]) -> str:
    """Return the label and value of each variable that has one."""
    values = ((name, entry.values[name]) for name in names)
    return "; ".join(
        f"{_(_variable(entry, name).label)}: {_text(entry, name)}" for name, value in values if value is not None
    )


def _treatment_words(entry: Entry) -> str:
    return _said(entry, ("prior_drug", "prior_drug_other", "prior_dose", "prior_response", "prior_stop_reason"))


def _dose_words(entry: Entry) -> str:
    return _said(entry, ("dose_mg", "dose_schedule", "dose_reason", "dose_stop_reason"))


def _assessment_words(entry: Entry) -> str:
    words = _said(entry, ("lesion_clearance", "lesion_new", "clasi_activity", "lesion_response"))
    response = _response(entry)
    return f"{words}; {_('Computed response: %(response)s') % {'response': response}}" if response else words


def _event_words(entry: Entry) -> str:
    return _said(entry, ("ae_term", "ae_grade", "ae_serious", "ae_related", "ae_action", "ae_outcome"))


IN_TABLE: Mapping[str, tuple[str, str, Callable[[Entry], str]]] = {
    "prior_treatment": ("prior_start", "prior_end", _treatment_words),
    "dosing": ("dose_start", "dose_end", _dose_words),
    "lesion_assessment": ("lesion_date", "", _assessment_words),
    "adverse_event": ("ae_start", "ae_end", _event_words),
}
"""Of each form that is drawn: the variables of its begin and end, and its words."""


def _href(entry: Entry) -> str:
    return addresses.of_entry(entry.record_id, entry.form.form_name(), entry.instance)


def _with_dates(entry: Entry, words: str) -> str:
    """Return the words of an entry with its days before them."""
    return f"{_days(entry)}: {words}"


def _days(entry: Entry) -> str:
    """Return the begin and end of an entry as they are written; three dots stand for what is not recorded."""
    start, end, _words = IN_TABLE[entry.form.form_name()]
    return " – ".join(_text(entry, name) or "…" for name in (start, end) if name)  # noqa: RUF001 -- typography


def _treatment(entry: Entry) -> Span:
    values = entry.values
    label = values["prior_drug_other"] or _text(entry, "prior_drug") or _(forms_by_name()["prior_treatment"].title())
    return Span(
        instance=entry.instance,
        label=label,
        href=_href(entry),
        words=_with_dates(entry, _treatment_words(entry)),
        days=_days(entry),
        start=values["prior_start"],
        end=values["prior_end"],
        goes_on=values["prior_stop_reason"] == "ongoing",
    )


def _dose(entry: Entry) -> Dose:
    values = entry.values
    schedule = values["dose_schedule"]
    label = f"{_text(entry, 'dose_mg')} {SHORT_SCHEDULES.get(schedule, '')}".strip()
    return Dose(
        instance=entry.instance,
        label=label,
        href=_href(entry),
        words=_with_dates(entry, _dose_words(entry)),
        dose_start=values["dose_start"],
        dose_end=values["dose_end"],
        dose_mg=values["dose_mg"],
        every_day=schedule in (None, "daily"),
    )


def _response(entry: Entry) -> str:
    clearance, new = entry.values["lesion_clearance"], entry.values["lesion_new"]
    return "" if clearance is None or new is None else visit_response(clearance=clearance, new_lesions=new)


def _assessment(entry: Entry) -> Assessment:
    values = entry.values
    return Assessment(
        instance=entry.instance,
        href=_href(entry),
        words=_with_dates(entry, _assessment_words(entry)),
        lesion_date=values["lesion_date"],
        lesion_clearance=values["lesion_clearance"],
        response=_response(entry),
        lesion_new=bool(values["lesion_new"]),
    )


def _event(entry: Entry) -> Span:
    values = entry.values
    return Span(
        instance=entry.instance,
        label=values["ae_term"] or _(forms_by_name()["adverse_event"].title()),
        href=_href(entry),
        words=_with_dates(entry, _event_words(entry)),
        days=_days(entry),
        start=values["ae_start"],
        end=values["ae_end"],
        goes_on=values["ae_outcome"] in ("not_recovered", "recovering"),
        mark=values["ae_grade"] or "",
        serious=bool(values["ae_serious"]),
    )
