"""The history of what a person may do and how they get in: roles, deactivation, passwords given, codes removed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.utils.translation import gettext as _

from registry.models import Person, SignInEvent
from registry.rights import Caller, Right, Role

MOST = 200
"""Rows of each kind, the latest; the audit trail has all."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened once, in words; who did it and why. `by` is a user name."""

    at: datetime
    what: str
    by: str
    reason: str


def history_of_rights(person: Person, *, by: Caller) -> list[Step]:
    """Return what happened, the latest first, as far as `by` may see it: roles at the sites that they manage."""
    steps = [*_of_roles(person, by=by), *_of_the_person(person), *_of_getting_in(person)]
    return sorted(steps, key=lambda step: step.at, reverse=True)


def _of_roles(person: Person, *, by: Caller) -> Iterator[Step]:
    rows = _rows("MembershipHistory").filter(person_id=person.pk)
    if not by.may_everywhere(Right.MANAGE):
        rows = rows.filter(Q(site_id__in=by.sites_with(Right.MANAGE)) | Q(site_id=None))
    for row in _in_order(rows):
        yield _step(row, _words_of_role(row))


def _words_of_role(row: Any) -> str:
    named = {"role": Role(row.role).label, "site": row.site_id or _("all sites"), "day": row.ends_on}
    if row.pgh_label == "delete":
        return _("Role taken back: %(role)s at %(site)s") % named
    if row.pgh_label == "insert" and row.ends_on:
        return _("Role given: %(role)s at %(site)s, until %(day)s") % named
    if row.pgh_label == "insert":
        return _("Role given: %(role)s at %(site)s") % named
    if row.ends_on is None:
        return _("Role without an end: %(role)s at %(site)s") % named
    return _("Last day set: %(role)s at %(site)s, %(day)s") % named


def _of_the_person(person: Person) -> Iterator[Step]:
    before = None
    for row in _in_order(_rows("PersonHistory").filter(pgh_obj_id=person.pk)):
        if row.pgh_label == "insert":
            yield _step(row, _("Added"))
        elif before is not None and row.is_active is not before.is_active:
            yield _step(row, _("Let in again") if row.is_active else _("Deactivated"))
        else:
            yield _step(row, _("Name or e-mail address changed"))
        before = row


def _of_getting_in(person: Person) -> Iterator[Step]:
    kinds = SignInEvent.Kind
    told = {
        *(kinds.PASSWORD_GIVEN, kinds.LINK_SENT, kinds.PASSWORD_CHANGED, kinds.PASSWORD_RESET),
        *(kinds.CODES_SET_UP, kinds.CODES_REMOVED, kinds.LOCKED_OUT, kinds.LOCK_OUT_LIFTED),
    }
    for event in SignInEvent.objects.filter(person=person, kind__in=told).select_related("by")[:MOST]:
        who = event.by.username if event.by else "" if event.kind == kinds.LOCKED_OUT else person.username
        yield Step(event.at, str(kinds(event.kind).label), who, "")


def _rows(history: str) -> Any:
    model: Any = apps.get_model("registry", history)
    return model.objects


def _in_order(rows: Any) -> Iterable[Any]:
    """Return the latest rows, the earliest of them first."""
    return reversed(rows.order_by("-pgh_created_at", "-pgh_id")[:MOST])


def _step(row: Any, what: str) -> Step:
    return Step(row.pgh_created_at, what, row.pgh_context.get("username") or "", row.pgh_context.get("reason") or "")
