"""The pages on which entries are made and changed: one class for every form, made from its declaration.

The form of a patient, a new or saved instance of another form, the table of instances, and what the browser asks while
somebody types. Everything can be done without JavaScript.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crf import drafts
from crf import entry as service
from crf.api.views import refusal
from crf.disclosures import note_reading
from crf.forms import Form, Status, patient_form
from crf.judging import Judged, Place, judge
from crf.pages import entry_context as context
from crf.pages.conflicts import Conflict, conflict_between, undecided
from crf.pages.typed import Reading, Typed, read_typed, typed_from, typed_of
from crf.reading import Problem as Wrong
from crf.refusals import Locked, NotAllowed, NotFound, ReasonNeeded, Refused, Stale
from crf.storage import Entry
from crf.warnings import explain
from registry.page_views import REASON, PageView
from registry.problems import Problem, bad_request
from registry.reasons import read_reason
from registry.rights import Right, there

PART_OF_A_PAGE = "HX-Request"
MAX_EXPLANATION = 1_000
"""Characters."""


class OfAForm(PageView):
    """A page of one form; translates what the entry service raises."""

    form: type[Form] = Form  # type: ignore[type-abstract]  # each address gives its own
    new: bool = False

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal of the entry service stands for."""
        if isinstance(error, drafts.DraftTooLarge):
            return Problem(413, "too_large", _("More was typed than a form takes. Shorten it."))
        return refusal(error) or super().problem_of(error)

    def place(self, *, code: str | None = None, record_id: str | None = None, instance: int = 1) -> Place:
        """Return the place that an address names."""
        return Place(self.form, site=code, record_id=record_id, instance=None if self.new else instance)

    def read(self, typed: Typed) -> Reading:
        """Return what was typed, read as of today."""
        return read_typed(self.form, typed, today=timezone.localdate(), new=self.new and not self.form.repeating)

    def sent(self, request: HttpRequest) -> Typed:
        """Return what the browser sent."""
        typed = typed_from(self.form, request.POST, new=self.new and not self.form.repeating)
        if any(len(text) > MAX_EXPLANATION for text in typed.explanations.values()):
            raise bad_request("explain", "too_long", _("Shorten the explanation to 1,000 characters."))
        return typed

    def judged(self, place: Place, reading: Reading | None) -> Judged:
        """Return how the place is judged with what was typed in it. Raises NotFound."""
        return judge(place, reading.submission if reading else None, by=self.by, now=timezone.now())

    def refuse_who_only_reads(self, judged: Judged) -> None:
        """Raise NotAllowed unless the person enters data at the site."""
        if not self.by.may(Right.ENTER, at=judged.saved.site):
            raise NotAllowed


