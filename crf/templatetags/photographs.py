"""What templates of patients and entries show of photographs."""

from typing import Any

from django import template

from crf.pages.photographs import Seen, Shown, seen_of, shown
from crf.storage import Entry
from registry.rights import Caller
from registry.signed_in import caller_behind

register = template.Library()


@register.simple_tag(takes_context=True)
def photograph(context: template.RequestContext, entry: Entry, variable: str) -> Shown:
    """Return how the photograph at a variable of an entry is shown to who looks."""
    return shown(entry, variable, by=_by(context))


@register.simple_tag(takes_context=True)
def photographs_of(context: template.RequestContext, record_id: str) -> list[Seen]:
    """Return the photographs of a patient in the order of their days."""
    return seen_of(record_id, by=_by(context))


def _by(context: Any) -> Caller:
    by = caller_behind(context["request"])
    assert by is not None  # noqa: S101 -- pages of patients are for who is signed in
    return by
