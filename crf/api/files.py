"""Stored files over REST: a photograph of an entry is stored, read, removed; what was ever stored there is listed."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf import attachments as service
from crf.api import members
from crf.api.representation import entry_component
from crf.api.views import IF_MATCH, REASON, EntryView, read_entry, version_to_match
from crf.attachments import NoFile, Upload
from crf.disclosures import note_reading
from crf.files_over_http import picture_answer, too_large, upload_of
from crf.models.attachment import Attachment
from crf.pictures import CONTENT_TYPES
from crf.refusals import NotAllowed, Refused
from registry.api import answer as json_answer
from registry.api import caller, change_reason
from registry.openapi import IDEMPOTENCY_KEY, Operation
from registry.problems import Problem, not_found
from registry.rights import Right, there

PART = "file"
"""The part of a multipart body that holds the photograph."""
STORED = members.object_schema(
    {
        "name": {"type": "string"},
        "current": {"type": "boolean"},
        "content_type": {"type": "string", "enum": sorted(CONTENT_TYPES.values())},
        "sha256": {"type": "string"},
        "size": {"type": "integer"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "stored_at": {"type": "string", "format": "date-time"},
        "stored_by": {"type": ["string", "null"]},
    }
)
BINARY = {"type": "string", "format": "binary"}
IN_A_FORM = members.object_schema({PART: BINARY})


class FileView(EntryView):
    """A view of the files at one variable of a form."""

    variable: str = ""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        match exc:
            case NoFile():
                return not_found()
            case NotAllowed() if self.request.method in ("GET", "HEAD"):
                return Problem(403, "not_allowed", _("Your role at this site does not allow seeing identifiers."))
            case Refused() if {problem.code for problem in exc.problems} == {"too_large"}:
                return too_large()
        return super().problem_of(exc)


class CurrentFile(FileView):
    """The photograph that an entry shows."""

    needs: ClassVar = {
        "get": there(Right.EXPORT_WITH_IDENTIFIERS),
        "post": there(Right.ENTER),
        "delete": there(Right.ENTER),
    }

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        what = f"{self.form.title()}: the file of {self.variable}"
        if method == "get":
            return _picture(f"{what}, as JPEG or PNG")
        entry = {200: entry_component(self.form, warnings=True)}
        guarded = (400, 401, 403, 404, 409, 412, 413, 428)
        if method == "delete":
            return Operation(f"{what} is taken off", responses=entry, parameters=(IF_MATCH, REASON), problems=guarded)
        return Operation(
            f"{what} is stored, over the one that is there",
            uploads={**dict.fromkeys(CONTENT_TYPES.values(), BINARY), "multipart/form-data": IN_A_FORM},
            responses=entry,
            parameters=(IF_MATCH, REASON, IDEMPOTENCY_KEY),
            problems=(*guarded, 422),
        )

    def told_apart_by(self, request: Request) -> bytes:
        """Return the bytes of the photograph: those around it differ each time."""
        return self._upload(request).content

    def get(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Return the bytes."""
        found = service.get_file(self.form, record_id, instance, self.variable, by=caller(request))
        return picture_answer(found)

    def post(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Store the photograph in the body, or in the part `file` of a form; answer with the entry."""
        changed = service.store_file(
            self.form,
            record_id,
            instance,
            self.variable,
            self._upload(request),
            by=caller(request),
            version=version_to_match(request),
            reason=change_reason(request),
        )
        note_reading(self.form, [changed])
        return read_entry(changed)

    def delete(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Take the photograph off; it stays stored. Answer with the entry."""
        changed = service.remove_file(
            self.form,
            record_id,
            instance,
            self.variable,
            by=caller(request),
            version=version_to_match(request),
            reason=change_reason(request),
        )
        note_reading(self.form, [changed])
        return read_entry(changed)

    def _upload(self, request: Request) -> Upload:
        """Return what was sent; it can be read from the request once only."""
        if not hasattr(self, "_sent"):
            self._sent = upload_of(request._request, part=PART)
        return self._sent


class StoredFiles(FileView):
    """Every file that was stored at one variable of an entry."""

    needs: ClassVar = {"get": there(Right.EXPORT_WITH_IDENTIFIERS)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        results = {"results": {"type": "array", "items": STORED}}
        return Operation(
            f"{self.form.title()}: every file that {self.variable} shows or has shown, the latest first",
            responses={200: members.object_schema(results)},
        )

    def get(self, request: Request, record_id: str, instance: int = 1) -> HttpResponse:
        """Return what is known of each."""
        entry, stored = service.stored_files(self.form, record_id, instance, self.variable, by=caller(request))
        note_reading(self.form, [entry])
        current = entry.values[self.variable]
        return json_answer({"results": [_stored_json(one, current=one.name == current) for one in stored]})


class EarlierFile(FileView):
    """A photograph that an entry shows or has shown, by its name."""

    needs: ClassVar = {"get": there(Right.EXPORT_WITH_IDENTIFIERS)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        return _picture(f"{self.form.title()}: a file that {self.variable} shows or has shown")

    def get(self, request: Request, record_id: str, name: str, instance: int = 1) -> HttpResponse:
        """Return the bytes."""
        found = service.get_file(self.form, record_id, instance, self.variable, by=caller(request), name=name)
        return picture_answer(found)


def _picture(summary: str) -> Operation:
    return Operation(summary, responses={200: BINARY}, content_types=tuple(CONTENT_TYPES.values()))


def _stored_json(stored: Attachment, *, current: bool) -> Mapping[str, Any]:
    return {
        "name": stored.name,
        "current": current,
        "content_type": stored.content_type,
        "sha256": stored.sha256,
        "size": stored.size,
        "width": stored.width,
        "height": stored.height,
        "stored_at": stored.stored_at,
        "stored_by": stored.stored_by.username if stored.stored_by else None,
    }
