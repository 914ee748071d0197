"""How a job reads in JSON, and the schemas for the OpenAPI document."""

from typing import Any

from django.urls import reverse

from crf.expressions import MAX_LENGTH
from crf.forms import forms_by_name
from exports.cuts import Privacy
from exports.models import Job, Kind, State
from registry.openapi import Component

TEXTS = {"type": "array", "items": {"type": "string"}}
TIME = {"type": ["string", "null"], "format": "date-time"}
COUNT = {"type": "integer", "minimum": 0}
JOB = Component(
    "Job",
    {
        "type": "object",
        "description": "A job: `state` says how far it has come, `progress` in percent, `error` why it failed.",
        "required": [
            "id",
            "kind",
            "state",
            "progress",
            "error",
            "error_code",
            "created_at",
            "started_at",
            "finished_at",
        ],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "kind": {"type": "string", "enum": Kind.values},
            "state": {"type": "string", "enum": State.values},
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "error": {"type": ["string", "null"]},
            "error_code": {"type": ["string", "null"]},
            "created_at": TIME,
            "started_at": TIME,
            "finished_at": TIME,
        },
    },
)
EXPORT = Component(
    "Export",
    {
        "type": "object",
        "description": "A job that writes a file. `rows` has, for each sheet that was counted, how many rows the "
        "snapshot has and how many were written; `file` is there when the export is done.",
        "required": [
            *JOB.schema["required"],
            "forms",
            "sites",
            "privacy",
            "labels",
            "filter",
            "rows",
            "file",
            "sha256",
        ],
        "properties": {
            **JOB.schema["properties"],
            "format": {"type": "string", "enum": ["xlsx"]},
            "forms": TEXTS,
            "sites": TEXTS,
            "privacy": {"type": "string", "enum": list(Privacy)},
            "labels": {"type": "boolean"},
            "filter": {"type": ["string", "null"]},
            "rows": {
                "type": "object",
                "additionalProperties": {"type": "object", "properties": {"counted": COUNT, "written": COUNT}},
            },
            "file": {"type": ["string", "null"]},
            "file_name": {"type": ["string", "null"]},
            "size": {"type": ["integer", "null"]},
            "sha256": {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
        },
    },
)


def export_request() -> Component:
    """Return the schema of what is sent to ask for an export."""
    forms = {"type": "array", "items": {"type": "string", "enum": list(forms_by_name())}}
    return Component(
        "ExportRequest",
        {
            "type": "object",
            "description": "Left out: all forms, all sites that may be exported, the fullest privacy level allowed.",
            "required": ["format"],
            "additionalProperties": False,
            "properties": {
                "format": {"type": "string", "enum": ["xlsx"]},
                "forms": {**forms, "minItems": 1, "uniqueItems": True},
                "sites": {**TEXTS, "minItems": 1, "uniqueItems": True},
                "privacy": {"type": "string", "enum": list(Privacy)},
                "labels": {"type": "boolean", "default": True},
                "filter": {"type": ["string", "null"], "maxLength": MAX_LENGTH},
            },
        },
    )


def job_json(job: Job) -> dict[str, Any]:
    """Return what every job says of itself."""
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "state": job.state,
        "progress": job.progress,
        "error": job.error or None,
        "error_code": job.error_code or None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def export_json(job: Job) -> dict[str, Any]:
    """Return an export with what was asked for and what is in its file."""
    file = reverse("export-file", args=[job.pk]) if job.state == State.DONE else None
    return {
        **job_json(job),
        "format": "xlsx",
        **job.parameters,
        "rows": job.rows,
        "file": file,
        "file_name": job.file_name or None,
        "size": job.size,
        "sha256": job.sha256 or None,
    }
