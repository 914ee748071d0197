"""Addresses of the entry pages, made from the declarations of the forms: a form that is added has its pages."""

from collections.abc import Iterator

from django.urls import URLPattern, path

import crf.addresses  # noqa: F401 -- registers the converters
from crf.forms import Form, patient_form, repeating_forms
from crf.pages.entry import (
    DiscardDraft,
    DiscardNewDraft,
    Entries,
    EntryPage,
    LiveEntry,
    NewEntryPage,
    NewLiveEntry,
)


def _of_patient() -> Iterator[URLPattern]:
    form = patient_form()
    yield from _of_new(
        form, "sites/<site_code:code>/patients/new/", name=f"new-{form.form_name()}", page="page-patient-new"
    )
    yield from _of_saved(form, f"patients/<record_id:record_id>/{form.form_name()}/")


def _of_repeating() -> Iterator[URLPattern]:
    for form in repeating_forms():
        name = form.form_name()
        table = f"patients/<record_id:record_id>/{name}/"
        yield path(table, Entries.as_view(form=form), name=f"page-entries-{name}")
        yield from _of_new(form, f"{table}new/", name=f"new-{name}", page=f"page-entry-new-{name}")
        yield from _of_saved(form, f"{table}<instance:instance>/")


def _of_new(form: type[Form], at: str, *, name: str, page: str) -> Iterator[URLPattern]:
    yield path(at, NewEntryPage.as_view(form=form), name=page)
    yield path(f"{at}live/", NewLiveEntry.as_view(form=form), name=f"page-live-{name}")
    yield path(f"{at}draft/", DiscardNewDraft.as_view(form=form), name=f"page-draft-{name}")


def _of_saved(form: type[Form], at: str) -> Iterator[URLPattern]:
    name = form.form_name()
    yield path(at, EntryPage.as_view(form=form), name=f"page-entry-{name}")
    yield path(f"{at}live/", LiveEntry.as_view(form=form), name=f"page-live-{name}")
    yield path(f"{at}draft/", DiscardDraft.as_view(form=form), name=f"page-draft-{name}")


urlpatterns = [*_of_patient(), *_of_repeating()]
