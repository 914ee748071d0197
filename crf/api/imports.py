"""Imports over REST: the template, bringing a file, its preview cell by cell, choices, applying, undoing."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from crf.api import members
from crf.api.representation import problem_json
from crf.api.views import REASON, refusal
from crf.forms import Form, all_forms, forms_by_name
from crf.imports import service
from crf.imports.csv_reading import ENCODINGS
from crf.imports.refusals import (
    AlreadyApplied,
    CannotApply,
    CannotUndo,
    FileRefused,
    NotInThisState,
    PreviewChanged,
)
from crf.imports.rows import read_file
from crf.imports.template import csv_template, template_name, workbook_template
from crf.imports.undoing import undo
from crf.models.import_file import Import, ImportRow, ImportState, Verdict
from registry.api import ApiView, answer, caller, change_reason, raw_body, read_body
from registry.bodies import Reader, WrongMember, one_of, read_members
from registry.openapi import IDEMPOTENCY_KEY, Component, Operation, header, listing, parameter
from registry.preconditions import tag_to_match
from registry.problems import Problem, bad_request, request_error
from registry.rights import Caller, Right, anywhere, there

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV: Final = "text/csv"
NAMES_OF_RAW: Final[Mapping[str, str]] = {XLSX: "file.xlsx", CSV: "file.csv"}
FIELDS: Final = ("site", "form", "encoding", "name")
TAKES: Final = ("file", "saved")
IF_MATCH = header("If-Match", "The ETag of the preview that was seen.", required=True)
NULLABLE_TEXT = {"type": ["string", "null"]}
TIME = {"type": ["string", "null"], "format": "date-time"}
COUNT = {"type": "integer", "minimum": 0}
CHANGING = (400, 401, 403, 404, 409, 412, 413, 415, 422, 428)

IMPORT = Component(
    "Import",
    members.object_schema(
        {
            "id": {"type": "integer"},
            "site": {"type": "string"},
            "file_name": {"type": "string"},
            "state": {"type": "string", "enum": ImportState.values},
            "ignored": {"type": "array", "items": {"type": "string"}},
            "counts": members.object_schema({name: COUNT for name in (*Verdict.values, "rows", "cells")}),
            "brought_at": TIME,
            "brought_by": {"type": "string"},
            "applied_at": TIME,
            "applied_by": NULLABLE_TEXT,
            "apply_reason": NULLABLE_TEXT,
            "undone_at": TIME,
            "undone_by": NULLABLE_TEXT,
            "undo_reason": NULLABLE_TEXT,
        }
    ),
)
CELL = members.object_schema(
    {
        "field": NULLABLE_TEXT,
        "verdict": {"type": "string", "enum": Verdict.values},
        "saved": NULLABLE_TEXT,
        "saved_missing": NULLABLE_TEXT,
        "file": NULLABLE_TEXT,
        "file_missing": NULLABLE_TEXT,
        "code": NULLABLE_TEXT,
        "message": NULLABLE_TEXT,
        "who": NULLABLE_TEXT,
        "at": TIME,
        "take": {"enum": [*TAKES, None]},
    }
)
ROW = Component(
    "ImportRow",
    members.object_schema(
        {
            "row": {"type": "integer"},
            "line": {"type": "integer"},
            "form": {"type": "string"},
            "record_id": NULLABLE_TEXT,
            "instance": {"type": ["integer", "null"]},
            "version": {"type": ["integer", "null"]},
            "verdict": {"type": "string", "enum": Verdict.values},
            "cells": {"type": "array", "items": CELL},
        }
    ),
)
FILTERS: Mapping[str, members.Narrowed] = {
    "site": members.equals("site_id"),
    "state": lambda rows, value: rows.filter(state=one_of(ImportState.values)(value)),
}
ROW_FILTERS: Mapping[str, members.Narrowed] = {
    "verdict": lambda rows, value: rows.filter(verdict=one_of(Verdict.values)(value)),
    "form": lambda rows, value: rows.filter(form=members.form(value).form_name()),
}


class _LeavesTheBody(BaseParser):
    """REST framework looks for a CSRF token in the body; ours comes in a header."""

    media_type = "*/*"

    def parse(self, *_arguments: Any, **_context: Any) -> dict[str, Any]:
        return {}


@dataclass(slots=True)
class _Sent:
    """A file as it was sent, with what was said of it."""

    content: bytes
    name: str
    said: dict[str, str] = field(default_factory=dict)


class ImportView(ApiView):
    """A view of imports: translates what the service raises into problems."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problem_of_import(exc) or refusal(exc) or super().problem_of(exc)


