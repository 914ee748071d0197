"""Bringing data: the imports of one's sites, the template, a new file, its preview cell by cell, applying, undoing."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.api.imports import problem_of_import, site_of, template_response
from crf.api.views import refusal
from crf.forms import Form, MissingReason, all_forms, forms_by_name
from crf.imports import service
from crf.imports.csv_reading import ENCODINGS
from crf.imports.refusals import AlreadyApplied, CannotApply, CannotUndo, FileRefused, PreviewChanged
from crf.imports.rows import FileContent, read_file
from crf.imports.tables import MAX_FILE_BYTES
from crf.imports.undoing import undo
from crf.models.import_file import Import, ImportRow, ImportState, Verdict
from crf.reading import Problem as EntryProblem
from crf.refusals import ReasonNeeded
from registry.models import Site
from registry.page_views import REASON, PageView
from registry.problems import Problem, bad_request
from registry.reasons import read_reason
from registry.rights import Right, anywhere, there

IMPORTS_A_PAGE: Final = 50
ROWS_A_PAGE: Final = 50
SEE_OTHER: Final = 303
PROBLEMS: Final = (Verdict.REFUSED, Verdict.CONFLICT)
FILTERS: Final[Mapping[str, tuple[Any, tuple[Verdict, ...]]]] = {
    "": (gettext_lazy("All that changes"), (Verdict.NEW, Verdict.CHANGED, Verdict.CONFLICT, Verdict.REFUSED)),
    "problems": (gettext_lazy("Problems"), PROBLEMS),
    "new": (gettext_lazy("New"), (Verdict.NEW,)),
    "changed": (gettext_lazy("Changed"), (Verdict.CHANGED,)),
    "unchanged": (gettext_lazy("Unchanged"), (Verdict.UNCHANGED,)),
}
"""What a preview can be narrowed to: words, and the verdicts of the entries that are shown."""
BESIDE: Final[Mapping[str | None, Any]] = {
    None: gettext_lazy("The row"),
    "status": gettext_lazy("Status"),
    "instance": gettext_lazy("Number of the entry"),
    "version": gettext_lazy("Version"),
    "site": gettext_lazy("Site"),
    "missing": gettext_lazy("Missing-value reasons"),
}
ENCODING_NAMES: Final[Mapping[str, Any]] = {
    "utf-8": gettext_lazy("UTF-8 (what Excel calls CSV UTF-8)"),
    "cp1252": gettext_lazy("Windows-1252 (plain CSV of an older Excel)"),
}


class ImportPage(PageView):
    """A page of imports: says in words what the service refuses."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problem_of_import(error) or refusal(error) or super().problem_of(error)

    def sites(self) -> QuerySet[Site]:
        """Return the sites where the person enters data."""
        return Site.objects.filter(code__in=self.by.sites_with(Right.ENTER)).order_by("code")


