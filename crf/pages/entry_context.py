"""What the templates of entry pages are given, and where one goes from them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Count
from django.http import QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from crf import data_queries, drafts
from crf.beside import marks_of
from crf.disclosures import note_reading
from crf.fields import FileField, NotesField
from crf.forms import Form, Status, all_forms, patient_form, repeating_forms
from crf.judging import Judged, Place
from crf.locks import forms_without_additions
from crf.models.data_query import QueryState
from crf.models.draft import Draft
from crf.pages.branching import branching_json
from crf.pages.conflicts import Conflict
from crf.pages.form_fields import derived_at, missing_reasons, sections_of, statuses
from crf.pages.typed import EXPLAIN, Reading, Typed, typed_of
from crf.pages.values import is_short, worded
from crf.reading import Problem
from crf.standing import standings_of
from crf.storage import Entry, select_entries, table_of
from crf.warnings import queries_of, warned
from registry.rights import Caller, Right

# Addresses


def address_at(place: Place) -> str:
    """Return the address of a place."""
    name = place.form.form_name()
    if place.record_id is None:
        return reverse("page-patient-new", kwargs={"code": place.site})
    if place.instance is None:
        return reverse(f"page-entry-new-{name}", kwargs={"record_id": place.record_id})
    return address_of(place.form, place.record_id, place.instance)


def address_of(form: type[Form], record_id: str, instance: int) -> str:
    """Return the address of a saved entry."""
    number = {"instance": instance} if form.repeating else {}
    return reverse(f"page-entry-{form.form_name()}", kwargs={"record_id": record_id, **number})


def address_after(place: Place, saved: Entry) -> str:
    """Return where "save and next" leads: the next instance, a new one, from the patient the next form to fill in."""
    form, record_id = saved.form, saved.record_id
    if not form.repeating:
        return address_of_next_form(form, record_id)
    later = None if place.is_new else _next_instance(form, record_id, after=saved.instance)
    return address_of(form, record_id, later) if later else address_at(Place(form, record_id=record_id))


def address_of_next_form(form: type[Form], record_id: str) -> str:
    """Return the address of the first form after `form` that the patient has no entry of, else of the patient."""
    filled_in = _forms_with_entries(record_id)
    for later in repeating_forms():
        if later.order > form.order and later not in filled_in:
            return address_at(Place(later, record_id=record_id))
    return address_of_patient(record_id)


def address_of_patient(record_id: str) -> str:
    """Return the address of the page of a patient."""
    try:
        return reverse("page-patient", kwargs={"record_id": record_id})
    except NoReverseMatch:
        return reverse(f"page-entry-{patient_form().form_name()}", kwargs={"record_id": record_id})


def tabs(form: type[Form], record_id: str | None) -> list[dict[str, Any]]:
    """Return the forms of a patient to go to, the one that is open marked."""
    if record_id is None:
        return []
    return [
        {"title": _(one.title()), "address": _of_form(one, record_id), "is_open": one is form} for one in all_forms()
    ]


def _of_form(form: type[Form], record_id: str) -> str:
    name = f"page-entries-{form.form_name()}" if form.repeating else f"page-entry-{form.form_name()}"
    return reverse(name, kwargs={"record_id": record_id})


def _forms_with_entries(record_id: str) -> set[type[Form]]:
    forms = repeating_forms()
    asked = ", ".join(
        f"EXISTS (SELECT FROM {table_of(form).quoted} WHERE record_id = %s AND deleted_at IS NULL)" for form in forms
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}", [record_id] * len(forms))
        return {form for form, there in zip(forms, cursor.fetchone(), strict=True) if there}


def _next_instance(form: type[Form], record_id: str, *, after: int) -> int | None:
    later: dict[str, Any] = {"patient_id": record_id, "deleted_at__isnull": True, "instance__gt": after}
    entries = form.objects.filter(**later)
    number: int | None = entries.order_by("instance").values_list("instance", flat=True).first()
    return number


# The form


def of_entry(
    place: Place,
    judged: Judged,
    *,
    by: Caller,
    typed: Typed,
    reading: Reading | None = None,
    version: int | None = None,
    draft: Draft | None = None,
    problems: Sequence[Problem] = (),
    asks_why: bool = False,
) -> dict[str, Any]:
    """Return what a form page shows: the fields as they were typed, what is saved, and what is to be said."""
    form, saved = place.form, judged.saved
    may_enter = by.may(Right.ENTER, at=saved.site) and not saved.locked
    typed.status = typed.status or ("" if place.is_new else str(saved.status.label))
    queries = [] if place.is_new else queries_of(saved, by=by)
    warnings = warned(judged.warnings, queries)
    errors = _errors(judged, problems, typed=typed, reading=reading)
    sections = sections_of(
        form,
        typed,
        judged,
        reading=reading,
        errors=errors,
        warnings=warnings,
        explanations=typed.explanations,
        marks={} if place.is_new else marks_of(saved, queries=queries, by=by),
        names=_names(place, may_enter=may_enter),
        new=place.is_new,
    )
    labels = {one.name: one for section in sections for one in section.fields}
    return {
        **_heading(place, saved),
        "entry": None if place.is_new else saved,
        "standing": None if place.is_new else standings_of([saved], by=by)[0],
        "sections": sections,
        "may_enter": may_enter,
        "is_locked": saved.locked,
        "is_closed": place.is_new and saved.locked and typed.is_blank(),
        "version": saved.version if version is None else version,
        "statuses": statuses(typed.status, new=place.is_new),
        "problems": [{"field": labels.get(one.field or ""), "message": one.message} for one in problems],
        "warnings": [one for one in warnings if not one.is_settled],
        "may_explain": by.may(Right.ANSWER_QUERY, at=saved.site),
        "asks_why": asks_why,
        "why_is_shown": asks_why or judged.reason_needed or (not place.is_new and saved.status == Status.COMPLETE),
        "draft": draft,
        "is_stale": version is not None and not place.is_new and version != saved.version,
        "branching": json.dumps(branching_json(form)),
        "patient_address": address_of_patient(place.record_id) if place.record_id else "",
        **_live_addresses(place),
        **(_table(place, by=by) if place.is_new and place.record_id else {}),
    }


def _heading(place: Place, saved: Entry) -> dict[str, Any]:
    form = place.form
    return {
        "form": form,
        "form_name": form.form_name(),
        "takes_photographs": any(isinstance(kind, FileField) for kind in form.variables().values()),
        "title": _(form.title()),
        "repeating": form.repeating,
        "is_new": place.is_new,
        "record_id": place.record_id,
        "site": saved.site,
        "instance": saved.instance,
        "instance_text": str(saved.instance),
        "status_name": str(saved.status.label),
        "status_label": _(str(saved.status.label)).capitalize(),
        "tabs": tabs(form, place.record_id),
    }


def _live_addresses(place: Place) -> dict[str, str]:
    at = address_at(place)
    return {"address": at, "live_address": f"{at}live/", "draft_address": f"{at}draft/"}


def _names(place: Place, *, may_enter: bool) -> list[str]:
    """Return the variables that the page shows: the identifier of a patient stands in the heading once it is given."""
    new_patient = place.record_id is None
    return [name for name in place.form.variables() if name != "record_id" or (new_patient and may_enter)]


def _errors(judged: Judged, problems: Sequence[Problem], *, typed: Typed, reading: Reading | None) -> dict[str, str]:
    """Return what is wrong with each field: what refused it, and what would at a field with something in it."""
    errors = {one.field: one.message for one in problems if one.field}
    if reading is not None:
        for name, message in _wrong(judged, touched=_filled_in(typed)).items():
            errors.setdefault(name, message)
    return errors


def _wrong(judged: Judged, *, touched: set[str]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for finding in (*judged.unread, *judged.errors):
        if finding.field in touched:
            wrong.setdefault(str(finding.field), finding.message)
    return wrong


def _filled_in(typed: Typed) -> set[str]:
    return {name for name, text in typed.texts.items() if text} | set(typed.missing)


def is_as_saved(place: Place, saved: Entry, typed: Typed) -> bool:
    """Return whether what was typed is what is saved, so that there is nothing to keep."""
    if typed.explanations:
        return False
    if place.is_new:
        return typed.is_blank()
    now = typed_of(place.form, saved.values, saved.missing, status=str(saved.status.label))
    texts = {name: now.texts[name] for name in typed.texts}
    same = typed.texts == texts and typed.missing == {n: why for n, why in now.missing.items() if n in texts}
    return same and typed.status in ("", now.status)


def told_live(
    place: Place, judged: Judged, typed: Typed, reading: Reading, *, touched: Sequence[str]
) -> dict[str, Any]:
    """Return what is to be said of each field while somebody types, as the browser reads it."""
    variables = place.form.variables()
    return {
        "errors": _wrong(judged, touched=_filled_in(typed) | set(touched)),
        "warnings": [{"field": one.field, "code": one.code, "message": one.message} for one in judged.warnings],
        "understood": reading.understood,
        "texts": reading.spelled,
        "derived": {name: derived_at(judged, name) for name in variables},
        "reason_needed": judged.reason_needed,
        "version": judged.saved.version,
    }


# Two people on one form


def of_conflict(place: Place, typed: Typed, conflict: Conflict, *, sent: QueryDict) -> dict[str, Any]:
    """Return what the page of a conflict shows, and everything that was typed as hidden fields."""
    chosen = [sent.get(f"keep-{one.name}") or one.chosen for one in conflict.fields]
    return {
        "title": _(place.form.title()),
        "record_id": place.record_id,
        "instance": place.instance,
        "instance_text": str(place.instance),
        "repeating": place.form.repeating,
        "patient_address": address_of_patient(place.record_id or ""),
        "tabs": tabs(place.form, place.record_id),
        "fields": list(zip(conflict.fields, chosen, strict=True)),
        "asked_again": "resolve" in sent,
        "version": conflict.version,
        "sent_version": sent.get("version", ""),
        "hidden": list(_as_fields(typed)),
        "address": address_at(place),
        "go": sent.get("go", ""),
        "reason": sent.get("reason", ""),
    }


def _as_fields(typed: Typed) -> Any:
    for name, text in typed.texts.items():
        for one in ["", *text] if isinstance(text, list) else [text]:
            yield name, one
    for name, why in typed.missing.items():
        yield f"missing-{name}", why
    for key, text in typed.explanations.items():
        yield f"{EXPLAIN}{key}", text
    yield "status", typed.status


# The table


def of_table(place: Place, *, site: str, by: Caller) -> dict[str, Any]:
    """Return what the table of a form of a patient shows."""
    form, may_enter = place.form, by.may(Right.ENTER, at=site)
    is_closed = form in forms_without_additions(site, record_id=place.record_id)
    return {
        "form": form,
        "form_name": form.form_name(),
        "title": _(form.title()),
        "record_id": place.record_id,
        "site": site,
        "may_enter": may_enter and not is_closed,
        "is_closed": may_enter and is_closed,
        "patient_address": address_of_patient(place.record_id or ""),
        "new_address": address_at(place),
        "tabs": tabs(form, place.record_id),
        "repeating": True,
        "draft": drafts.draft_at(place, by=by),
        **_table(place, by=by),
    }


def _table(place: Place, *, by: Caller) -> dict[str, Any]:
    """Return the instances of a form, in columns of the variables of which there is a value."""
    form, record_id = place.form, place.record_id
    entries = select_entries(form, where="record_id = %s", parameters=[record_id])
    note_reading(form, entries)
    names = [name for name in _columns(form) if any(e.values[name] is not None or name in e.missing for e in entries)]
    asked = _queries(form, record_id or "", by=by)
    return {
        "columns": [_(form.variables()[name].label) for name in names],
        "rows": [_row(entry, names, queries=asked.get(entry.instance, 0)) for entry in entries],
    }


def _columns(form: type[Form]) -> list[str]:
    return [name for name, kind in form.variables().items() if not isinstance(kind, NotesField | FileField)]


def _row(entry: Entry, names: Sequence[str], *, queries: int) -> dict[str, Any]:
    return {
        "entry": entry,
        "address": address_of(entry.form, entry.record_id, entry.instance),
        "status_name": str(entry.status.label),
        "status_label": _(str(entry.status.label)).capitalize(),
        "queries": queries,
        "cells": [_cell(entry, name) for name in names],
    }


def _cell(entry: Entry, name: str) -> dict[str, Any]:
    text = worded(entry.form.variables()[name], entry.values[name])
    reason = dict(missing_reasons()).get(entry.missing.get(name, ""), "")
    return {"text": text, "missing": reason, "in_one_line": is_short(text)}


def _queries(form: type[Form], record_id: str, *, by: Caller) -> Mapping[int, int]:
    found = data_queries.visible_queries(by).filter(patient_id=record_id, form=form.form_name())
    counted = found.exclude(state=QueryState.CLOSED).values("instance").annotate(number=Count("pk"))
    return {one["instance"]: one["number"] for one in counted}
