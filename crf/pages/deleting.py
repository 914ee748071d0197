"""Deleting an entry, or a patient with all entries, and bringing them back: each with a reason."""

from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from crf import deletions, entry, storage
from crf.forms import Form
from crf.models.patient import Patient
from crf.pages import addresses
from crf.pages.sites import shown_deletions
from crf.pages.views import DataPage
from crf.refusals import Locked, NotDeleted, NotFound, PatientDeleted, ReasonNeeded, Refused, Stale
from crf.storage import Entry
from registry.page_views import REASON
from registry.rights import Right, there
from registry.way_back import see_other

MAX_DIGITS = 9
"""Of a version."""
REFUSALS = (Locked, NotDeleted, PatientDeleted, ReasonNeeded, Refused, Stale)


class Deletion(DataPage):
    """What deleting and bringing back share: the form, the reason, and what is said when it is refused."""

    form: type[Form] = Form  # type: ignore[type-abstract]  # each address gives its own

    def name_of(self, record_id: str, instance: int) -> str:
        """Return what is deleted or brought back, in words."""
        if not self.form.repeating:
            return record_id
        return f"{record_id} · {_(self.form.title())} {instance}"

    def version(self, request: HttpRequest) -> int:
        """Return the version that the page was made from, 0 for what is none."""
        text = request.POST.get("version", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else 0

    def reason(self, request: HttpRequest) -> str | None:
        """Return the reason that was given; `PageView` has looked at its characters."""
        return request.POST.get(REASON, "").strip() or None

    def site_of(self, record_id: str) -> str:
        """Return the site of a patient, deleted or not, whose data the person may change.

        Raises NotFound, PermissionDenied.
        """
        readable = Patient.objects.filter(record_id=record_id, site_id__in=self.by.sites_with(Right.READ))
        site: str | None = readable.values_list("site_id", flat=True).first()
        if site is None:
            raise NotFound
        if not self.by.may(Right.ENTER, at=site):
            raise PermissionDenied
        return site

    def said_of(self, refusal: Exception) -> dict[str, Any]:
        """Return what a page says of a refusal, and its status."""
        match refusal:
            case ReasonNeeded():
                return {"reason_error": _("Say why."), "status": 422}
            case Refused():
                return {"problems": [problem.message for problem in refusal.problems], "status": 422}
            case Stale():
                said = _("Somebody has changed it meanwhile. Look at it again; nothing was done.")
                return {"problems": [said], "status": 409}
        problem = self.problem_of(refusal)
        assert problem is not None  # noqa: S101 -- REFUSALS are all known
        return {"problems": [problem.detail], "status": 409}


class Delete(Deletion):
    """An entry, or a patient with all entries, that is to be deleted."""

    needs: ClassVar = {"get": there(Right.ENTER), "post": there(Right.ENTER)}

    def get(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Return the page that asks why."""
        self.site_of(record_id)
        return self._page(request, self._entry(record_id, instance))

    def post(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Delete, and go to where the rest is."""
        site = self.site_of(record_id)
        version, reason = self.version(request), self.reason(request)
        try:
            entry.delete_entry(self.form, record_id, instance, by=self.by, version=version, reason=reason)
        except REFUSALS as refusal:
            return self._page(request, self._entry(record_id, instance), **self.said_of(refusal))
        messages.success(request, _("Deleted. It can be brought back from the list of what was deleted."))
        return see_other(addresses.of_patient(record_id) if self.form.repeating else reverse("page-site", args=[site]))

    def _entry(self, record_id: str, instance: int) -> Entry:
        where = "record_id = %s AND instance = %s"
        found = storage.select_entries(self.form, where=where, parameters=[record_id, instance])
        if not found:
            raise NotFound
        return found[0]

    def _page(self, request: HttpRequest, found: Entry, *, status: int = 200, **said: Any) -> HttpResponse:
        shown = {
            "what": self.name_of(found.record_id, found.instance),
            "of_patient": not self.form.repeating,
            "entry": found,
            "back": addresses.of_patient(found.record_id),
            "reason": request.POST.get(REASON, ""),
            **said,
        }
        return render(request, "crf/patient_delete.html", shown, status=status)


class Restore(Deletion):
    """A deleted entry, or patient, that is to be brought back."""

    needs: ClassVar = {"get": there(Right.ENTER), "post": there(Right.ENTER)}

    def get(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Return the page that asks why, with who deleted it, when and why."""
        self.site_of(record_id)
        return self._page(request, record_id, instance)

    def post(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Bring it back, and go to the patient."""
        self.site_of(record_id)
        version, reason = self.version(request), self.reason(request)
        try:
            deletions.restore_entry(self.form, record_id, instance, by=self.by, version=version, reason=reason)
        except REFUSALS as refusal:
            return self._page(request, record_id, instance, **self.said_of(refusal))
        messages.success(request, _("It is back."))
        return see_other(addresses.of_patient(record_id))

    def _page(
        self, request: HttpRequest, record_id: str, instance: int, *, status: int = 200, **said: Any
    ) -> HttpResponse:
        name = self.form.form_name()
        every = deletions.deleted_entries(by=self.by, form=name, record_id=record_id, most=1_000)
        found = [deleted for deleted in every if deleted.instance == instance]
        if not found:
            raise NotFound
        shown = {
            "what": self.name_of(record_id, instance),
            "of_patient": not self.form.repeating,
            "deleted": shown_deletions(found)[0],
            "version": found[0].version,
            "site": found[0].site,
            "reason": request.POST.get(REASON, ""),
            **said,
        }
        return render(request, "crf/patient_restore.html", shown, status=status)
