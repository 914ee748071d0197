"""Rows of forms in and out of PostgreSQL, with SQL made once from the declaration of each form.

One form of writing serves a single entry and thousands. Writes here are for the entry service alone: they
check nothing.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
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
    """Save new entries of one form, all made at the same moment, in one statement.

    `beside` gives further columns, with a value for each entry. `run` is given the statement and its parameters.
    """
    entries_were_saved(form.form_name(), number=len(entries))
    table, first = table_of(form), entries[0]
    moment = first.updated_at.isoformat()
    shared = {"version": first.version, "locked": first.locked, "created_at": moment, "updated_at": moment}
    own: dict[str, Sequence[Any]] = {
        "record_id": [entry.record_id for entry in entries],
        "site_id": [entry.site for entry in entries],
        "instance": [entry.instance for entry in entries],
        "status": [entry.status.value for entry in entries],
        "missing": [json.dumps(entry.missing) if entry.missing else "{}" for entry in entries],
        **beside,
        **{
            name: _stored([entry.values[name] for entry in entries], table.writers.get(name))
            for name in table.variables
        },
    }
    if len(entries) == 1:
        run(_insert_one(form, (*shared, *own)), [*shared.values(), *(column[0] for column in own.values())])
    else:
        run(_insert_many(form, tuple(shared), tuple(own)), [*shared.values(), *map(_as_json, own.values())])


def _as_json(values: Sequence[Any]) -> str:
    """Return the values of a column as a JSON array, empty where none has a value."""
    return "[]" if values.count(None) == len(values) else msgspec.json.encode(values).decode()


@cache
def _insert_one(form: type[Form], names: tuple[str, ...]) -> str:
    """Return the statement that inserts one row, with a value for each of the columns `names`."""
    columns = ", ".join(connection.ops.quote_name(name) for name in names)
    return f"INSERT INTO {table_of(form).quoted} ({columns}) VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608 -- identifiers of the declaration


@cache
def _insert_many(form: type[Form], shared: tuple[str, ...], own: tuple[str, ...]) -> str:
    """Return the statement that inserts many rows: one value for each `shared` column, a JSON array for each other.

    Column by column, for COPY is closed to a role that row-level security holds for, and rows as JSON objects take
    PostgreSQL half as long again. An array that is shorter than the others is filled up with nulls.
    """
    quote = connection.ops.quote_name
    # Without its length a type cuts and rounds nothing: that is left to the column, which refuses what is too long.
    types = {field.column: str(field.db_type(connection)).partition("(")[0] for field in form._meta.local_fields}
    columns = ", ".join(quote(name) for name in (*shared, *own))
    values = [f"%s::{types[name]}" for name in shared] + [f"{quote(name)}::{types[name]}" for name in own]
    arrays = ", ".join(["json_array_elements_text(%s::json)"] * len(own))
    rows = f"ROWS FROM ({arrays}) AS entry ({', '.join(map(quote, own))})"
    return f"INSERT INTO {table_of(form).quoted} ({columns}) SELECT {', '.join(values)} FROM {rows}"  # noqa: S608 -- identifiers of the declaration


def update_entry(entry: Entry, *, changed: Collection[str]) -> None:
    """Save a changed entry over its former version: the variables `changed`, and what stands beside them."""
    table = table_of(entry.form)
    names = ["status", "version", "missing", "updated_at", *changed]
    assignments = ", ".join(f"{connection.ops.quote_name(name)} = %s" for name in names)
    values: list[Any] = [entry.status.value, entry.version, json.dumps(entry.missing), entry.updated_at]
    sql = f"UPDATE {table.quoted} SET {assignments} WHERE record_id = %s AND instance = %s"  # noqa: S608 -- identifiers of the declaration
    # There are as many such statements as sets of variables: most run once.
    values += [_stored([entry.values[name]], table.writers.get(name))[0] for name in changed]
    execute(sql, [*values, entry.record_id, entry.instance], prepare=False)
    entries_were_saved(entry.form.form_name(), number=1)


def _stored(values: list[Any], write: Callable[[Any], Any] | None) -> list[Any]:
    """Return values of a variable as they go to its column; `write` is how, if not as they are."""
    return values if write is None else [None if value is None else write(value) for value in values]


def read_partial_dates(row: dict[str, Any], names: Iterable[str]) -> None:
    """Turn the texts of partial dates in a row into partial dates."""
    for name in names:
        if isinstance(row[name], str):  # the ORM has made dates of them already
            row[name] = PartialDate.parse(row[name])
