"""The patients behind the figures, as they are stored, for whoever may see them; and the chart of one of them."""

from collections.abc import Collection
from typing import Any

import msgspec
from django.db import connection

from exports.endpoints.behind import BEHIND, OF_THE_MEMBER, Tell, groups_of
from exports.endpoints.chart import Chart
from exports.endpoints.outcome import Member
from exports.endpoints.reading import THESE, chart_of_json, charts_query

Condition = tuple[str, list[Any]]
"""A piece of SQL and its parameters."""

# Sorted by key alone: the outcomes are wide, and only those of one page are wanted.
MEMBERS = """
    SELECT outcome, sex, discoid, months_to_last_evaluable FROM (
        SELECT id, {order} AS place, record_id AS named FROM exports_patientoutcome
         WHERE site_id = ANY(%s) AND {which} ORDER BY place, named LIMIT %s OFFSET %s
    ) page JOIN exports_patientoutcome USING (id) ORDER BY place, named
"""


def patients_behind(key: str, *, counted: bool, sites: Collection[str], at_most: int, after: int = 0) -> list[Member]:
    """Return some stored patients of these sites whom a figure counts, or only is out of; without their evidence.

    The first `after` of them are left out. In the order of what the figure measures, then of record ids. The
    transaction must see the sites. Raises KeyError for an unknown figure.
    """
    behind = BEHIND[key]
    which, parameters = _all(groups_of(key))
    if not counted:
        of, of_parameters = _all(groups_of(behind.of) if behind.of else ())
        which, parameters = f"{of} AND NOT {which}", [*of_parameters, *parameters]
    order, measured = _order(behind.measure if counted else None)
    with connection.cursor() as cursor:
        sql = MEMBERS.format(order=order, which=which)
        cursor.execute(sql, [*measured, sorted(sites), *parameters, at_most, after])
        return [Member(msgspec.json.decode(outcome), *beside) for outcome, *beside in cursor.fetchall()]


def chart_of(record_id: str) -> Chart | None:
    """Return the chart of a patient as it is now, None of one whom the transaction does not see, or who is deleted."""
    with connection.cursor() as cursor:
        cursor.execute(charts_query(which=THESE), {"record_ids": [record_id]})
        row = cursor.fetchone()
    return None if row is None else chart_of_json(row[1])


def _all(groups: tuple[tuple[Tell, ...], ...]) -> Condition:
    """Return the condition that in each group one is true."""
    found = [_any(group) for group in groups]
    return f"({' AND '.join(['true', *(sql for sql, _ in found)])})", [value for _, values in found for value in values]


def _any(group: tuple[Tell, ...]) -> Condition:
    found = [_holds(tell) for tell in group]
    return f"({' OR '.join(sql for sql, _ in found)})", [value for _, values in found for value in values]


def _holds(tell: Tell) -> Condition:
    """Return the condition on one outcome, which is looked for in the JSON as it is kept.

    Taking ten thousand of them apart would cost a quarter of a second. No value holds quotes: they are codes, dates
    and numbers.
    """
    if tell.name in OF_THE_MEMBER:
        comparison = "IS NOT DISTINCT FROM" if tell.holds else "IS DISTINCT FROM"
        return f"{tell.name} {comparison} %s", [tell.value]
    stands = f'"{tell.name}":{msgspec.json.encode(tell.value).decode()}'
    return f"strpos(outcome, %s) {'>' if tell.holds else '='} 0", [stands]


def _order(measure: str | None) -> Condition:
    if measure is None:
        return "0", []
    return "split_part(split_part(outcome, %s, 2), ',', 1)::float8", [f'"{measure}":']
