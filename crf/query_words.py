"""The words of data queries, in the reader's language where that can be.

What a person asked is shown as it was written. The text of an edit check is kept in one language; as long as the values
that it is about are the same, it is worded anew for the reader.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from crf import storage
from crf.checks import soft_finding_of
from crf.data_queries import Place, basis_of
from crf.forms import forms_by_name
from crf.models.data_query import DataQuery, QueryOrigin
from crf.storage import Entry


def texts_of(queries: Iterable[DataQuery]) -> Mapping[int, str]:
    """Return the text of each query by its key: one question to the database for each form among them."""
    queries = list(queries)
    entries = _entries_of([query for query in queries if query.origin == QueryOrigin.SOFT_CHECK])
    return {query.pk: _worded_anew(query, entries.get(_place(query))) or query.text for query in queries}


def _worded_anew(query: DataQuery, entry: Entry | None) -> str | None:
    if entry is None or query.check_code is None:
        return None
    finding = soft_finding_of(entry.form, query.check_code, query.variable, entry.as_row())
    return finding.message if finding and basis_of(entry, finding) == query.basis else None


def _entries_of(queries: Iterable[DataQuery]) -> dict[Place, Entry]:
    wanted: dict[str, list[tuple[str, int]]] = {}
    for query in queries:
        wanted.setdefault(query.form, []).append((str(query.patient_id), query.instance))
    return {
        (entry.record_id, name, entry.instance): entry
        for name, places in wanted.items()
        if name in forms_by_name()
        for entry in _of_form(name, places)
    }


def _of_form(name: str, places: Iterable[tuple[str, int]]) -> list[Entry]:
    records, instances = zip(*sorted(set(places)), strict=True)
    where = "(record_id, instance) IN (SELECT * FROM unnest(%s::text[], %s::int[]))"
    parameters: list[Any] = [list(records), list(instances)]
    return storage.select_entries(forms_by_name()[name], where=where, parameters=parameters)


def _place(query: DataQuery) -> Place:
    return str(query.patient_id), query.form, query.instance
