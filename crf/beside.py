"""What stands beside a value of an entry: the queries on it and its history.

Changes are read from the audit trail, so that what a panel tells and what the trail tells is the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from crf.forms import Form
from crf.models.data_query import DataQuery, QueryState
from crf.storage import Entry
from crf.words import Words, reason_in, words_of
from registry.audit import AuditRecord, Trail, read_trail, told
from registry.rights import Caller

MOST_CHANGES = 500
"""Changes of one entry that are looked at; beyond that the audit trail is the place to look."""


@dataclass(frozen=True, slots=True)
class Marks:
    """How much there is beside a variable: queries that wait for an answer or for their end, and changes."""

    open: int = 0
    answered: int = 0
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one variable, or its first value."""

    at: datetime
    action: str
    username: str
    door: str
    reason: str
    before: Words
    after: Words


def marks_of(entry: Entry, *, queries: Iterable[DataQuery], by: Caller) -> Mapping[str, Marks]:
    """Return the marks of the variables of an entry that have any, by name; `queries` are all that `by` sees."""
    form = entry.form
    waiting = Counter((query.variable, query.state) for query in queries if query.state != QueryState.CLOSED)
    trail = Trail(record_id=entry.record_id, form=form.form_name(), instance=entry.instance)
    records = read_trail(trail, by=by, most=MOST_CHANGES)
    changes = Counter(name for record in records if record.action == "changed" for name in _touched(record))
    names = {name for name, _state in waiting} | changes.keys()
    return {
        name: Marks(
            open=waiting[name, QueryState.OPEN],
            answered=waiting[name, QueryState.ANSWERED],
            changes=changes[name],
        )
        for name in names & form.variables().keys()
    }


def history_of(form: type[Form], record_id: str, instance: int, variable: str, *, by: Caller) -> list[Change]:
    """Return the changes of a variable, the latest first, as far as `by` may see them; that they look is noted."""
    trail = Trail(record_id=record_id, form=form.form_name(), instance=instance, variable=variable)
    records = told(read_trail(trail, by=by, most=MOST_CHANGES))
    return [_change(form, record, variable) for record in records]


def _touched(record: AuditRecord) -> set[str]:
    """Return the variables that a change is about: their values, or the reasons why there is none."""
    before, after = record.changes.get("missing", ({}, {}))
    reasons = {
        name for name in {**(before or {}), **(after or {})} if reason_in(before, name) != reason_in(after, name)
    }
    return (record.changes.keys() - {"missing"}) | reasons


def _change(form: type[Form], record: AuditRecord, name: str) -> Change:
    variable, actor = form.variables()[name], record.actor
    before, after = record.changes.get(name, (None, None))
    missing_before, missing_after = record.changes.get("missing", ({}, {}))
    return Change(
        at=record.place.at,
        action=record.action,
        username=actor.get("username") or actor.get("database_role") or "",
        door=actor.get("door") or "",
        reason=actor.get("reason") or "",
        before=words_of(variable, before, missing=reason_in(missing_before, name)),
        after=words_of(variable, after, missing=reason_in(missing_after, name)),
    )
