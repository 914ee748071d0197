"""The data of an import as rows of cells, whichever format and layout they came in."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lxml import etree

from crf.fields import MAX_NOTES
from crf.forms import forms_by_name
from crf.redcap.calls import Call
from crf.redcap.columns import INSTANCE, INSTRUMENT, RECORD_ID, checkbox_columns
from crf.redcap.errors import ApiError

Cells = dict[str, str]
"""One row: texts by column."""
NOT_READABLE = "The data is not in the specified format."
EAV_COLUMNS = ("record", "field_name", "value")


def read_rows(call: Call) -> list[Cells]:
    """Return the rows of `data`. Raises ApiError when they cannot be read."""
    data = call.data.fields.get("data", "")
    if not data.strip():
        raise ApiError("The parameter 'data' is empty. Send the records to import.")
    is_csv = call.format == "csv"
    rows = list(_from_csv(data, delimiter=call.delimiter) if is_csv else READERS[call.format](data))
    if call.text("type") == "eav" and call.format != "odm":
        return _flat(rows)
    return rows


def _from_json(data: str) -> Iterator[Cells]:
    try:
        rows = json.loads(data, parse_int=str, parse_float=str, parse_constant=_refuse, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        why = str(error)[:200]
        raise ApiError(
            f"The data being imported is not formatted correctly ({why})."
            " The JSON must be an array as follows: [{...}]"
        ) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ApiError(
            "The data being imported is not formatted correctly. The JSON must be an array as follows: [{...}]"
        )
    for row in rows:
        yield {name: _text(name, value) for name, value in row.items()}


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ApiError(f"The value of {name[:100]} is neither a text nor a number. Write it in quotes.")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    "".join(found).encode()  # a lone surrogate in a name raises ValueError here
    return found


def _from_csv(data: str, *, delimiter: str) -> Iterator[Cells]:
    csv.field_size_limit(4 * MAX_NOTES)
    lines = csv.reader(io.StringIO(data.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        if len(set(columns)) < len(columns):
            raise ApiError("A column stands twice in the header. Remove one.")
        for cells in lines:
            if any(cells):
                padded = [*cells, *[""] * (len(columns) - len(cells))]
                yield dict(zip(columns, padded, strict=False))
    except csv.Error:
        raise ApiError(NOT_READABLE) from None


def _from_xml(data: str) -> Iterator[Cells]:
    root = _document(data)
    if root.tag != "records":
        raise ApiError(NOT_READABLE)
    for item in root:
        if item.tag != "item" or any(len(cell) for cell in item):
            raise ApiError(NOT_READABLE)
        yield {str(cell.tag): "".join(cell.itertext()) for cell in item}


def _from_odm(data: str) -> Iterator[Cells]:
    """Yield a row for each form of each subject; other parts of the document are not read."""
    root = _document(data)
    for subject in root.iterfind("{*}ClinicalData/{*}SubjectData"):
        record_id = subject.get("SubjectKey", "")
        forms = list(subject.iterfind(".//{*}FormData"))
        for form in forms:
            name = form.get("FormOID", "").removeprefix("Form.")
            cells = {RECORD_ID: record_id}
            known = forms_by_name().get(name)
            if known is None or known.repeating:
                cells |= {INSTRUMENT: name, INSTANCE: form.get("FormRepeatKey", "")}
            yield cells | {
                item.get("ItemOID", ""): item.get("Value") or "".join(item.itertext())
                for item in form.iterfind(".//{*}ItemData")
                if item.get("ItemOID") != RECORD_ID
            }


READERS: Mapping[str, Callable[[str], Iterator[Cells]]] = {"json": _from_json, "xml": _from_xml, "odm": _from_odm}


def _document(data: str) -> Any:
    """Return the root of an XML document without a document type: nothing in it is expanded or fetched."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, encoding="utf-8"
    )
    try:
        root = etree.fromstring(data.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise ApiError(NOT_READABLE) from None
    if root.getroottree().docinfo.doctype:
        raise ApiError(NOT_READABLE)
    return root


def _flat(facts: list[Cells]) -> list[Cells]:
    """Return flat rows made of EAV rows: one for each record, instrument and instance."""
    boxes = {
        name: checkbox_columns(name, variable)
        for form in forms_by_name().values()
        for name, variable in form.variables().items()
        if variable.field_type == "checkbox"
    }
    rows: dict[tuple[str, str, str], Cells] = {}
    for fact in facts:
        missing = [column for column in EAV_COLUMNS if column not in fact]
        if missing:
            raise ApiError(f"The following columns are missing in the data: {', '.join(missing)}")
        record, name, value = fact["record"].strip(), fact["field_name"].strip(), fact["value"]
        if not record:
            raise ApiError("The record name cannot be empty.")
        instrument, instance = fact.get(INSTRUMENT, "").strip(), fact.get(INSTANCE, "").strip()
        if instance.lower() == "new":
            raise ApiError(f'Record "{record[:100]}": an instance cannot be "new" in EAV data. Give its number.')
        row = rows.setdefault(
            (record, instrument, instance), {RECORD_ID: record, INSTRUMENT: instrument, INSTANCE: instance}
        )
        for column, text in _box_cells(boxes.get(name, {}), value) or [(name, value)]:
            if column != RECORD_ID:
                row[column] = text
    return list(rows.values())


def _box_cells(columns: Mapping[str, str], value: str) -> list[tuple[str, str]]:
    """Return the cells that an EAV value of a checkbox variable sets: one ticked box, or one reason for all."""
    ticked = [(column, "1") for column, code in columns.items() if code == value]
    return ticked or [(column, value) for column in columns]
