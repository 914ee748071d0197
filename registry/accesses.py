"""Accesses to patients' data are kept beside the history of changes: who saw identifiers, who took data along."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from registry.database import execute

NOTE = """
    INSERT INTO registry_accessevent (kind, actor, site_id, record_id, details)
    SELECT %s, ecrf_actor(), site, %s, %s::jsonb || jsonb_build_object('rows', rows)
      FROM unnest(%s::text[], %s::int[]) AS touched(site, rows)
"""


class AccessKind(StrEnum):
    """What was done with the data."""

    READ_IDENTIFIERS = "read_identifiers"
    READ_AUDIT_TRAIL = "read_audit_trail"
    EXPORTED_RECORDS = "exported_records"
    ASKED_FOR_EXPORT = "asked_for_export"
    FETCHED_EXPORT = "fetched_export"
    MADE_BACKUP = "made_backup"
    RESTORED_BACKUP = "restored_backup"
    VERIFIED_HISTORY = "verified_history"


def note_access(
    kind: AccessKind, *, rows: Mapping[str, int], record_id: str = "", details: Mapping[str, Any] | None = None
) -> None:
    """Note what the acting person does, in their transaction; `rows` are those of each site, by its code (0: unknown).

    `details` say what it was about (form, export), never a value.
    """
    if rows:
        execute(NOTE, [kind.value, record_id, json.dumps(details or {}), list(rows), list(rows.values())])
