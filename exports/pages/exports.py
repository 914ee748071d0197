"""The pages on exports: ask for one and know before what it leaves out, watch it, have its file."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from crf.forms import forms_by_name
from exports.cuts import EXPORTING, Cut, CutNotAllowed, exportable_sites
from exports.jobs import cancel
from exports.models import Job
from exports.outcome_sheets import OUTCOMES
from exports.own_exports import (
    FILE_HEADERS,
    XLSX,
    ask_for_export,
    discard_file,
    export_of,
    exports_of,
    has_file,
    open_file,
)
from exports.pages.lists import is_part, page_number, see_other, state_of, unchanged
from exports.pages.wishes import LEVELS, Wish, counts, first_wish, left_out, sent_wish
from registry.models import Site
from registry.page_views import PageView
from registry.problems import Problem
from registry.rights import Right, anywhere, there

SHOWN = 25
"""Exports on a page."""


class ExportPage(PageView):
    """A page on exports: says in words what refuses a cut."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that an exception stands for."""
        if isinstance(error, CutNotAllowed):
            return Problem(403, "not_allowed", str(error))
        return super().problem_of(error)


class Exports(ExportPage):
    """Ask for an export, and the earlier ones of the person."""

    needs: ClassVar = {"get": anywhere(Right.READ), "post": anywhere(*EXPORTING)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the form and the earlier exports; for htmx these alone."""
        if is_part(request):
            earlier = self._earlier()
            return unchanged(request, earlier["state"]) or render(request, "exports/_earlier.html", earlier)
        return self._page(first_wish(self.by))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Ask for the export, or first show what it leaves out to who has not seen that."""
        wish = sent_wish(request.POST, by=self.by)
        if wish.cut is None:
            return self._page(wish, status=422)
        if request.POST.get("seen") != wish.digest:
            return render(request, "exports/confirm.html", _told(wish))
        return see_other("page-export", ask_for_export(wish.cut, by=self.by).pk)

    def _page(self, wish: Wish, *, status: int = 200) -> HttpResponse:
        sites = Site.objects.filter(code__in=exportable_sites(self.by)).order_by("code")
        shown = {**_told(wish), "sites": sites, "forms": forms_by_name().values(), **self._earlier()}
        return render(self.request, "exports/exports.html", shown, status=status)

    def _earlier(self) -> dict[str, Any]:
        page = page_number(self.request)
        found = list(exports_of(self.by)[(page - 1) * SHOWN : page * SHOWN + 1])
        jobs = [_summary(job) for job in found[:SHOWN]]
        return {
            "jobs": jobs,
            "page": page,
            "later": page - 1,
            "earlier": page + 1 if len(found) > SHOWN else None,
            "watched": any(not job["job"].has_ended for job in jobs),
            "state": state_of([(job["job"].pk, job["job"].state, job["job"].progress) for job in jobs]),
        }


class Preview(ExportPage):
    """What an export would hold and leave out, while the person chooses."""

    needs: ClassVar = {"post": anywhere(*EXPORTING)}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Return the part of the page that says it, and the levels of privacy that go with the sites."""
        return render(request, "exports/_preview.html", _told(sent_wish(request.POST, by=self.by, adapt=True)))


class ExportDetail(ExportPage):
    """One export: how far it is, then what is in its file."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Return the page; for htmx the part that changes."""
        job = export_of(self.by, job_id)
        shown = {**_summary(job), "rows": _rows(job), "state": state_of(job.state, job.progress, job.rows)}
        if is_part(request):
            shown["is_new"] = request.GET.get("was") != job.state
            return unchanged(request, shown["state"]) or render(request, "exports/_progress.html", shown)
        shown["left_out"] = left_out(Cut.from_parameters(job.parameters))
        return render(request, "exports/export.html", shown)


class ExportFile(ExportPage):
    """The file of an export."""

    needs: ClassVar = {"get": there(*EXPORTING)}

    def get(self, request: HttpRequest, job_id: UUID) -> Any:
        """Send the file, if the person may still have it."""
        job = export_of(self.by, job_id)
        file = open_file(job, by=self.by)
        return FileResponse(
            file, as_attachment=True, filename=job.file_name, content_type=XLSX, headers=dict(FILE_HEADERS)
        )


class CancelExport(ExportPage):
    """Calls an export off."""

    needs: ClassVar = {"post": there(Right.READ)}

    def post(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Cancel the export; one that has ended meanwhile stays as it is, and its page says so."""
        job = export_of(self.by, job_id)
        if not cancel(job.pk):
            messages.info(request, _("The export had ended already."))
        return see_other("page-export", job.pk)


class AskAgain(ExportPage):
    """Asks for the same cut once more."""

    needs: ClassVar = {"post": there(*EXPORTING)}

    def post(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Ask for the cut of an export as a new one, with the rights of today."""
        cut = Cut.from_parameters(export_of(self.by, job_id).parameters)
        return see_other("page-export", ask_for_export(cut, by=self.by).pk)


class DiscardFile(ExportPage):
    """Throws the file of an export away."""

    needs: ClassVar = {"post": there(Right.READ)}

    def post(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Remove the file; who asked for what, and when, stays."""
        job = export_of(self.by, job_id)
        discard_file(job)
        messages.success(request, _("The file is deleted. That it was asked for stays on record."))
        return see_other("page-export", job.pk)


def _told(wish: Wish) -> dict[str, Any]:
    """Return what a template says of a wish: what would be in the export, and what not."""
    levels = [
        {"code": level, "name": name, "words": words, "allowed": level in wish.levels}
        for level, (name, words) in LEVELS.items()
    ]
    told: dict[str, Any] = {"wish": wish, "levels": levels, "level": _level_of(wish.privacy)}
    if wish.cut is not None:
        told |= {"counts": counts(wish.cut), "left_out": left_out(wish.cut), "forms_of_cut": _titles(wish.cut)}
    return told


def _summary(job: Job) -> dict[str, Any]:
    cut = Cut.from_parameters(job.parameters)
    return {
        "job": job,
        "cut": cut,
        "level": _level_of(cut.privacy),
        "titles": _titles(cut),
        "all_forms": len(cut.forms) == len(forms_by_name()),
        "has_file": has_file(job),
    }


def _rows(job: Job) -> list[dict[str, Any]]:
    """Return the rows of each sheet of an export that were counted, under the title of its form."""
    titles = {name: _(form.title()) for name, form in forms_by_name().items()} | {OUTCOMES: _("Outcomes")}
    return [{"title": title, **job.rows[name]} for name, title in titles.items() if name in job.rows]


def _level_of(privacy: str) -> dict[str, Any] | None:
    found = {str(level): {"name": name, "words": words} for level, (name, words) in LEVELS.items()}
    return found.get(privacy)


def _titles(cut: Cut) -> list[str]:
    return [_(forms_by_name()[name].title()) for name in cut.forms if name in forms_by_name()]
