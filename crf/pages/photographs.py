"""Photographs on pages: chosen, replaced and taken off at their entry, and a patient's side by side over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from crf import attachments as service
from crf.api.views import refusal
from crf.attachments import NoFile, Sighting, file_variables
from crf.entry import get_entry
from crf.files_over_http import picture_answer, too_large, upload_of
from crf.forms import Form, Status, all_forms
from crf.refusals import NotAllowed, ReasonNeeded, Refused, Stale
from crf.storage import Entry
from registry.page_views import REASON, PageView
from registry.problems import Problem, bad_request, not_found
from registry.reasons import read_reason
from registry.rights import Caller, Right, there

PART, VERSION, DEED = "photograph", "version", "do"
STORE, REMOVE = "store", "remove"
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Shown:
    """A variable of an entry that holds a photograph, as a person sees it."""

    entry: Entry
    title: str
    """What the entry is called: "Lesion assessment 3"."""
    variable: str
    label: str
    note: str
    may_see: bool
    may_change: bool
    address: str
    """Of the page on which it is chosen, replaced and taken off."""
    entry_address: str
    thumbnail: str
    picture: str

    @property
    def is_there(self) -> bool:
        """Whether there is a photograph."""
        return self.entry.values[self.variable] is not None

    @property
    def asks_why(self) -> bool:
        """Whether a photograph that is stored changes something that was complete."""
        return self.entry.status == Status.COMPLETE


def shown(entry: Entry, variable: str, *, by: Caller) -> Shown:
    """Return how a variable of an entry that holds a photograph is shown to a person."""
    kind = file_variables(entry.form)[variable]
    name = entry.values[variable]
    may_see = by.may(Right.EXPORT_WITH_IDENTIFIERS, at=entry.site)
    what = _(entry.form.title())
    return Shown(
        entry=entry,
        title=f"{what} {entry.instance}" if entry.form.repeating else what,
        variable=variable,
        label=_(kind.label),
        note=_(kind.note) if kind.note else "",
        may_see=may_see,
        may_change=by.may(Right.ENTER, at=entry.site) and not entry.locked,
        address=_address("page-photograph", entry, variable),
        entry_address=_entry_address(entry),
        thumbnail=_address("page-photograph-thumbnail", entry, variable, name) if name and may_see else "",
        picture=_address("page-photograph-picture", entry, variable, name) if name and may_see else "",
    )


def _address(page: str, entry: Entry, variable: str, name: str | None = None) -> str:
    named = {"name": name} if name else {}
    return reverse(f"{page}-{entry.form.form_name()}", kwargs={**_place(entry), "file_variable": variable, **named})


def _entry_address(entry: Entry) -> str:
    """Return the address of an entry's page, of the patient's where entries have none."""
    try:
        return reverse(f"page-entry-{entry.form.form_name()}", kwargs=_place(entry))
    except NoReverseMatch:
        return reverse("page-photographs", kwargs={"record_id": entry.record_id})


def _place(entry: Entry) -> dict[str, Any]:
    number = {"instance": entry.instance} if entry.form.repeating else {}
    return {"record_id": entry.record_id, **number}


class PhotographPage(PageView):
    """A page of photographs."""

    form: type[Form] = Form  # type: ignore[type-abstract]  # each address gives its own

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal of the service stands for."""
        return not_found() if isinstance(error, NoFile) else refusal(error) or super().problem_of(error)


class PhotographOfEntry(PhotographPage):
    """One photograph, large, and the form with which it is chosen, replaced or taken off."""

    needs: ClassVar = {"get": there(Right.READ), "post": there(Right.ENTER)}

    def get(self, request: HttpRequest, record_id: str, file_variable: str, instance: int = 1) -> HttpResponse:
        """Return the page, or the form alone to a script."""
        entry = self._entry(record_id, instance, file_variable)
        template = "crf/photograph_form.html" if _wants_a_part(request) else "crf/photograph.html"
        return self._page(entry, file_variable, template=template)

    def post(self, request: HttpRequest, record_id: str, file_variable: str, instance: int = 1) -> HttpResponse:
        """Store or take off the photograph, and go back to the entry; what is refused is said beside the form."""
        entry = self._entry(record_id, instance, file_variable)
        if not self.by.may(Right.ENTER, at=entry.site):
            raise PermissionDenied
        try:
            entry = self._change(request, entry, file_variable)
        except Refused as refused:
            return self._again(entry, file_variable, error=" ".join(one.message for one in refused.problems))
        except ReasonNeeded:
            return self._again(entry, file_variable, why=_("Say why: the form was complete, or a photograph goes."))
        except Stale as stale:
            words = _("Somebody else has changed the form since. Look at it as it is now, and choose again.")
            return self._again(stale.current, file_variable, error=words, status=409)
        except Problem as problem:
            if problem.status != too_large().status:
                raise
            return self._again(entry, file_variable, error=problem.detail, status=problem.status)
        if _wants_a_part(request):
            return self._page(entry, file_variable, template="crf/photograph_shown.html")
        return HttpResponse(status=303, headers={"Location": shown(entry, file_variable, by=self.by).entry_address})

    def _entry(self, record_id: str, instance: int, variable: str) -> Entry:
        if variable not in file_variables(self.form):
            raise Http404
        return get_entry(self.form, record_id, instance, by=self.by)

    def _change(self, request: HttpRequest, entry: Entry, variable: str) -> Entry:
        """Do what the form asks. Raises what the service refuses."""
        upload = upload_of(request, part=PART)
        place = (self.form, entry.record_id, entry.instance, variable)
        version, deed = request.POST.get(VERSION, ""), request.POST.get(DEED, "")
        if not (version.isascii() and version.isdecimal() and len(version) <= DIGITS) or deed not in (STORE, REMOVE):
            raise bad_request(None, "invalid", _("Load the page again: it was changed on its way."))
        reason = read_reason(request.POST.get(REASON, ""), given_in=REASON)
        with transaction.atomic():  # the page is shown again after a refusal, whoever refused
            if deed == REMOVE:
                return service.remove_file(*place, by=self.by, version=int(version), reason=reason)
            return service.store_file(*place, upload, by=self.by, version=int(version), reason=reason)

    def _again(self, entry: Entry, variable: str, *, error: str = "", why: str = "", status: int = 422) -> HttpResponse:
        part = _wants_a_part(self.request)
        template = "crf/photograph_form.html" if part else "crf/photograph.html"
        typed = self.request.POST.get(REASON, "")
        return self._page(entry, variable, template=template, status=status, error=error, why=why, reason=typed)

    def _page(self, entry: Entry, variable: str, *, template: str, status: int = 200, **said: str) -> HttpResponse:
        photograph = shown(entry, variable, by=self.by)
        earlier: Sequence[Any] = ()
        if photograph.may_see and template == "crf/photograph.html":
            _entry, stored = service.stored_files(*self._at(entry), variable, by=self.by)
            earlier = [
                (one, _address("page-photograph-thumbnail", entry, variable, one.name))
                for one in stored
                if one.name != entry.values[variable]
            ]
        context = {"photograph": photograph, "earlier": earlier, **said}
        answer = render(self.request, template, context, status=status)
        answer.headers["ETag"] = entry.etag  # a script tells the form around it
        return answer

    def _at(self, entry: Entry) -> tuple[type[Form], str, int]:
        return self.form, entry.record_id, entry.instance