class Imports(ImportPage):
    """The files that were brought, and the way to a template."""

    needs: ClassVar = {"get": anywhere(Right.ENTER)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return a page of imports, the latest first."""
        found = Import.objects.visible_to(self.by).exclude(state=ImportState.DISCARDED)
        found = found.select_related("brought_by", "applied_by", "undone_by").order_by("-id")
        page = Paginator(found, IMPORTS_A_PAGE).get_page(request.GET.get("page"))
        shown = {"page": page, "sites": self.sites(), "forms": _named_forms()}
        return render(request, "crf/imports.html", shown)


class ImportTemplate(ImportPage):
    """The template of a site, as a file."""

    needs: ClassVar = {"get": anywhere(Right.ENTER)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the workbook with the forms that were chosen, or one form as CSV."""
        site = site_of(request.GET.get("site"), by=self.by)
        return template_response(site, request.GET.getlist("form"), request.GET.get("format", "xlsx"), by=self.by)


class NewImport(ImportPage):
    """A file is brought: to be looked at, nothing is saved yet."""

    needs: ClassVar = {"get": anywhere(Right.ENTER), "post": anywhere(Right.ENTER)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the form."""
        return self._form(request, {})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Read the file and go to its preview."""
        sent, said = request.FILES.get("file"), request.POST
        site = site_of(said.get("site"), by=self.by)
        if sent is None or isinstance(sent, list):
            return self._form(request, {"file": _("Choose the file to bring.")}, status=422)
        try:
            if (sent.size or 0) > MAX_FILE_BYTES:
                message = _("The file has more than %(max)d bytes. Bring it in parts.") % {"max": MAX_FILE_BYTES}
                raise FileRefused("too_large", message)
            content, name = sent.read(), sent.name or ""
            brought = service.bring(
                name, content, self._read(name, content, said), site=site, by=self.by, now=timezone.now()
            )
        except FileRefused as refused:
            return self._form(request, {"file": refused.message}, status=422)
        except AlreadyApplied as refused:
            problem = problem_of_import(refused)
            return self._form(request, {"file": problem.detail if problem else ""}, status=422)
        return _to(brought)

    def _read(self, name: str, content: bytes, said: Mapping[str, str]) -> FileContent:
        form = forms_by_name().get(said.get("form", ""))
        return read_file(name, content, form=form, encoding=said.get("encoding") or ENCODINGS[0])

    def _form(self, request: HttpRequest, errors: Mapping[str, str], *, status: int = 200) -> HttpResponse:
        shown = {
            "errors": errors,
            "said": request.POST,
            "sites": self.sites(),
            "forms": _named_forms(),
            "encodings": ENCODING_NAMES,
            "most_megabytes": MAX_FILE_BYTES // 1_000_000,
        }
        return render(request, "crf/import_new.html", shown, status=status)


class ImportDetail(ImportPage):
    """One import: what becomes of each cell, and what can be done with it."""

    needs: ClassVar = {"get": there(Right.ENTER), "post": there(Right.ENTER)}

    def get(self, request: HttpRequest, import_id: int) -> HttpResponse:
        """Return the preview, or what was applied."""
        return self._page(request, import_id)

    def post(self, request: HttpRequest, import_id: int) -> HttpResponse:
        """Apply, undo, settle conflicts or throw away."""
        service.find(import_id, by=self.by)  # what may not be seen is a 404, whatever is asked
        steps = {"apply": self._apply, "undo": self._undo, "choose": self._choose, "discard": self._discard}
        step = steps.get(request.POST.get("step", ""))
        if step is None:
            raise bad_request("step", "unknown_code", _("Load the page again and choose what to do."))
        return step(request, import_id)

    def _apply(self, request: HttpRequest, import_id: int) -> HttpResponse:
        seen = request.POST.get("preview", "")
        try:
            done = service.apply(import_id, preview=seen, by=self.by, reason=_reason(request), now=timezone.now())
        except ReasonNeeded:
            return self._page(
                request, import_id, errors={"apply": _("Say why: the reason stands in the history.")}, status=422
            )
        except CannotApply as refused:
            problem = problem_of_import(refused)
            return self._page(request, import_id, notice=problem.detail if problem else "", status=409)
        except PreviewChanged:
            done = False
        if not done:
            notice = _(
                "Nothing was saved: the data have changed since the preview. This is the new one; look at it again."
            )
            return self._page(request, import_id, notice=notice, status=409)
        messages.success(request, _("The import was applied. It can be undone as one change."))
        return _to(import_id)

    def _undo(self, request: HttpRequest, import_id: int) -> HttpResponse:
        brought = service.find(import_id, by=self.by, hold=True)
        try:
            undo(brought, by=self.by, reason=_reason(request), now=timezone.now())
        except ReasonNeeded:
            return self._page(
                request, import_id, errors={"undo": _("Say why: the reason stands in the history.")}, status=422
            )
        except CannotUndo as refused:
            return self._page(request, import_id, stands_against=refused.problems, status=409)
        messages.success(request, _("The import was undone: what it created is deleted, what it changed is set back."))
        return _to(import_id)

    def _choose(self, request: HttpRequest, import_id: int) -> HttpResponse:
        every = request.POST.get("every", "")
        choices: dict[tuple[int, str], str] = {}
        if every in ("file", "saved"):
            for row in service.find(import_id, by=self.by).rows.filter(verdict__in=PROBLEMS):
                choices |= {(row.number, cell["field"]): every for cell in _in_conflict(row)}
        else:
            for name, take in request.POST.items():
                number, _sign, variable = name.removeprefix("take-").partition("-")
                if name.startswith("take-") and number.isdecimal() and take in ("file", "saved"):
                    choices[(int(number), variable)] = str(take)
        service.choose(import_id, choices, by=self.by, now=timezone.now())
        return _to(import_id)

    def _discard(self, request: HttpRequest, import_id: int) -> HttpResponse:
        service.discard(import_id, by=self.by)
        messages.success(request, _("The preview was thrown away. Nothing of it was saved."))
        return _to(None)

    def _page(
        self,
        request: HttpRequest,
        import_id: int,
        *,
        errors: Mapping[str, str] | None = None,
        notice: str = "",
        stands_against: Sequence[EntryProblem] = (),
        status: int = 200,
    ) -> HttpResponse:
        brought = service.find(import_id, by=self.by)
        name = request.GET.get("show", "")
        show = name if name in FILTERS else ""
        rows = brought.rows.filter(verdict__in=FILTERS[show][1]).order_by("number")
        page = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
        service.note_preview(page.object_list)
        shown = {
            "brought": brought,
            "row_count": brought.counts.get("rows", 0),
            "cell_count": brought.counts.get("cells", 0),
            "state": ImportState(brought.state).label,
            "is_preview": brought.state == ImportState.PREVIEWED,
            "is_applied": brought.state == ImportState.APPLIED,
            "can_be_applied": service.is_something(brought) and not brought.problems,
            "nothing_changes": not service.is_something(brought) and not brought.problems,
            "problems": brought.problems,
            "conflicts": brought.counts.get(Verdict.CONFLICT, 0),
            "refused": brought.counts.get(Verdict.REFUSED, 0),
            "filters": [_filter(brought, name, current=name == show) for name in FILTERS],
            "paged": f"show={show}&",
            "page": page,
            "rows": [_shown_row(row) for row in page.object_list],
            "choices_here": any(_in_conflict(row) for row in page.object_list),
            "errors": errors or {},
            "notice": notice,
            "stands_against": stands_against,
            "reason": request.POST.get(REASON, ""),
        }
        return render(request, "crf/import.html", shown, status=status)


def _named_forms() -> list[tuple[str, str]]:
    return [(form.form_name(), _(form.title())) for form in all_forms()]


def _reason(request: HttpRequest) -> str | None:
    return read_reason(request.POST.get(REASON, ""), given_in=REASON)


def _to(brought: Import | int | None) -> HttpResponse:
    """Send the browser to an import, or to the list."""
    key = brought.pk if isinstance(brought, Import) else brought
    address = reverse("page-imports") if key is None else reverse("page-import", args=[key])
    return HttpResponseRedirect(address, status=SEE_OTHER)


def _filter(brought: Import, name: str, *, current: bool) -> dict[str, Any]:
    label, verdicts = FILTERS[name]
    count = sum(brought.counts.get(verdict, 0) for verdict in verdicts)
    return {"name": name, "label": label, "count": count, "current": current}


def _in_conflict(row: ImportRow) -> list[dict[str, Any]]:
    """Return the cells of which a person chooses, or has chosen."""
    return [cell for cell in row.findings if "who_version" in cell]


def _shown_row(row: ImportRow) -> dict[str, Any]:
    form = forms_by_name()[row.form]
    return {
        "row": row,
        "title": _(form.title()),
        "repeating": form.repeating,
        "verdict": Verdict(row.verdict).label,
        "cells": [_shown_cell(form, cell, row) for cell in row.findings],
    }


def _shown_cell(form: type[Form], cell: Mapping[str, Any], row: ImportRow) -> dict[str, Any]:
    name = cell["field"]
    variable = form.variables().get(name or "")
    return {
        **{key: cell.get(key) for key in ("verdict", "message", "who", "take")},
        "verdict_label": Verdict(cell["verdict"]).label,
        "label": _(variable.label) if variable else BESIDE.get(name, name),
        "name": name,
        "saved": _shown_answer(form, name, cell.get("saved"), cell.get("saved_missing")),
        "file": _shown_answer(form, name, cell.get("file"), cell.get("file_missing")),
        "can_choose": "who_version" in cell,
        "at": parse_datetime(cell["at"]) if cell.get("at") else None,
        "number": row.number,
    }


def _shown_answer(form: type[Form], name: str | None, text: str | None, missing: str | None) -> str:
    """Return a value in words, and the reason why there is none."""
    variable = form.variables().get(name or "")
    codes = variable.codes if variable else {}
    parts = [_(codes[code]) if code in codes else code for code in (text or "").split("|")] if codes else [text or ""]
    reasons = dict(MissingReason.choices)
    because = [_("missing: %(reason)s") % {"reason": reasons.get(missing, missing)}] if missing else []
    return " · ".join([*(part for part in [", ".join(parts)] if part), *because])
