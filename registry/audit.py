"""The audit trail: who changed what, when, through which door, from what to what and why; and who saw or took what.

Read from the history tables, which triggers write (`registry.history`), from the list of accesses
(`registry.accesses`) and from the record of who came in (`registry.accounts.events`). Everybody sees the trail of the
patients whom they may read; that of people, roles, tokens, sites, reports and sign-ins is for those who manage people.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar

from django.db import connection, models
from msgspec.json import decode

from registry.accesses import AccessKind, note_access
from registry.history import history_models, tracked_by
from registry.models import AccessEvent, Person, SignInEvent
from registry.people import visible_people
from registry.rights import Caller, Right

ACCESS = "access"
"""What stands in the place of a form for an access."""
SIGN_IN = "sign_in"
"""What stands there for an event on the way in or out."""


class Kind(StrEnum):
    """What a record of the trail tells of."""

    CHANGES = "changes"
    ACCESSES = "accesses"
    SIGN_INS = "sign_ins"


NOT_OF_ROWS = frozenset({ACCESS, SIGN_IN})
BESIDE_THE_DATA = (
    "{pgh_id,pgh_seq,pgh_digest,pgh_chain,pgh_obj_id,pgh_label,pgh_context,pgh_created_at,"
    "id,version,created_at,updated_at}"
)
"""Columns of a history row that are not what somebody changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What is asked of the audit trail; None asks for everything."""

    kind: Kind | None = None
    record_id: str | None = None
    form: str | None = None
    instance: int | None = None
    variable: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands in the trail, which is in the order of time: pages are cut at it."""

    at: datetime
    source: str
    key: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change of a row, one access, or one sign-in. `changes` maps each variable to its value before and after."""

    place: Place
    action: str
    form: str
    record_id: str | None
    instance: int | None
    site: str | None
    actor: Mapping[str, Any]
    changes: Mapping[str, tuple[Any, Any]]
    details: Mapping[str, Any]


def read_trail(trail: Trail, *, by: Caller, before: Place | None = None, most: int = 100) -> list[AuditRecord]:
    """Return the latest records that `trail` asks for and `by` may see, at most `most`, those before a place only."""
    sources = [source for source in _sources(by) if source.is_asked_for(trail)]
    if not sources:
        return []
    parts, parameters = [], []
    for source in sources:
        part, needed = source.query(trail, by=by, before=before)
        parts.append(f"({part} ORDER BY at DESC, key DESC LIMIT {int(most)})")
        parameters += needed
    every = " UNION ALL ".join(parts)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM ({every}) trail ORDER BY at DESC, source DESC, key DESC LIMIT {int(most)}",  # noqa: S608 -- names of tables
            parameters,
        )
        return [_record(row) for row in cursor.fetchall()]


def whole_trail(trail: Trail, *, by: Caller, at_once: int = 1_000) -> Iterator[AuditRecord]:
    """Yield every record that `trail` asks for and `by` may see, the latest first; memory does not grow with them."""
    before = None
    while records := read_trail(trail, by=by, before=before, most=at_once):
        yield from records
        before = records[-1].place


def told(records: list[AuditRecord]) -> list[AuditRecord]:
    """Return the records; that the acting person is shown the values of patients among them is noted."""
    of_patients = Counter(record.site for record in records if record.site and record.record_id and record.changes)
    patients = {record.record_id for record in records if record.record_id and record.changes}
    one = patients.pop() if len(patients) == 1 else None
    note_access(AccessKind.READ_AUDIT_TRAIL, rows=of_patients, record_id=one or "")
    return records


def forms_of_the_trail(by: Caller) -> list[str]:
    """Return the names that `Trail.form` may have for `by`."""
    return [source.form for source in _sources(by)]


@dataclass(frozen=True, slots=True)
class _Source:
    """One table of the trail. `columns` are SQL: the key, and where a row belongs."""

    form: str
    table: str
    columns: frozenset[str]
    of_patients: bool

    kind: ClassVar[Kind] = Kind.CHANGES

    def is_asked_for(self, trail: Trail) -> bool:
        """Return whether there may be something in this table that `trail` asks for."""
        return (
            trail.form in (None, self.form)
            and trail.kind in (None, self.kind)
            and (trail.variable is None or trail.variable in self.columns)
            and (trail.instance is None or "instance" in self.columns)
        )

    def query(self, trail: Trail, *, by: Caller, before: Place | None) -> tuple[str, list[Any]]:
        """Return the SQL of the rows of this table, and its parameters."""
        where, parameters = self._conditions(trail, by=by)
        if before is not None:
            where.append("(changed.pgh_created_at, %s::text, changed.pgh_id) < (%s, %s, %s)")
            parameters += [self.form, before.at, before.source, before.key]
        previous = (
            f"SELECT former.* FROM {self.table} former WHERE former.pgh_chain = changed.pgh_chain"  # noqa: S608 -- names of tables
            " AND former.pgh_obj_id = changed.pgh_obj_id AND former.pgh_seq < changed.pgh_seq"
            " ORDER BY former.pgh_seq DESC LIMIT 1"
        )
        sql = (
            f"SELECT changed.pgh_created_at AS at, '{self.form}' AS source, changed.pgh_id AS key, changed.pgh_label,"  # noqa: S608 -- names of tables
            f" {self._or_null('record_id')}::text, {self._or_null('instance')}::int, {self._or_null('site_id')}::text,"
            f" changed.pgh_context::text, (to_jsonb(changed) - '{BESIDE_THE_DATA}'::text[])::text,"
            f" (to_jsonb(before) - '{BESIDE_THE_DATA}'::text[])::text"
            f" FROM {self.table} changed LEFT JOIN LATERAL ({previous}) before ON changed.pgh_label <> 'insert'"
            f" WHERE {' AND '.join(where or ['true'])}"
        )
        return sql, parameters

    def _conditions(self, trail: Trail, *, by: Caller) -> tuple[list[str], list[Any]]:
        where, parameters = _given(
            *self._visible_to(by),
            ("changed.pgh_chain = %s", trail.record_id),
            ("changed.instance = %s", trail.instance),
            ("changed.pgh_context->>'username' = %s", trail.user),
            ("changed.pgh_created_at >= %s", trail.since),
            ("changed.pgh_created_at < %s", trail.until),
        )
        if trail.variable is not None:
            # The reason why there is no value belongs to the variable.
            said = "jsonb_build_array(to_jsonb({row})->%s" + (
                ", {row}.missing->%s)" if "missing" in self.columns else ")"
            )
            where.append(f"{said.format(row='changed')} IS DISTINCT FROM {said.format(row='before')}")
            parameters += [trail.variable] * (4 if "missing" in self.columns else 2)
        return where, parameters

    def _visible_to(self, by: Caller) -> Iterator[tuple[str, Any]]:
        """Yield what keeps the rows to the sites, or for who manages some sites the people, that `by` may see."""
        if self.of_patients:
            yield "changed.site_id = ANY(%s)", sorted(by.sites_with(Right.READ))
        if self.of_patients or by.may_everywhere(Right.MANAGE):
            return
        if "person_id" in self.columns or self.form == name_in_the_trail(Person):
            column = "person_id" if "person_id" in self.columns else "pgh_obj_id"
            yield f"changed.{column} = ANY(%s)", _keys_of_people(by)
        if "site_id" in self.columns:
            yield "(changed.site_id IS NULL OR changed.site_id = ANY(%s))", sorted(by.sites_with(Right.MANAGE))

    def _or_null(self, column: str) -> str:
        return f"changed.{column}" if column in self.columns else "NULL"


def _given(*asked: tuple[str, Any]) -> tuple[list[str], list[Any]]:
    """Return the SQL conditions whose value is asked for, and their parameters; None asks for nothing."""
    given = [(condition, value) for condition, value in asked if value is not None]
    return [condition for condition, _value in given], [value for _condition, value in given]


class _Accesses(_Source):
    """The list of accesses."""

    kind = Kind.ACCESSES

    def query(self, trail: Trail, *, by: Caller, before: Place | None) -> tuple[str, list[Any]]:
        where, parameters = _given(
            ("site_id = ANY(%s)", sorted(by.sites_with(Right.READ))),
            ("record_id = %s", trail.record_id),
            ("actor->>'username' = %s", trail.user),
            ("at >= %s", trail.since),
            ("at < %s", trail.until),
        )
        if before is not None:
            where.append("(at, %s::text, id) < (%s, %s, %s)")
            parameters += [self.form, before.at, before.source, before.key]
        sql = (
            f"SELECT at, '{self.form}' AS source, id AS key, kind, NULLIF(record_id, ''), NULL::int, site_id,"  # noqa: S608 -- constants
            f" actor::text, details::text, NULL FROM {self.table} WHERE {' AND '.join(where)}"
        )
        return sql, parameters


class _SignIns(_Source):
    """The record of who came in and went out, failed or was locked out."""

    kind = Kind.SIGN_INS

    def query(self, trail: Trail, *, by: Caller, before: Place | None) -> tuple[str, list[Any]]:
        where, parameters = _given(
            ("event.person_id = ANY(%s)", None if by.may_everywhere(Right.MANAGE) else _keys_of_people(by)),
            ("COALESCE(actor.username, person.username) = %s", trail.user),
            ("event.at >= %s", trail.since),
            ("event.at < %s", trail.until),
        )
        where.append("false" if trail.record_id is not None else "true")
        if before is not None:
            where.append("(event.at, %s::text, event.id) < (%s, %s, %s)")
            parameters += [self.form, before.at, before.source, before.key]
        people = connection.ops.quote_name(Person._meta.db_table)
        sql = (
            f"SELECT event.at, '{self.form}' AS source, event.id AS key, event.kind::text, NULL::text, NULL::int,"  # noqa: S608 -- constants
            " NULL::text, jsonb_build_object('person', COALESCE(actor.id, person.id), 'username',"
            " COALESCE(actor.username, person.username), 'door', 'pages')::text, (CASE WHEN actor.id IS NULL"
            " THEN '{}' ELSE jsonb_build_object('username', person.username) END"
            " || jsonb_build_object('address', host(event.address)))::text, NULL"
            f" FROM {self.table} event LEFT JOIN {people} person ON person.id = event.person_id"
            f" LEFT JOIN {people} actor ON actor.id = event.by_id WHERE {' AND '.join(where)}"
        )
        return sql, parameters


def _keys_of_people(by: Caller) -> list[int]:
    return list(visible_people(by).values_list("pk", flat=True))


def _sources(by: Caller) -> list[_Source]:
    manages = by.may_anywhere(Right.MANAGE)
    return [source for source in _all_sources() if source.of_patients or manages]


@cache
def _all_sources() -> tuple[_Source, ...]:
    sources = [
        _Source(
            name_in_the_trail(tracked_by(history)),
            connection.ops.quote_name(history._meta.db_table),
            frozenset(str(field.column) for field in history._meta.local_fields),
            of_patients=any(field.column == "site_id" and not field.null for field in history._meta.local_fields),
        )
        for history in history_models()
    ]
    accesses = _Accesses(ACCESS, connection.ops.quote_name(AccessEvent._meta.db_table), frozenset(), of_patients=True)
    sign_ins = _SignIns(SIGN_IN, connection.ops.quote_name(SignInEvent._meta.db_table), frozenset(), of_patients=False)
    return (*sources, accesses, sign_ins)


def name_in_the_trail(model: type[models.Model]) -> str:
    """Return the name of a tracked model for people: a form's own, else that of the model, `membership`."""
    name = getattr(model, "form_name", None)
    return name() if name else str(model._meta.verbose_name).replace(" ", "_")


def _record(row: Sequence[Any]) -> AuditRecord:
    at, source, key, label, record_id, instance, site, actor, after, before = row
    place, who = Place(at, source, key), decode(actor)
    now = decode(after)
    if source in NOT_OF_ROWS:
        return AuditRecord(place, label, source, record_id, None, site, who, {}, now)
    found = AuditRecord(place, label, source, record_id, instance, site, who, {}, {})
    former = decode(before) if before else {}
    if label == "delete":
        return replace(found, action="removed", changes=_differences(now, {}))
    return replace(found, action=_action(label, former, now), changes=_differences(former, now))


def _action(label: str, former: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what an insert or update is: rows are hidden and brought back by `deleted_at`."""
    if label == "insert":
        return "created"
    if bool(former.get("deleted_at")) is bool(now.get("deleted_at")):
        return "changed"
    return "deleted" if now.get("deleted_at") else "restored"


def _differences(former: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*now, *(name for name in former if name not in now)]
    return {name: (former.get(name), now.get(name)) for name in names if former.get(name) != now.get(name)}