class EntryPage(OfAForm):
    """A saved entry: shown to who may read it, changed by who may enter data."""

    needs: ClassVar = {"get": there(Right.READ), "post": there(Right.ENTER)}

    def get(self, request: HttpRequest, **at: Any) -> HttpResponse:
        """Return the form with what is saved, or with the draft of the person."""
        place = self.place(**at)
        judged = self.judged(place, None)
        if place.is_new:
            self.refuse_who_only_reads(judged)
        else:
            note_reading(self.form, [judged.saved])
        draft = drafts.draft_at(place, by=self.by)
        if draft is None or judged.saved.locked or not self.by.may(Right.ENTER, at=judged.saved.site):
            return self.page(place, judged)
        typed = Typed.of_json(draft.typed)
        reading = self.read(typed)
        judged = self.judged(place, reading)
        return self.page(place, judged, typed=typed, reading=reading, version=draft.version, draft=draft)

    def post(self, request: HttpRequest, **at: Any) -> HttpResponse:
        """Save, and go on to the entry or to the next one; with errors return the form as it was sent."""
        place, typed = self.place(**at), self.sent(request)
        judged = self.judged(place, None)
        self.refuse_who_only_reads(judged)
        version = _number(request.POST.get("version"))
        if "resolve" in request.POST:
            conflict = conflict_between(judged.saved, typed, self.read(typed), version=version)
            if undecided(conflict, request.POST):
                return self.conflict(place, typed, conflict, status=422)
            typed = conflict.decided(typed, judged.saved, request.POST)
            version = conflict.version
        if place.is_new and typed.is_blank():
            return self.nothing_typed(place, judged, typed)
        return self.save(place, typed, version=version)

    def save(self, place: Place, typed: Typed, *, version: int) -> HttpResponse:
        """Hand what was typed to the entry service, and translate what it says."""
        reading = self.read(typed)
        try:
            with transaction.atomic():
                saved = self.saved(place, reading, typed, version=version)
        except Refused as refused:
            return self.again(place, typed, reading, version=version, problems=refused.problems)
        except ReasonNeeded:
            return self.again(place, typed, reading, version=version, asks_why=True)
        except Locked:
            return self.again(place, typed, reading, version=version, problems=[_locked(self.form)], status=409)
        except Stale as stale:
            note_reading(self.form, [stale.current])
            conflict = conflict_between(stale.current, typed, reading, version=version)
            if conflict.fields:
                return self.conflict(place, typed, conflict, status=409)
            saved = stale.current  # both did the same
        drafts.forget_draft(place, by=self.by)
        self.tell(saved)
        return see_other(self.next_address(place, saved))

    def saved(self, place: Place, reading: Reading, typed: Typed, *, version: int) -> Entry:
        """Return the entry that was saved, its warnings explained as far as they were."""
        now, submission = timezone.now(), reading.submission
        reason = read_reason(self.request.POST.get(REASON, ""), given_in=REASON)
        if place.is_new:
            submission.record_id, submission.site = place.record_id, place.site
            entry = service.create_entry(submission, by=self.by, now=now)
        else:
            at = (self.form, place.record_id or "", place.instance or 1, submission)
            entry = service.change_entry(*at, by=self.by, version=version, reason=reason, now=now)
        explain(entry, typed.explanations, by=self.by, now=now)
        return entry

    def next_address(self, place: Place, saved: Entry) -> str:
        """Return where to go after saving: on to the next entry, or back to this one."""
        if self.request.POST.get("go") == "next":
            return context.address_after(place, saved)
        return context.address_of(self.form, saved.record_id, saved.instance)

    def tell(self, saved: Entry) -> None:
        """Say on the next page that the entry was saved: by its number, never by a value."""
        name = f"{_(self.form.title())} {saved.instance}" if self.form.repeating else saved.record_id
        is_incomplete = saved.status == Status.INCOMPLETE
        words = _("%(name)s is saved as incomplete.") if is_incomplete else _("%(name)s is saved.")
        told = words % {"name": name}
        if number := len(saved.warnings):
            found = ngettext("One value is unusual.", "%(number)d values are unusual.", number) % {"number": number}
            messages.warning(self.request, f"{told} {found}")
        else:
            messages.success(self.request, told)

    def nothing_typed(self, place: Place, judged: Judged, typed: Typed) -> HttpResponse:
        """Go on to the next form, or say that there is nothing to save."""
        if place.record_id and self.request.POST.get("go") == "next":
            drafts.forget_draft(place, by=self.by)
            return see_other(context.address_of_next_form(self.form, place.record_id))
        wrong = Wrong(self.form.form_name(), place.record_id, None, None, "blank", _("Nothing is filled in yet."))
        return self.page(place, judged, typed=typed, problems=[wrong], status=422)

    def again(
        self,
        place: Place,
        typed: Typed,
        reading: Reading,
        *,
        version: int,
        problems: Sequence[Wrong] = (),
        asks_why: bool = False,
        status: int = 422,
    ) -> HttpResponse:
        """Return the form as it was sent, with what is wrong."""
        judged = self.judged(place, reading)
        shown: dict[str, Any] = {"typed": typed, "reading": reading, "version": version, "problems": problems}
        return self.page(place, judged, **shown, asks_why=asks_why, status=status)

    def page(self, place: Place, judged: Judged, *, status: int = 200, **shown: Any) -> HttpResponse:
        """Return the page, or for a part of a page the form alone."""
        shown.setdefault("typed", typed_of(self.form, judged.saved.values, judged.saved.missing, status=""))
        found = context.of_entry(place, judged, by=self.by, **shown)
        found["reason"] = self.request.POST.get(REASON, "")
        part = place.is_new and self.request.headers.get(PART_OF_A_PAGE)
        template = "crf/entry_form.html" if part else "crf/entry.html"
        return TemplateResponse(self.request, template, found, status=status)

    def conflict(self, place: Place, typed: Typed, conflict: Conflict, *, status: int) -> HttpResponse:
        """Return both values of what differs, to choose from."""
        found = context.of_conflict(place, typed, conflict, sent=self.request.POST)
        return TemplateResponse(self.request, "crf/entry_conflict.html", found, status=status)


