"""Exports over REST: ask for one, watch it, fetch its file, call it off. Everybody sees their own."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from crf.api.pages import EntryPages
from exports.api.representation import EXPORT, export_json, export_request
from exports.cut_requests import read_cut
from exports.cuts import EXPORTING, CutNotAllowed
from exports.jobs import cancel
from exports.models import Job
from exports.own_exports import FILE_HEADERS, XLSX, ask_for_export, export_of, exports_of, open_file
from registry.api import ApiView, answer, caller, read_body
from registry.openapi import IDEMPOTENCY_KEY, Operation, listing, parameter
from registry.problems import Problem
from registry.rights import Right, anywhere, there


class ExportPages(EntryPages):
    """Pages of exports, the latest first."""

    ordering = "-created_at"


class ExportView(ApiView):
    """A view of exports: translates what refuses a cut into a problem."""

    def problem_of(self, exc: Exception) -> Problem | None:
        """Return the problem that an exception stands for."""
        if isinstance(exc, CutNotAllowed):
            return Problem(403, "not_allowed", str(exc))
        return super().problem_of(exc)


class Exports(ExportView):
    """The exports that the caller asked for, and new ones."""

    needs: ClassVar = {"get": there(Right.READ), "post": anywhere(*EXPORTING)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            pages = (parameter("cursor", "From `next` or `previous`"), parameter("limit", "Exports a page", int))
            return Operation("My exports", responses={200: listing(EXPORT)}, parameters=pages, problems=(400, 401))
        return Operation(
            "Ask for an export; watch the address in `Location`",
            request=export_request(),
            responses={202: EXPORT},
            parameters=(IDEMPOTENCY_KEY,),
            problems=(400, 401, 403, 413, 415, 422),
        )

    def takes_parameter(self, name: str) -> bool:
        """Return whether the query string may have `name`."""
        return self.request.method in ("GET", "HEAD") and name in EntryPages.parameters

    def get(self, request: Request) -> HttpResponse:
        """Return a page of exports."""
        pages = ExportPages()
        found: list[Job] = pages.paginate_queryset(exports_of(caller(request)), request, self) or []
        results = [export_json(job) for job in found]
        return answer({"next": pages.get_next_link(), "previous": pages.get_previous_link(), "results": results})

    def post(self, request: Request) -> HttpResponse:
        """Save a job; the answer comes before it has begun."""
        by = caller(request)
        job = ask_for_export(read_cut(read_body(request), by=by), by=by)
        return answer(export_json(job), status=202, headers={"Location": reverse("export", args=[job.pk])})


class ExportDetail(ExportView):
    """One export."""

    needs: ClassVar = {"get": there(Right.READ), "delete": there(Right.READ)}

    def operation(self, method: str) -> Operation:
        """Describe the calls."""
        if method == "get":
            return Operation("One export: how far it is", responses={200: EXPORT}, problems=(400, 401, 404))
        problems = (400, 401, 404, 409)
        return Operation("Call off an export that has not ended", responses={204: None}, problems=problems)

    def get(self, request: Request, job_id: UUID) -> HttpResponse:
        """Return the export as it is now."""
        return answer(export_json(export_of(caller(request), job_id)))

    def delete(self, request: Request, job_id: UUID) -> HttpResponse:
        """Cancel the export; what its worker has written so far is thrown away."""
        if not cancel(export_of(caller(request), job_id).pk):
            raise Problem(409, "job_has_ended", _("The export has ended already. There is nothing to call off."))
        return HttpResponse(status=204)


class ExportFile(ExportView):
    """The file of an export."""

    needs: ClassVar = {"get": there(*EXPORTING)}

    def operation(self, _method: str) -> Operation:
        """Describe the call."""
        file: dict[str, Any] = {"type": "string", "format": "binary"}
        problems = (400, 401, 403, 404, 409, 410)
        return Operation("The file of an export", responses={200: file}, content_types=(XLSX,), problems=problems)

    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        """Stream the file, if the caller may still have it."""
        by = caller(request)
        job = export_of(by, job_id)
        return FileResponse(
            open_file(job, by=by),
            as_attachment=True,
            filename=job.file_name,
            content_type=XLSX,
            headers=dict(FILE_HEADERS),
        )