def problem_of_import(exc: Exception) -> Problem | None:
    """Return the problem that a refusal of an import stands for, None for another exception."""
    match exc:
        case FileRefused():
            status = 413 if exc.code in ("too_large", "too_many_rows", "too_many_cells") else 400
            return Problem(status, exc.code, exc.message, errors=[request_error("file", exc.code, exc.message)])
        case AlreadyApplied():
            message = _("This very file was applied here before. Change it, or undo that import first.")
            return Problem(409, "already_applied", message)
        case NotInThisState():
            return Problem(409, "wrong_import_state", _("The import was applied, undone or thrown away before."))
        case PreviewChanged():
            return Problem(412, "stale", _("The preview is another one by now. Look at it again."))
        case CannotApply():
            message = _("Nothing was saved: the preview has refused entries or conflicts, or nothing to apply.")
            return Problem(409, "cannot_be_applied", message)
        case CannotUndo():
            message = _("Nothing was undone: later changes or checks stand against it. `errors` says which.")
            return Problem(409, "cannot_be_undone", message, errors=[problem_json(found) for found in exc.problems])
    return None


class Imports(ImportView):
    """The imports at the sites where the caller enters data, and new ones."""

    parser_classes = [_LeavesTheBody]
    needs: ClassVar = {"get": anywhere(Right.ENTER), "post": anywhere(Right.ENTER)}

    def takes_parameter(self, name: str) -> bool:
        """Return whether the query string may have `name`."""
        return members.takes(FILTERS, self.request, name) or (self.request.method == "POST" and name in FIELDS)

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("Imports", responses={200: listing(IMPORT)}, parameters=members.list_parameters(FILTERS))
        said = tuple(parameter(name, "Of a file sent as the body itself") for name in FIELDS)
        return Operation(
            "Bring a file: nothing is saved but its preview. multipart/form-data with `file`, or the file as the body",
            request={"type": "string", "format": "binary"},
            responses={201: IMPORT},
            parameters=(IDEMPOTENCY_KEY, *said),
            problems=CHANGING,
        )

    def get(self, request: Request) -> HttpResponse:
        """Return a page of imports."""
        rows = Import.objects.visible_to(caller(request)).select_related("brought_by", "applied_by", "undone_by")
        return members.page(rows, FILTERS, read=import_json, request=request, view=self)

    def post(self, request: Request) -> HttpResponse:
        """Read the file and keep its preview."""
        by, sent = caller(request), _sent(request)
        site = site_of(sent.said.get("site"), by=by)
        encoding = sent.said.get("encoding") or ENCODINGS[0]
        found = read_file(sent.name, sent.content, form=_form(sent.said.get("form")), encoding=encoding)
        brought = service.bring(sent.name, sent.content, found, site=site, by=by, now=timezone.now())
        return _read(service.find(brought.pk, by=by), status=201)