class NewEntryPage(EntryPage):
    """A new patient, or a new instance of another form below those that there are."""

    needs: ClassVar = {"get": there(Right.ENTER), "post": there(Right.ENTER)}
    new = True


class LiveEntry(OfAForm):
    """What the browser asks when a field is left: what was understood, what is wrong; keeps the draft."""

    needs: ClassVar = {"post": there(Right.ENTER)}

    def post(self, request: HttpRequest, **at: Any) -> HttpResponse:
        """Return what is to be said of the fields, and when the draft was kept."""
        place, typed = self.place(**at), self.sent(request)
        reading = self.read(typed)
        judged = self.judged(place, reading)
        self.refuse_who_only_reads(judged)
        if judged.saved.locked:
            raise Locked
        told = context.told_live(place, judged, typed, reading, touched=request.POST.get("touched", "").split())
        told["draft"] = self.keep(place, judged, typed, version=_number(request.POST.get("version")))
        return JsonResponse(told)

    def keep(self, place: Place, judged: Judged, typed: Typed, *, version: int) -> str | None:
        """Keep the draft and return when; None where what was typed is what is saved."""
        now, saved = timezone.now(), judged.saved
        if context.is_as_saved(place, saved, typed):
            drafts.forget_draft(place, by=self.by)
            return None
        began_from = None if place.is_new else version
        drafts.keep_draft(place, typed.as_json(), site=saved.site, version=began_from, by=self.by, now=now)
        return now.isoformat()


class NewLiveEntry(LiveEntry):
    """The same for a new entry."""

    new = True


class DiscardDraft(OfAForm):
    """Throws a draft away."""

    needs: ClassVar = {"post": there(Right.ENTER)}

    def post(self, request: HttpRequest, **at: Any) -> HttpResponse:
        """Forget the draft and show what is saved."""
        place = self.place(**at)
        self.refuse_who_only_reads(self.judged(place, None))
        drafts.forget_draft(place, by=self.by)
        return see_other(context.address_at(place))


class DiscardNewDraft(DiscardDraft):
    """The same for a new entry."""

    new = True


class Entries(OfAForm):
    """The instances of one form of a patient as a table, to which one adds in place."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Return the table."""
        site = patient_form().objects.visible_to(self.by).filter(record_id=record_id).values_list("site_id", flat=True)
        found = site.first()
        if found is None:
            raise NotFound
        place = Place(self.form, record_id=record_id)
        shown = context.of_table(place, site=found, by=self.by)
        return TemplateResponse(request, "crf/entries.html", shown)


def see_other(address: str) -> HttpResponse:
    """Return a redirect after which the browser asks with GET."""
    return HttpResponse(status=303, headers={"Location": address})


def _number(text: str | None) -> int:
    """Return the version that a page was made from, 0 for what no page of ours sends."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _locked(form: type[Form]) -> Wrong:
    message = _("It was locked meanwhile. Nothing was saved; ask the data manager to unlock it.")
    return Wrong(form.form_name(), None, None, None, "locked", message)
