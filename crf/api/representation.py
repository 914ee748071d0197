"""How an entry reads in JSON, and the schema of that for the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

from crf.checks import Finding
from crf.forms import Form, Status
from crf.reading import Problem
from crf.storage import Entry
from registry.openapi import Component

STATUS = {"type": "string", "enum": [str(status.label) for status in Status]}
MISSING = {"type": "object", "additionalProperties": {"type": "string", "enum": ["UNK", "NASK", "NAV", "NA"]}}
MISSING_PATCH = {"type": "object", "additionalProperties": {"enum": ["UNK", "NASK", "NAV", "NA", None]}}
WARNING = {
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {name: {"type": "string"} for name in ("field", "code", "message")},
}


def entry_json(entry: Entry, *, warnings: bool = False) -> dict[str, Any]:
    """Return an entry with its variables; with `warnings`, what the soft checks say as well."""
    read = {
        "record_id": entry.record_id,
        "site": entry.site,
        "form": entry.form.form_name(),
        "instance": entry.instance,
        "status": str(entry.status.label),
        "version": entry.version,
        "missing": entry.missing,
        "locked": entry.locked,
        "updated_at": entry.updated_at,
        **entry.values,
    }
    if warnings:
        read["warnings"] = warnings_json(entry.warnings)
    return read


def warnings_json(warnings: Sequence[Finding]) -> list[dict[str, str | None]]:
    """Return what soft checks found."""
    return [{"field": found.field, "code": found.code, "message": found.message} for found in warnings]


def problem_json(problem: Problem, *, index: int | None = None) -> dict[str, Any]:
    """Return one problem of a submission; `index` is its place in a call with many."""
    read = {
        "form": problem.form,
        "record_id": problem.record_id,
        "instance": problem.instance,
        "field": problem.field,
        "code": problem.code,
        "message": problem.message,
    }
    return read if index is None else {"index": index, **read}


def entry_component(form: type[Form], *, warnings: bool = False) -> Component:
    """Return the schema of an entry of `form` as it is read."""
    beside: dict[str, Any] = {
        "record_id": {"type": "string"},
        "site": {"type": "string"},
        "form": {"type": "string", "enum": [form.form_name()]},
        "instance": {"type": "integer", "minimum": 1},
        "status": STATUS,
        "version": {"type": "integer", "minimum": 1},
        "missing": MISSING,
        "locked": {"type": "boolean"},
        "updated_at": {"type": "string", "format": "date-time"},
    }
    if warnings:
        beside["warnings"] = {"type": "array", "items": WARNING}
    properties = _variables(form) | beside
    schema = {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}
    return Component(f"{form.__name__}{'WithWarnings' if warnings else ''}", schema)


def submission_component(form: type[Form], *, creating: bool) -> Component:
    """Return the schema of what a POST (`creating`) or a PATCH of `form` takes."""
    properties = _variables(form) | {"status": STATUS, "missing": MISSING if creating else MISSING_PATCH}
    if not form.repeating:
        properties.pop("record_id")
        if creating:
            properties |= {"record_id": {"type": ["string", "null"]}, "site": {"type": ["string", "null"]}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return Component(f"{'New' if creating else 'Changed'}{form.__name__}", schema)


def _variables(form: type[Form]) -> dict[str, Any]:
    return {
        name: variable.json_schema() | {"description": " ".join(filter(None, (variable.label, variable.unit)))}
        for name, variable in form.variables().items()
    }
