"""Which records a call is about: those of its caller's sites, of them those that were named, changed or filtered."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from crf.batch import RECORD_ID
from crf.forms import all_forms
from crf.redcap.calls import Call
from crf.redcap.errors import ApiError
from crf.redcap.filtering import Filtering, read_filter
from crf.storage import table_of
from registry.rights import Right

MOMENT = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?", re.ASCII)
PATIENTS = "SELECT record_id, site_id FROM crf_patient WHERE deleted_at IS NULL AND site_id = ANY(%s)"
IN_ORDER = " ORDER BY site_id, number"


@dataclass(frozen=True)
class Selection:
    """SQL that gives record id and site of the patients of a call, in REDCap's order, and its parameters.

    `filtering` says which of their rows are kept where whole records are not.
    """

    sql: str
    parameters: tuple[Any, ...]
    filtering: Filtering | None = None


def selected_records(call: Call, *, filter_logic: str) -> Selection:
    """Return the patients that `records`, the date range of a call and a filter leave.

    Raises ApiError for a wrong date or filter.
    """
    conditions: list[str] = []
    parameters: list[Any] = [sorted(call.by.sites_with(Right.EXPORT_WITH_IDENTIFIERS))]
    named = call.array("records")
    if named:
        conditions.append("record_id = ANY(%s)")
        parameters.append(known_spelling(named))
    if call.has("dateRangeBegin") or call.has("dateRangeEnd"):
        condition, span = _touched(call)
        conditions.append(condition)
        parameters += span
    filtering = read_filter(filter_logic, by=call.by)
    if filtering is not None:
        sql, values = filtering.records
        conditions.append(f"id IN ({sql})")
        parameters += values
    return Selection(" AND ".join([PATIENTS, *conditions]) + IN_ORDER, tuple(parameters), filtering)


def known_spelling(record_ids: Sequence[str]) -> list[str]:
    """Return those texts that can be record ids; letters may come small."""
    return [name for text in record_ids if RECORD_ID.fullmatch(name := text.strip().upper())]


def refuse_unknown_record(call: Call) -> str:
    """Return the record id that the call names; raise ApiError when its caller has no such record."""
    name = call.text("record")
    if not name:
        raise ApiError("The parameter 'record' is missing")
    found = existing_records(known_spelling([name]), sites=call.by.sites_with(Right.READ))
    if not found:
        raise ApiError(f'The record "{name[:100]}" does not exist')
    return found[0]


def existing_records(record_ids: Sequence[str], *, sites: frozenset[str]) -> list[str]:
    """Return those of the record ids that are patients at one of the sites."""
    with connection.cursor() as cursor:
        cursor.execute(f"{PATIENTS} AND record_id = ANY(%s)", [sorted(sites), list(record_ids)])
        return [record_id for record_id, _site in cursor.fetchall()]


def moment(text: str, *, name: str, end: bool = False) -> datetime:
    """Return a time as clients write it, the end of the day when only a day is given as an end; 24:00 is midnight.

    Raises ApiError.
    """
    match = MOMENT.fullmatch(text)
    if match is None:
        raise ApiError(f"{name} is not a time. Write it as YYYY-MM-DD HH:MM:SS.")
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups())
    if hour is None:
        hour, minute, second = (23, 59, 59) if end else (0, 0, 0)
    try:
        start = datetime(year or 0, month or 0, day or 0, tzinfo=UTC)
        if hour == 24 and not minute and not second:
            return start + timedelta(days=1)
        whole_second = start.replace(hour=hour, minute=minute or 0, second=second or 0)
    except (ValueError, OverflowError):
        raise ApiError(f"{name} is not a time of the calendar. Write it as YYYY-MM-DD HH:MM:SS.") from None
    return whole_second


def _touched(call: Call) -> tuple[str, list[Any]]:
    """Return the condition that a record was created or changed in the span, both ends included, and its parameters."""
    begin, end = call.text("dateRangeBegin"), call.text("dateRangeEnd")
    span: list[Any] = []
    within = ""
    if begin:
        within += " AND pgh_created_at >= %s"
        span.append(moment(begin, name="dateRangeBegin"))
    if end:
        within += " AND pgh_created_at < %s"
        span.append(moment(end, name="dateRangeEnd", end=True) + timedelta(seconds=1))
    histories = [
        f"SELECT record_id FROM {table_of(form).name}history WHERE deleted_at IS NULL{within}"  # noqa: S608 -- identifiers of the declaration
        for form in all_forms()
    ]
    return f"record_id IN ({' UNION ALL '.join(histories)})", span * len(histories)