class PictureOfEntry(PhotographPage):
    """The pixels, for an <img> of our pages; `thumbnail`: small ones."""

    thumbnail: bool = False
    needs: ClassVar = {"get": there(Right.EXPORT_WITH_IDENTIFIERS)}

    def get(
        self, request: HttpRequest, record_id: str, file_variable: str, name: str, instance: int = 1
    ) -> HttpResponse:
        """Return the bytes of a photograph that the entry shows or has shown."""
        if file_variable not in file_variables(self.form):
            raise Http404
        place = (self.form, record_id, instance, file_variable)
        try:
            return picture_answer(service.get_file(*place, by=self.by, name=name, thumbnail=self.thumbnail))
        except NotAllowed:
            raise PermissionDenied from None


@dataclass(frozen=True, slots=True)
class Seen:
    """A photograph among the others of a patient; `number` counts from 1."""

    number: int
    sighting: Sighting
    shown: Shown

    @property
    def day(self) -> str:
        """The day that it was taken, as ISO 8601, blank when that is not known."""
        return str(self.sighting.taken_on or "")

    @property
    def key(self) -> int:
        """What names it in the address."""
        return int(self.sighting.stored.pk)


def seen_of(record_id: str, *, by: Caller) -> list[Seen]:
    """Return the photographs of a patient in the order of their days. Raises NotFound."""
    return [
        Seen(number, one, shown(one.entry, one.variable.name, by=by))
        for number, one in enumerate(service.photographs_of(record_id, by=by), start=1)
    ]


class PhotographsOfPatient(PhotographPage):
    """The photographs of a patient over time, two of them large side by side."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Return the page; `left` and `right` say which two are compared, by default the first and the last."""
        photographs = seen_of(record_id, by=self.by)
        sides = []
        if photographs:
            left = _chosen(request, "left", photographs) or photographs[0]
            right = _chosen(request, "right", photographs) or photographs[-1]
            sides = [
                _side("left", left, other=right, among=photographs),
                _side("right", right, other=left, among=photographs),
            ]
        context = {
            "record_id": record_id,
            "patient_address": _patient_address(record_id),
            "photographs": [_choice(one, sides) for one in photographs],
            "sides": sides if len(photographs) > 1 else sides[:1],
            "may_see": any(one.shown.may_see for one in photographs),
        }
        return render(request, "crf/photographs.html", context)


def _chosen(request: HttpRequest, side: str, photographs: Sequence[Seen]) -> Seen | None:
    return next((one for one in photographs if str(one.key) == request.GET.get(side)), None)


def _side(side: str, seen: Seen, *, other: Seen, among: Sequence[Seen]) -> dict[str, Any]:
    """Return what stands on one side, and the addresses with the one before and after it there instead."""
    at = seen.number - 1
    return {
        "side": side,
        "label": _("Left") if side == "left" else _("Right"),
        "seen": seen,
        "before": _compared(side, among[at - 1], other) if at else "",
        "after": _compared(side, among[at + 1], other) if seen.number < len(among) else "",
    }


def _choice(seen: Seen, sides: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one of all photographs, with the addresses that put it on each side."""
    left, right = sides
    return {
        "seen": seen,
        "left": _compared("left", seen, right["seen"]),
        "right": _compared("right", seen, left["seen"]),
        "is_left": left["seen"] is seen,
        "is_right": right["seen"] is seen,
    }


def _compared(side: str, seen: Seen, other: Seen) -> str:
    left, right = (seen, other) if side == "left" else (other, seen)
    return f"?left={left.key}&right={right.key}"


def _patient_address(record_id: str) -> str:
    try:
        return reverse("page-patient", kwargs={"record_id": record_id})
    except NoReverseMatch:
        return ""


def _wants_a_part(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


def forms_with_files() -> list[type[Form]]:
    """Return the forms that have addresses of photographs."""
    return [form for form in all_forms() if file_variables(form)]