class ImportDetail(ImportView):
    """One import."""

    needs: ClassVar = {"get": there(Right.ENTER), "delete": there(Right.ENTER)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One import, with its ETag", responses={200: IMPORT})
        return Operation("Throw a preview away", responses={204: None}, problems=(400, 401, 403, 404, 409))

    def get(self, request: Request, import_id: int) -> HttpResponse:
        """Return the import."""
        return _read(service.find(import_id, by=caller(request)))

    def delete(self, request: Request, import_id: int) -> HttpResponse:
        """Throw the preview away."""
        service.discard(import_id, by=caller(request))
        gone = HttpResponse(status=204)
        del gone["Content-Type"]
        return gone


class ImportRows(ImportView):
    """The preview of an import: what becomes of each entry, and of each cell of which there is something to say."""

    needs: ClassVar = {"get": there(Right.ENTER)}

    def takes_parameter(self, name: str) -> bool:
        """Return whether the query string may have `name`."""
        return members.takes(ROW_FILTERS, self.request, name)

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        parameters = members.list_parameters(ROW_FILTERS)
        return Operation("The preview of an import", responses={200: listing(ROW)}, parameters=parameters)

    def get(self, request: Request, import_id: int) -> HttpResponse:
        """Return a page of rows."""
        rows = service.find(import_id, by=caller(request)).rows.all()
        shown: list[ImportRow] = []

        def read(row: ImportRow) -> dict[str, Any]:
            shown.append(row)
            return row_json(row)

        response = members.page(rows, ROW_FILTERS, read=read, request=request, view=self)
        service.note_preview(shown)
        return response


class ImportChoices(ImportView):
    """Which value stays where the file meets a newer one."""

    needs: ClassVar = {"post": there(Right.ENTER)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        choice = members.object_schema(
            {
                "row": {"type": "integer", "minimum": 1},
                "field": {"type": "string"},
                "take": {"type": "string", "enum": list(TAKES)},
            }
        )
        return Operation(
            "Settle conflicts",
            request=members.object_schema({"choices": {"type": "array", "items": choice}}),
            responses={200: IMPORT},
            parameters=(IDEMPOTENCY_KEY,),
            problems=CHANGING,
        )

    def post(self, request: Request, import_id: int) -> HttpResponse:
        """Keep the choices and make the preview anew."""
        by = caller(request)
        service.find(import_id, by=by)
        given = read_members(read_body(request), {"choices": _list}, required=["choices"])["choices"]
        read = [read_members(choice, CHOICE, required=list(CHOICE)) for choice in given]
        choices = {(choice["row"], choice["field"]): choice["take"] for choice in read}
        service.choose(import_id, choices, by=by, now=timezone.now())
        return _read(service.find(import_id, by=by))


class ApplyImport(ImportView):
    """An import is applied: all of it, or nothing."""

    needs: ClassVar = {"post": there(Right.ENTER)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "Apply an import",
            responses={200: IMPORT},
            parameters=(IDEMPOTENCY_KEY, IF_MATCH, REASON),
            problems=CHANGING,
        )

    def post(self, request: Request, import_id: int) -> HttpResponse:
        """Save what the preview says; when the data have changed since, answer with a 409 and keep the new preview."""
        by = caller(request)
        service.find(import_id, by=by)
        preview = tag_to_match(request).strip('"')
        done = service.apply(import_id, preview=preview, by=by, reason=change_reason(request), now=timezone.now())
        if done:
            return _read(service.find(import_id, by=by))
        message = _("Nothing was saved: the data have changed since the preview. Look at the new one.")
        now = service.find(import_id, by=by)
        return Problem(409, "preview_changed", message, headers={"ETag": _etag(now)}).response()


class UndoImport(ImportView):
    """An applied import is taken back as one change."""

    needs: ClassVar = {"post": there(Right.ENTER)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "Undo an import", responses={200: IMPORT}, parameters=(IDEMPOTENCY_KEY, REASON), problems=CHANGING
        )

    def post(self, request: Request, import_id: int) -> HttpResponse:
        """Delete what the import created, and set back what it changed."""
        by = caller(request)
        brought = service.find(import_id, by=by, hold=True)
        undo(brought, by=by, reason=change_reason(request), now=timezone.now())
        return _read(service.find(import_id, by=by))


class ImportTemplate(ImportView):
    """The template of a site: what is saved there, to be filled in and brought back."""

    parameters: ClassVar = frozenset({"site", "format", "form"})
    needs: ClassVar = {"get": anywhere(Right.ENTER)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return Operation(
            "A workbook or CSV file to fill in",
            responses={200: {"type": "string", "format": "binary"}},
            parameters=(
                parameter("site", "Code of the site; may be left out by who enters data at one only"),
                parameter("format", "xlsx or csv"),
                parameter("form", "Name of a form; for a workbook several, with commas, or none for all"),
            ),
            content_types=(XLSX, "text/csv"),
            problems=(400, 401, 403, 404, 413),
        )

    def get(self, request: Request) -> HttpResponse:
        """Return the file."""
        asked = request.query_params
        names = [name for name in asked.get("form", "").split(",") if name]
        return template_response(
            site_of(asked.get("site"), by=caller(request)), names, asked.get("format", "xlsx"), by=caller(request)
        )


def template_response(site: str, names: Sequence[str], kind: str, *, by: Caller) -> HttpResponse:
    """Answer with the template of a site. Raises a 400 problem for what is none, FileRefused for one too large."""
    forms = [form for name in names if (form := _form(name))] or list(all_forms())
    if kind not in ("xlsx", "csv"):
        raise bad_request("format", "unknown_code", _("format: choose xlsx or csv."))
    today = timezone.localdate()
    if kind == "csv":
        if len(names) != 1:
            raise bad_request("form", "required", _("form: a CSV file is of one form. Name it."))
        content: bytes | str = csv_template(forms[0], site=site, by=by)
    else:
        content = workbook_template(forms, site=site, by=by, today=today)
    name = template_name(site, today=today, form=forms[0] if len(forms) == 1 else None, extension=kind)
    named = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(content, content_type=XLSX if kind == "xlsx" else f"{CSV}; charset=utf-8", headers=named)


def site_of(code: str | None, *, by: Caller) -> str:
    """Return the site that was named, or the only one where the caller enters data. Raises a 400 problem."""
    mine = by.sites_with(Right.ENTER)
    if not code and len(mine) == 1:
        return next(iter(mine))
    if not code:
        raise bad_request("site", "required", _("Name the site: several are possible."))
    if code not in mine:
        raise bad_request("site", "unknown_site", _("There is no such site among those where you enter data."))
    return code


def import_json(brought: Import) -> dict[str, Any]:
    """Return an import."""
    counts = {name: brought.counts.get(name, 0) for name in (*Verdict.values, "rows", "cells")}
    return {
        "id": brought.pk,
        "site": brought.site_id,
        "file_name": brought.file_name,
        "state": brought.state,
        "ignored": brought.ignored,
        "counts": counts,
        "brought_at": brought.brought_at,
        "brought_by": brought.brought_by.username,
        "applied_at": brought.applied_at,
        "applied_by": brought.applied_by.username if brought.applied_by else None,
        "apply_reason": brought.apply_reason or None,
        "undone_at": brought.undone_at,
        "undone_by": brought.undone_by.username if brought.undone_by else None,
        "undo_reason": brought.undo_reason or None,
    }


def row_json(row: ImportRow) -> dict[str, Any]:
    """Return a row of a preview."""
    return {
        "row": row.number,
        "line": row.line,
        "form": row.form,
        "record_id": row.record_id or None,
        "instance": row.instance,
        "version": row.version,
        "verdict": row.verdict,
        "cells": [{name: cell.get(name) for name in CELL["properties"]} for cell in row.findings],
    }


def _list(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WrongMember("wrong_type", _("send a list of objects."))
    return value


CHOICE: Mapping[str, Reader] = {"row": members.VERSION, "field": members.text, "take": one_of(TAKES)}


def _form(name: str | None) -> type[Form] | None:
    if not name:
        return None
    if name not in forms_by_name():
        message = _("form: choose from %(known)s.") % {"known": ", ".join(forms_by_name())}
        raise bad_request("form", "unknown_form", message)
    return forms_by_name()[name]


def _sent(request: Request) -> _Sent:
    """Return the file of a request: the field `file` of a form, or the body itself."""
    kind = request.content_type.partition(";")[0].strip().lower()
    body = raw_body(request)
    if kind in NAMES_OF_RAW:
        said = {name: str(value) for name, value in request.query_params.items()}
        return _Sent(body, said.get("name") or NAMES_OF_RAW[kind], said)
    if kind != "multipart/form-data":
        message = _("Send the file as multipart/form-data in the field `file`, or as the body: text/csv or .xlsx.")
        raise Problem(415, "unknown_file", message)
    handlers = [MemoryFileUploadHandler(request._request)]
    try:
        fields, files = MultiPartParser(request.META, io.BytesIO(body), handlers).parse()
    except MultiPartParserError:
        raise bad_request(
            "file", "required", _("The form cannot be read. Send the file in the field `file`.")
        ) from None
    for name in (*fields, *files):
        if name not in (*FIELDS, "file"):
            message = _("There is no such field here. Send: %(known)s.") % {"known": ", ".join(("file", *FIELDS))}
            raise bad_request(str(name)[:60], "unknown_field", message)
    if "file" not in files:
        raise bad_request("file", "required", _("file: send the file."))
    sent: Any = files["file"]  # the last one, where several came
    return _Sent(sent.read(), sent.name or "", {name: str(fields[name]) for name in fields})


def _etag(brought: Import) -> str:
    return f'"{brought.preview}"'


def _read(brought: Import, *, status: int = 200) -> HttpResponse:
    headers = {"ETag": _etag(brought)}
    if status == 201:
        headers["Location"] = reverse("import", args=[brought.pk])
    return answer(import_json(brought), status=status, headers=headers)
