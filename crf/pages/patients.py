"""A patient's page: who it is, the course as a timeline, every entry with its status, what is missing or deleted."""

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from crf.deletions import deleted_entries
from crf.disclosures import note_reading
from crf.fields import DateField, FileField, NumberField, PartialDateField
from crf.forms import Form, all_forms, patient_form
from crf.locks import forms_without_additions
from crf.pages import addresses
from crf.pages.courses import course_of, table_of
from crf.pages.sites import shown_deletions
from crf.pages.values import is_short, worded
from crf.pages.views import DataPage
from crf.pages.work import status_of
from crf.patient_overview import EntryOverview, PatientOverview, overview_of
from crf.standing import standing_of_patient
from crf.storage import Entry
from crf.timeline import draw
from registry.models import Site
from registry.rights import Right, there

SUMMARISED = 5
"""Variables of an entry that are shown in the table of its form."""


class PatientPage(DataPage):
    """One patient."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Return the page. The date of birth identifies: that it was read is noted."""
        known = overview_of(record_id, by=self.by)
        note_reading(patient_form(), [known.patient])
        site = known.patient.site
        enters = self.by.may(Right.ENTER, at=site)
        closed = forms_without_additions(site, record_id=record_id)
        shown = {
            "known": known,
            "record_id": record_id,
            "site": Site.objects.get(code=site),
            "facts": _facts(known),
            "status": status_of(known.patient.status),
            "patient_href": addresses.of_form(record_id, patient_form().form_name()),
            "forms": [_form(form, known, enters=enters, adds=enters and form not in closed) for form in all_forms()],
            "missing": [_missing(entry) for entry in known.every if entry.blank],
            "drawing": draw(course_of(known)),
            "table": table_of(known),
            "deleted": shown_deletions(deleted_entries(by=self.by, record_id=record_id)),
            "enters": enters,
            "standing": standing_of_patient(record_id, site=site, by=self.by),
        }
        return render(request, "crf/patient.html", shown)


def _facts(known: PatientOverview) -> list[tuple[str, str]]:
    """Return what the head of the page says: label and value."""
    patient, variables = known.patient, patient_form().variables()
    named = [
        (_(variables[name].label), worded(variables[name], patient.values[name], missing=patient.missing.get(name)))
        for name in ("sex", "birth_date", "cle_subtype", "vital_status")
    ]
    age = known.age_at_first_dose
    doses = [
        (_("First dose"), known.first_dose.isoformat() if known.first_dose else _("no dose yet")),
        (_("Age at first dose"), "" if age is None else _("%(age)d years") % {"age": age}),
    ]
    return [*named[:2], *doses, *named[2:]]


def _form(form: type[Form], known: PatientOverview, *, enters: bool, adds: bool) -> dict[str, Any]:
    """Return a form with its entries as the page shows it, to be added to only where `adds`."""
    name, record_id = form.form_name(), known.patient.record_id
    columns = summarised(form)
    return {
        "name": name,
        "title": _(form.title()),
        "repeating": form.repeating,
        "columns": [{"label": _(form.variables()[name].label), "kind": _kind(form, name)} for name in columns],
        "entries": [_entry(entry, columns, enters=enters) for entry in known.entries[name]],
        "href": addresses.of_form(record_id, name),
        "new": addresses.of_new_entry(record_id, name) if form.repeating and adds else "",
    }


def summarised(form: type[Form]) -> list[str]:
    """Return the variables that tell one entry from another: the first that are always asked and identify nobody."""
    shown = [
        name
        for name, variable in form.variables().items()
        if name != "record_id"
        and not (variable.show_if or variable.identifier or variable.free_text or isinstance(variable, FileField))
    ]
    return shown[:SUMMARISED]


def _entry(known: EntryOverview, columns: list[str], *, enters: bool) -> dict[str, Any]:
    entry = known.entry
    name = entry.form.form_name()
    return {
        "instance": entry.instance,
        "href": addresses.of_entry(entry.record_id, name, entry.instance),
        "values": [_value(entry, column) for column in columns],
        "status": status_of(entry.status),
        "locked": entry.locked,
        "verified_by": ", ".join(known.verified_by),
        "signed_by": ", ".join(known.signed_by),
        "queries": known.queries,
        "blank": len(known.blank),
        "updated_at": entry.updated_at,
        "delete": addresses.of_deletion(entry.record_id, name, entry.instance) if enters and not entry.locked else "",
    }


def _value(entry: Entry, name: str) -> dict[str, str]:
    """Return a cell: its text, and the class that it has."""
    text = worded(entry.form.variables()[name], entry.values[name], missing=entry.missing.get(name))
    kind = "muted" if name in entry.missing else _kind(entry.form, name)
    return {"text": text, "kind": kind or ("short" if is_short(text) else "")}


def _kind(form: type[Form], name: str) -> str:
    """Return the class of the cells of a variable: numbers stand to the right, dates in one line."""
    variable = form.variables()[name]
    if isinstance(variable, NumberField):
        return "amount"
    return "date" if isinstance(variable, DateField | PartialDateField) else ""


def _missing(known: EntryOverview) -> dict[str, Any]:
    entry = known.entry
    return {
        "title": _(entry.form.title()),
        "instance": entry.instance if entry.form.repeating else None,
        "href": addresses.of_entry(entry.record_id, entry.form.form_name(), entry.instance),
        "labels": [_(entry.form.variables()[name].label) for name in known.blank],
    }
