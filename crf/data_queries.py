"""Data queries: what soft checks ask by themselves, and what people ask, answer and close.

A soft check has one query for each entry and variable. It is opened when an entry is saved that raises it, and closed
by itself when the data raise it no longer, also when what ended it was a change elsewhere in the patient's chart. An
answer stays an answer while the data go on raising the check. What somebody closed by hand stays closed for the
values that it is about, and is opened again when other values raise it.

Everything runs in the transaction of its caller, which holds the patient while entries change.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from string import Formatter
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet
from django.utils import translation

from crf import storage
from crf.charts import known_patients
from crf.checks import Finding, reads_of, soft_findings
from crf.forms import Form, all_forms, patient_form
from crf.models.data_query import DataQuery, DataQueryStep, QueryOrigin, QueryState, StepKind
from crf.refusals import NotAllowed, NotFound
from crf.storage import Entry
from registry.database import execute, fetch_all
from registry.rights import Caller, Right

Place = tuple[str, str, int]
"""Record id, form name and instance of an entry."""


class WrongState(Exception):
    """The step does not follow from the state of the query, which is `state`."""

    def __init__(self, state: QueryState) -> None:
        super().__init__(state)
        self.state = state


class UnknownVariable(LookupError):
    """The form has no such variable."""


# What the checks ask


def follow(
    saved: Iterable[Entry],
    *,
    by: Caller,
    now: datetime,
    new_patients: Collection[str] = (),
    changed: Collection[str] | None = None,
) -> None:
    """Bring the queries of soft checks in line after entries were saved, of these and of all that read them.

    `saved` have the warnings of the chart as it is now. The charts of `new_patients` came in the same call as a
    whole and need no second look. `changed` names the variables that were changed, None for whole entries.
    """
    entries = list(saved)
    others = [entry for entry in entries if entry.record_id not in new_patients]
    evaluated = {_place(entry): entry for entry in _readers_of(others, changed=changed, by=by)}
    # A new entry that raises nothing has no query either.
    evaluated |= {_place(entry): entry for entry in entries if entry.version > 1 or entry.warnings}
    _settle(evaluated.values(), by=by, now=now)


def follow_deletion(deleted: Entry, *, by: Caller, now: datetime) -> None:
    """Close the queries of a deleted entry, or of a patient with all entries, and settle those of what read it."""
    queries = DataQuery.objects.filter(patient_id=deleted.record_id).exclude(state=QueryState.CLOSED)
    if deleted.form.repeating:
        queries = queries.filter(form=deleted.form.form_name(), instance=deleted.instance)
    for query in queries.select_for_update():
        _take(query, StepKind.CLOSED_BY_SYSTEM, text="", by=by, now=now)
    if deleted.form.repeating:
        _settle(_readers_of([deleted], changed=None, by=by), by=by, now=now)


def follow_deletions(deleted: Sequence[Entry], *, by: Caller, now: datetime) -> None:
    """Close the queries of deleted entries of repeating forms, and settle those of what read them."""
    places = {_place(entry) for entry in deleted}
    of_patients = DataQuery.objects.filter(patient_id__in={record_id for record_id, _form, _instance in places})
    for query in of_patients.exclude(state=QueryState.CLOSED).order_by("pk").select_for_update():
        if (query.patient_id, query.form, query.instance) in places:
            _take(query, StepKind.CLOSED_BY_SYSTEM, text="", by=by, now=now)
    _settle(_readers_of(deleted, changed=None, by=by), by=by, now=now)


def follow_restoration(restored: Collection[Entry], *, hidden_at: datetime, by: Caller, now: datetime) -> None:
    """Open again what was asked about entries of a patient that came back, as far as their deletion closed it.

    `restored` have the warnings of the chart as it is now; `hidden_at` is when they were deleted.
    """
    follow(restored, by=by, now=now)
    places = {_place(entry) for entry in restored}
    closed_with_them = DataQuery.objects.filter(
        patient_id__in={entry.record_id for entry in restored},
        origin=QueryOrigin.MANUAL,
        state=QueryState.CLOSED,
        closed_by=None,
        closed_at=hidden_at,
    )
    for query in closed_with_them.order_by("pk").select_for_update(of=("self",)):
        if (query.patient_id, query.form, query.instance) in places:
            _take(query, StepKind.REOPENED_BY_SYSTEM, text="", by=by, now=now)


def _place(entry: Entry) -> Place:
    return entry.record_id, entry.form.form_name(), entry.instance


def _readers_of(saved: Iterable[Entry], *, changed: Collection[str] | None, by: Caller) -> list[Entry]:
    """Return the entries of the same patients whose soft checks read what was saved, with their warnings."""
    readers: dict[type[Form], set[str]] = {}
    for entry in saved:
        for form in _forms_that_read(entry.form, None if changed is None else frozenset(changed)):
            readers.setdefault(form, set()).add(entry.record_id)
    if not readers:
        return []
    patients = set().union(*readers.values())
    known = known_patients(patients, forms=readers, sites=by.sites_with(Right.READ), hold=False)
    entries = [entry for entry in _entries_of(readers) if entry.record_id in known]
    for entry in entries:
        entry.warnings = soft_findings(entry.form, entry.as_row(), chart=known[entry.record_id].chart)
    return entries


@cache
def _forms_that_read(form: type[Form], changed: frozenset[str] | None) -> tuple[type[Form], ...]:
    """Return the forms whose soft checks read these variables of other rows of `form`; None stands for all."""
    read = {reader: _soft_reads(reader).get(form.form_name(), frozenset()) for reader in all_forms()}
    return tuple(reader for reader, names in read.items() if names and (changed is None or names & changed))


@cache
def _soft_reads(form: type[Form]) -> Mapping[str, frozenset[str]]:
    """Return the variables of other rows that the soft checks of `form` read, by form name."""
    patient = patient_form().form_name()
    read: dict[str, frozenset[str]] = {patient: frozenset(reads_of(form).get(patient, ())) & {"birth_date"}}
    for check in form.soft_checks:
        for name, variables in check.reads.items():
            read[name] = read.get(name, frozenset()) | frozenset(variables)
    return read


def _entries_of(readers: Mapping[type[Form], Collection[str]]) -> list[Entry]:
    """Return the entries of patients, by form, in one round trip."""
    statements = [(_statement_of_entries(form), [",".join(patients)]) for form, patients in readers.items()]
    found = fetch_all(*statements, prepare=all(len(patients) == 1 for patients in readers.values()))
    return [storage.entry_of(form, row) for form, rows in zip(readers, found, strict=True) for row in rows]


def _statement_of_entries(form: type[Form]) -> str:
    """Return the question for the entries of patients, each looked up by the key of the table (`crf.charts.WANTED`)."""
    table = storage.table_of(form)
    of_one = f"SELECT * FROM {table.quoted} WHERE record_id = wanted.patient AND deleted_at IS NULL OFFSET 0"  # noqa: S608 -- identifiers of the declaration
    wanted = "unnest(string_to_array(%s, ',')) AS wanted (patient)"
    return f"SELECT {table.entry_columns()} FROM {wanted} CROSS JOIN LATERAL ({of_one}) of_one"  # noqa: S608 -- identifiers of the declaration


def _settle(evaluated: Collection[Entry], *, by: Caller, now: datetime) -> None:
    """Hand the database what the checks found; it opens, opens again, renews and closes in one round trip."""
    if not evaluated:
        return
    places = [dict(zip(("record_id", "form", "instance"), _place(entry), strict=True)) for entry in evaluated]
    # What is kept is in one language, whoever saved.
    with translation.override(settings.LANGUAGE_CODE):
        found = {
            (*_place(entry), finding.field, finding.code): _raised(entry, finding)
            for entry in evaluated
            for finding in entry.warnings
        }
    execute(
        "SELECT crf_settle_queries(%s::json, %s::json, %s, %s)",
        [json.dumps(places), json.dumps(list(found.values())), by.person_id, now],
    )


def _raised(entry: Entry, finding: Finding) -> dict[str, Any]:
    record_id, form, instance = _place(entry)
    return {
        "record_id": record_id,
        "form": form,
        "instance": instance,
        "variable": finding.field,
        "check_code": finding.code,
        "site_id": entry.site,
        "text": finding.message,
        "basis": basis_of(entry, finding),
    }


def basis_of(entry: Entry, finding: Finding) -> str:
    """Return the digest of the values that the finding is about: its variable, and those that its words name."""
    variables = entry.form.variables()
    values = {name: variables[name].to_text(entry.values[name]) for name in _about(entry.form, finding.code)}
    if finding.field is not None:
        values[finding.field] = variables[finding.field].to_text(entry.values[finding.field])
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@cache
def _about(form: type[Form], code: str) -> tuple[str, ...]:
    messages = [check.message for check in form.soft_checks if check.code == code]
    return tuple(name for message in messages for _text, name, _spec, _conversion in Formatter().parse(message) if name)


# What people ask


@dataclass(frozen=True)
class Step:
    """What a person may do to a query: with which right, in which states, and which one follows."""

    right: Right
    in_states: frozenset[str]
    leads_to: QueryState


BY_SYSTEM: Mapping[StepKind, QueryState] = {
    StepKind.REOPENED_BY_SYSTEM: QueryState.OPEN,
    StepKind.CLOSED_BY_SYSTEM: QueryState.CLOSED,
}
"""What a deletion or its undoing leads to."""
STEPS: Mapping[StepKind, Step] = {
    StepKind.ANSWERED: Step(Right.ANSWER_QUERY, frozenset({QueryState.OPEN, QueryState.ANSWERED}), QueryState.ANSWERED),
    StepKind.CLOSED: Step(Right.CLOSE_QUERY, frozenset({QueryState.OPEN, QueryState.ANSWERED}), QueryState.CLOSED),
    StepKind.REOPENED: Step(Right.OPEN_QUERY, frozenset({QueryState.ANSWERED, QueryState.CLOSED}), QueryState.OPEN),
}


def visible_queries(by: Caller) -> QuerySet[DataQuery]:
    """Return the queries that the caller may see."""
    return DataQuery.objects.filter(site_id__in=by.sites_with(Right.READ))


@dataclass(frozen=True, slots=True)
class SiteCounts:
    """How many queries a site has in each state, and when the oldest that is not closed was asked."""

    site: str
    open: int
    answered: int
    closed: int
    oldest: datetime | None


def counts_by_site(by: Caller) -> list[SiteCounts]:
    """Return the counts of each site that the caller reads, by code."""
    numbers = {state: Count("pk", filter=Q(state=state)) for state in QueryState.values}
    oldest = Min("opened_at", filter=~Q(state=QueryState.CLOSED))
    rows = visible_queries(by).order_by().values_list("site_id").annotate(**numbers, oldest=oldest)
    found = {row[0]: SiteCounts(*row) for row in rows}
    return [found.get(site, SiteCounts(site, 0, 0, 0, None)) for site in sorted(by.sites_with(Right.READ))]


def to_do(by: Caller) -> Q:
    """Return which queries wait for the caller.

    Answered ones where the caller may close them, or that the caller asked; open ones where the caller may answer
    them and others close them.
    """
    closes = by.sites_with(Right.CLOSE_QUERY)
    answers = by.sites_with(Right.ANSWER_QUERY) - closes
    return Q(state=QueryState.ANSWERED) & (Q(site_id__in=closes) | Q(opened_by=by.person_id)) | Q(
        state=QueryState.OPEN, site_id__in=answers
    )


def next_steps(query: DataQuery, *, by: Caller) -> list[StepKind]:
    """Return the steps that the state of the query and the rights of the caller allow."""
    return [
        kind for kind, step in STEPS.items() if query.state in step.in_states and by.may(step.right, at=query.site_id)
    ]


def open_query(
    form: type[Form], record_id: str, instance: int, *, variable: str, text: str, by: Caller, now: datetime
) -> DataQuery:
    """Ask about a variable of an entry. Raises NotFound, NotAllowed, UnknownVariable."""
    readable = by.sites_with(Right.READ)
    known = known_patients([record_id], forms=(), sites=readable, hold=True).get(record_id)
    where = "record_id = %s AND instance = %s"
    if known is None or not storage.select_entries(form, where=where, parameters=[record_id, instance]):
        raise NotFound
    if not by.may(Right.OPEN_QUERY, at=known.site):
        raise NotAllowed
    if variable not in form.variables():
        raise UnknownVariable
    query = DataQuery.objects.create(
        site_id=known.site,
        patient_id=record_id,
        form=form.form_name(),
        instance=instance,
        variable=variable,
        text=text,
        origin=QueryOrigin.MANUAL,
        opened_at=now,
        opened_by_id=by.person_id,
    )
    _note(query, StepKind.OPENED, text=text, by=by, now=now)
    return query


def refuse_step_unless_allowed(query_id: int, kind: StepKind, *, by: Caller) -> None:
    """Raise NotFound or NotAllowed unless the caller may take such a step at the site of the query."""
    site = visible_queries(by).filter(pk=query_id).values_list("site_id", flat=True).first()
    if site is None:
        raise NotFound
    if not by.may(STEPS[kind].right, at=site):
        raise NotAllowed


def take_step(query_id: int, kind: StepKind, *, text: str, by: Caller, now: datetime) -> DataQuery:
    """Answer, close or reopen a query (`STEPS`). Raises NotFound, NotAllowed, WrongState."""
    refuse_step_unless_allowed(query_id, kind, by=by)
    query = DataQuery.objects.select_for_update().get(pk=query_id)
    if query.state not in STEPS[kind].in_states:
        raise WrongState(QueryState(query.state))
    _take(query, kind, text=text, by=by, now=now)
    return query


def close_answered(query_ids: Collection[int], *, text: str, by: Caller, now: datetime) -> int:
    """Close those of the queries that are still answered, and return how many. Raises NotFound, NotAllowed."""
    queries = list(visible_queries(by).filter(pk__in=query_ids).order_by("pk").select_for_update(of=("self",)))
    if len(queries) < len(set(query_ids)):
        raise NotFound
    if not all(by.may(Right.CLOSE_QUERY, at=query.site_id) for query in queries):
        raise NotAllowed
    answered = [query for query in queries if query.state == QueryState.ANSWERED]
    for query in answered:
        _take(query, StepKind.CLOSED, text=text, by=by, now=now)
    return len(answered)


def steps_of(query: DataQuery) -> Sequence[DataQueryStep]:
    """Return the steps of a query, first to last."""
    return list(query.steps.select_related("person").order_by("id"))


def _take(query: DataQuery, kind: StepKind, *, text: str, by: Caller, now: datetime) -> None:
    by_hand = kind in STEPS
    query.state = STEPS[kind].leads_to if by_hand else BY_SYSTEM[kind]
    closed = query.state == QueryState.CLOSED
    query.closed_at = now if closed else None
    query.closed_by_id = by.person_id if closed and by_hand else None
    query.save(update_fields=["state", "closed_at", "closed_by"])
    _note(query, kind, text=text, by=by, now=now)


def _note(query: DataQuery, kind: StepKind, *, text: str, by: Caller, now: datetime) -> None:
    DataQueryStep.objects.create(
        query=query,
        site_id=query.site_id,
        patient_id=query.patient_id,
        kind=kind,
        text=text,
        person_id=by.person_id,
        at=now,
    )
