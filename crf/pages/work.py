"""What waits for a person, on their first page and on that of a site."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from crf import work_lists
from crf.drafts import drafts_of
from crf.forms import Status, forms_by_name
from crf.judging import Place
from crf.models.draft import Draft
from crf.overview import OF_STATUS, STATE_WORDS
from crf.pages import addresses
from crf.pages.entry_context import address_at
from crf.query_words import texts_of
from registry.rights import Caller, Right

NAMED = 3
"""Variables that are named of those an entry lacks."""


def work_of(by: Caller, *, sites: Sequence[str]) -> dict[str, Any]:
    """Return what the panels of work show, for patients of `sites`."""
    queries = list(work_lists.my_queries(by, sites=sites))
    texts = texts_of(queries)
    drafts = drafts_of(by).filter(site_id__in=sites)[: work_lists.SHOWN]
    enters = any(by.may(Right.ENTER, at=site) for site in sites)
    return {
        "queries": [_query(query, text=texts[query.pk]) for query in queries],
        "queries_waiting": queries[0].waiting if queries else 0,
        "has_queries": any(by.may_anywhere(right) for right in (Right.ANSWER_QUERY, Right.CLOSE_QUERY)),
        "unfinished": [_unfinished(entry) for entry in work_lists.unfinished(sites=sites)],
        "enters": enters,
        "drafts": [_draft(draft) for draft in drafts] if enters else [],
        "recent": [_recent(saved) for saved in work_lists.recent_work(by, sites=sites, now=timezone.now())],
    }


def _query(query: Any, *, text: str) -> dict[str, Any]:
    form = forms_by_name()[query.form]
    variable = form.variables().get(query.variable)
    return {
        **_place(query.patient_id, query.form, query.instance),
        "text": text,
        "variable": _(variable.label) if variable else query.variable,
        "answered": query.state == "answered",
    }


def _unfinished(entry: work_lists.Incomplete) -> dict[str, Any]:
    variables = forms_by_name()[entry.form].variables()
    return {
        **_place(entry.record_id, entry.form, entry.instance),
        "status": status_of(entry.status),
        "blank": [_(variables[name].label) for name in entry.blank[:NAMED]],
        "more": max(len(entry.blank) - NAMED, 0),
    }


def _recent(saved: work_lists.Saved) -> dict[str, Any]:
    return {**_place(saved.record_id, saved.form, saved.instance), "status": status_of(saved.status), "at": saved.at}


def _draft(draft: Draft) -> dict[str, Any]:
    form = forms_by_name()[draft.form]
    place = Place(form, site=draft.site_id, record_id=draft.patient_id, instance=draft.instance)
    return {
        "record_id": draft.patient_id,
        "title": _(form.title()) if draft.patient_id else _("New patient"),
        "instance": draft.instance if form.repeating else None,
        "href": address_at(place),
        "at": draft.updated_at,
    }


def _place(record_id: str, form: str, instance: int) -> dict[str, Any]:
    known = forms_by_name()[form]
    return {
        "record_id": record_id,
        "title": _(known.title()),
        "instance": instance if known.repeating else None,
        "href": addresses.of_entry(record_id, form, instance),
    }


def status_of(status: Status) -> dict[str, Any]:
    """Return a status as templates show it: the name of its icon and its word."""
    state = OF_STATUS[status]
    return {"icon": state.value, "word": STATE_WORDS[state]}
