"""Rows of forms in and out of PostgreSQL, with SQL made once from the declaration of each form.

One form of writing serves a single entry and thousands. Writes here are for the entry service alone: they
check nothing.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from itertools import repeat
from typing import Any

import msgspec
from django.db import connection

from crf.fields import PartialDateField, Variable
from crf.forms import Form, Status
from crf.partial_dates import PartialDate
from registry.database import execute, fetch_all
from registry.measures import entries_were_saved

BESIDE = ("record_id", "site_id", "instance", "status", "version", "missing", "locked", "updated_at")
"""The columns that every form has beside its variables, in the order in which an `Entry` is read."""


@dataclass(slots=True)
class Entry:
    """One saved instance of a form; `values` holds every variable, None where there is no value."""

    form: type[Form]
    record_id: str
    site: str
    instance: int
    status: Status
    version: int
    missing: dict[str, str]
    locked: bool
    updated_at: datetime
    values: dict[str, Any]
    warnings: list[Any] = field(default_factory=list)

    @property
    def etag(self) -> str:
        """The version as HTTP's entity tag."""
        return f'"{self.version}"'

    def as_row(self) -> dict[str, Any]:
        """Return the values as edit checks read them."""
        return {**self.values, "instance": self.instance}


@dataclass(frozen=True)
class Table:
    """The SQL of one form."""

    form: type[Form]
    name: str
    variables: tuple[str, ...]
    partial_dates: tuple[str, ...]
    writers: Mapping[str, Callable[[Any], Any]]
    """How values are written that do not go to their column as they are, by variable."""

    @property
    def quoted(self) -> str:
        """The table name, quoted."""
        return connection.ops.quote_name(self.name)

    def entry_columns(self) -> str:
        """Return the columns of an entry: those beside the variables, then the variables."""
        return ", ".join(connection.ops.quote_name(name) for name in (*BESIDE, *self.variables))


@cache
def table_of(form: type[Form]) -> Table:
    """Return the SQL of `form`."""
    variables = tuple(name for name in form.variables() if name not in BESIDE)
    partial = tuple(name for name, kind in form.variables().items() if isinstance(kind, PartialDateField))
    writers = {name: kind.stored for name, kind in form.variables().items() if type(kind).stored is not Variable.stored}
    return Table(form=form, name=form._meta.db_table, variables=variables, partial_dates=partial, writers=writers)


def entry_of(form: type[Form], row: Sequence[Any]) -> Entry:
    """Return the entry that a row of `Table.entry_columns` is."""
    table, beside = table_of(form), len(BESIDE)
    record_id, site, instance, status, version, missing, locked, updated_at = row[:beside]
    values = dict(zip(table.variables, row[beside:], strict=True))
    if not form.repeating:
        values = {"record_id": record_id, **values}
    read_partial_dates(values, table.partial_dates)
    reasons = json.loads(missing) if isinstance(missing, str) else missing
    return Entry(form, record_id, site, instance, Status(status), version, reasons, locked, updated_at, values)


def select_entries(
    form: type[Form],
    *,
    where: str,
    parameters: Sequence[Any],
    deleted: bool = False,
    prepare: bool = False,
) -> list[Entry]:
    """Return the entries for which the SQL condition `where` holds, by record and instance.

    Those that are not deleted; with `deleted` only those that are. `prepare` as for `registry.database.fetch_all`.
    """
    table = table_of(form)
    sql = (
        f"SELECT {table.entry_columns()} FROM {table.quoted}"  # noqa: S608 -- identifiers of the declaration
        f" WHERE deleted_at IS {'NOT ' if deleted else ''}NULL AND {where} ORDER BY record_id, instance"
    )
    return [entry_of(form, row) for row in fetch_all((sql, parameters), prepare=prepare)[0]]


