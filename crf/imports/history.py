"""What was saved in entries since a template was made, from their history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from crf.forms import Form
from crf.imports.merging import Version
from crf.storage import BESIDE, entry_of, table_of

Place = tuple[str, int]
"""Record id and instance."""


def versions_since(form: type[Form], asked: Mapping[Place, int]) -> dict[Place, list[Version]]:
    """Return, for each entry of `form` that is at another version than the one asked for, what it was from that one on.

    The oldest first; an entry at the very version is left out.
    """
    if not asked:
        return {}
    table, quote = table_of(form), connection.ops.quote_name
    columns = ", ".join(f"past.{quote(name)}" for name in (*BESIDE, *table.variables))
    sql = (
        f"SELECT past.pgh_context->>'username', past.pgh_created_at, {columns}"  # noqa: S608 -- identifiers of the declaration
        " FROM unnest(%s::text[], %s::int[], %s::int[]) AS asked (record_id, instance, version)"
        f" JOIN {table.quoted} now ON now.record_id = asked.record_id AND now.instance = asked.instance"
        " AND now.version <> asked.version"
        f" JOIN {quote(f'{table.name}history')} past ON past.pgh_chain = asked.record_id"
        " AND past.instance = asked.instance AND past.version >= asked.version ORDER BY past.pgh_chain, past.pgh_seq"
    )
    records, instances = zip(*asked, strict=True)
    found: dict[Place, list[Version]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(records), list(instances), list(asked.values())])
        for row in cursor.fetchall():
            version = _version(form, row)
            found.setdefault((version.entry.record_id, version.entry.instance), []).append(version)
    return found


def _version(form: type[Form], row: Sequence[Any]) -> Version:
    who, at, *columns = row
    moment: datetime = at
    return Version(entry=entry_of(form, columns), who=who, at=moment)
