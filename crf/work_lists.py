"""What waits for a person and what they did last: queries, entries that lack something, recent work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Q, QuerySet, Window

from crf import storage
from crf.forms import Form, Status, all_forms
from crf.models.data_query import DataQuery, QueryState
from registry.history import history_models, tracked_by
from registry.rights import Caller, Right

SHOWN: Final = 6
"""Rows of a list on a page."""
LOOKED_AT: Final = 300
LOOKED_BACK: Final = timedelta(days=90)
"""The latest changes of each form, and for how long back, among which a person's own are looked for."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """An entry that is not complete; `blank` names required variables with neither value nor reason."""

    form: str
    record_id: str
    instance: int
    status: Status
    blank: Sequence[str]


@dataclass(frozen=True, slots=True)
class Saved:
    """An entry that the person saved, as it is now, and when they did so last."""

    at: datetime
    form: str
    record_id: str
    instance: int
    status: Status


def my_queries(by: Caller, *, sites: Sequence[str]) -> QuerySet[DataQuery, Any]:
    """Return the queries at `sites` that wait for `by`: open ones to answer, answered ones to close; oldest first.

    Each has `waiting`, the number of them all.
    """
    to_answer = Q(site_id__in=by.sites_with(Right.ANSWER_QUERY), state=QueryState.OPEN)
    to_close = Q(site_id__in=by.sites_with(Right.CLOSE_QUERY), state=QueryState.ANSWERED)
    mine = DataQuery.objects.filter(to_answer | to_close, site_id__in=sites)
    return mine.annotate(waiting=Window(Count("*"))).order_by("opened_at", "pk")[:SHOWN]


def unfinished(*, sites: Sequence[str]) -> list[Incomplete]:
    """Return entries at `sites` that are not complete, those that lack most first, then in the order of the forms.

    What is only required when other answers are given counts when the form is opened, not here.
    """
    parts = [_unfinished(form, place) for place, form in enumerate(all_forms())]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT form, record_id, instance, status, blank FROM ({' UNION ALL '.join(parts)}) entries"  # noqa: S608 -- identifiers of the declarations
            f" ORDER BY cardinality(blank) DESC, place, record_id, instance LIMIT {SHOWN}",
            [list(sites)] * len(parts),
        )
        return [
            Incomplete(form, record_id, instance, Status(status), blank)
            for form, record_id, instance, status, blank in cursor.fetchall()
        ]


@cache
def _unfinished(form: type[Form], place: int) -> str:
    quote = connection.ops.quote_name
    required = [name for name, variable in form.variables().items() if variable.required and not variable.show_if]
    each = ", ".join(
        f"CASE WHEN {quote(name)} IS NULL AND NOT missing ? '{name}' THEN '{name}' END" for name in required
    )
    blank = f"array_remove(ARRAY[{each}]::text[], NULL)"
    return (
        f"(SELECT '{form.form_name()}' AS form, {place} AS place, record_id, instance, status, {blank} AS blank"  # noqa: S608 -- identifiers of the declaration
        f" FROM {storage.table_of(form).quoted} WHERE site_id = ANY(%s) AND deleted_at IS NULL AND status < 2"
        f" ORDER BY cardinality({blank}) DESC, record_id, instance LIMIT {SHOWN})"
    )


def recent_work(by: Caller, *, sites: Sequence[str], now: datetime) -> list[Saved]:
    """Return what `by` saved last at `sites`, the latest first: among the last LOOKED_AT changes there of each form.

    The history has no index by person, which every change would pay for.
    """
    parts = [_recent(form) for form in all_forms()]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT at, form, record_id, instance, status FROM ({' UNION ALL '.join(parts)}) saved"  # noqa: S608 -- identifiers of the declarations
            f" ORDER BY at DESC LIMIT {SHOWN}",
            [list(sites), now - LOOKED_BACK, str(by.person_id)] * len(parts),
        )
        return [
            Saved(at, form, record_id, instance, Status(status))
            for at, form, record_id, instance, status in cursor.fetchall()
        ]


@cache
def _recent(form: type[Form]) -> str:
    """Return the SQL of a form's entries that a person (the last parameter) changed last, as they are now."""
    (history,) = [model for model in history_models() if tracked_by(model) is form]
    table = connection.ops.quote_name(history._meta.db_table)
    latest = (
        f"SELECT record_id, instance, pgh_created_at, pgh_context FROM {table}"  # noqa: S608 -- identifiers of the declaration
        # A lock marks rows too, but leaves the time at which they were saved.
        " WHERE site_id = ANY(%s) AND pgh_created_at > %s AND pgh_created_at < updated_at + interval '10 minutes'"
        f" ORDER BY pgh_created_at DESC LIMIT {LOOKED_AT}"
    )
    mine = (
        f"SELECT record_id, instance, max(pgh_created_at) AS at FROM ({latest}) latest"  # noqa: S608 -- see above
        " WHERE pgh_context->>'person' = %s GROUP BY record_id, instance ORDER BY at DESC"
        f" LIMIT {SHOWN}"
    )
    return (
        f"SELECT mine.at, '{form.form_name()}' AS form, entry.record_id, entry.instance, entry.status"  # noqa: S608 -- see above
        f" FROM ({mine}) mine JOIN {storage.table_of(form).quoted} entry USING (record_id, instance)"
        " WHERE entry.deleted_at IS NULL"
    )