def insert_entries(
    form: type[Form],
    entries: Sequence[Entry],
    *,
    beside: Mapping[str, Sequence[Any]],
    run: Callable[[str, Sequence[Any]], None] = execute,
) -> None:
    """Save new entries of one form in one statement.

    `beside` gives further columns, with a value for each entry. `run` is given the statement and its parameters.
    """
    table = table_of(form)
    names = (*BESIDE, "created_at", *beside, *table.variables)
    entries_were_saved(form.form_name(), number=len(entries))
    rows = _rows(entries, beside=beside)
    if len(entries) == 1:
        run(_insert_one(form, names), next(rows))
        return
    # Several come as one JSON text: COPY is closed to a role that row-level security holds for.
    records = msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows]).decode()
    run(_insert_many(form, names), [records])


@cache
def _insert_one(form: type[Form], names: tuple[str, ...]) -> str:
    """Return the statement that inserts one row, with a value for each of the columns `names`."""
    columns = ", ".join(connection.ops.quote_name(name) for name in names)
    return f"INSERT INTO {table_of(form).quoted} ({columns}) VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608 -- identifiers of the declaration


@cache
def _insert_many(form: type[Form], names: tuple[str, ...]) -> str:
    """Return the statement that inserts the objects of one JSON array, with a value for each of the columns `names`."""
    quote = connection.ops.quote_name
    types = {field.column: field.db_type(connection) for field in form._meta.local_fields}
    columns = ", ".join(quote(name) for name in names)
    # JSON of a column goes as text: as JSON it would be a text in JSON.
    read = ", ".join(f"{quote(name)} {'text' if types[name] == 'jsonb' else types[name]}" for name in names)
    values = ", ".join(f"{quote(name)}::jsonb" if types[name] == "jsonb" else quote(name) for name in names)
    table = table_of(form).quoted
    return f"INSERT INTO {table} ({columns}) SELECT {values} FROM json_to_recordset(%s::json) AS record({read})"  # noqa: S608 -- identifiers of the declaration


def update_entry(entry: Entry, *, changed: Collection[str]) -> None:
    """Save a changed entry over its former version: the variables `changed`, and what stands beside them."""
    table = table_of(entry.form)
    names = ["status", "version", "missing", "updated_at", *changed]
    assignments = ", ".join(f"{connection.ops.quote_name(name)} = %s" for name in names)
    values: list[Any] = [entry.status.value, entry.version, json.dumps(entry.missing), entry.updated_at]
    sql = f"UPDATE {table.quoted} SET {assignments} WHERE record_id = %s AND instance = %s"  # noqa: S608 -- identifiers of the declaration
    # There are as many such statements as sets of variables: most run once.
    execute(sql, [*values, *_stored(entry, changed), entry.record_id, entry.instance], prepare=False)
    entries_were_saved(entry.form.form_name(), number=1)


def _rows(entries: Sequence[Entry], *, beside: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of new entries, in the order of their columns."""
    further = zip(*beside.values(), strict=True) if beside else repeat((), len(entries))
    for entry, more in zip(entries, further, strict=True):
        yield (*_beside(entry), *more, *_stored(entry, table_of(entry.form).variables))


def _beside(entry: Entry) -> tuple[Any, ...]:
    """Return the values of `BESIDE`, and the time of creation, which is that of the first version."""
    saved_at = _moment(entry.updated_at)
    return (
        entry.record_id,
        entry.site,
        entry.instance,
        entry.status.value,
        entry.version,
        json.dumps(entry.missing) if entry.missing else "{}",
        entry.locked,
        saved_at,
        saved_at,
    )


@lru_cache(maxsize=1)
def _moment(moment: datetime) -> str:
    """Return a moment as text; the entries of one call share theirs."""
    return moment.isoformat()


def _stored(entry: Entry, variables: Iterable[str]) -> list[Any]:
    """Return the values of an entry as they go to the columns of `variables`."""
    writers, values = table_of(entry.form).writers, entry.values
    return [
        write(value) if (value := values[name]) is not None and (write := writers.get(name)) else value
        for name in variables
    ]


def read_partial_dates(row: dict[str, Any], names: Iterable[str]) -> None:
    """Turn the texts of partial dates in a row into partial dates."""
    for name in names:
        if isinstance(row[name], str):  # the ORM has made dates of them already
            row[name] = PartialDate.parse(row[name])
