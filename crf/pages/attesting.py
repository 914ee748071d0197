"""What is done with an entry, a patient or a site as a whole: lock, verify, sign.

A page shows how the place stands and offers what the person may do; each deed has its own address, takes a POST only,
and leads back to where the person came from. What is refused is shown on that page, with what was typed.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from crf import attestations, locks, problems
from crf.forms import Form, forms_by_name
from crf.locks import Target
from crf.models.attestation import Meaning
from crf.models.lock import Lock
from crf.pages.links import entry_address, entry_title, standing_address
from crf.pages.texts import Unfit, text_of
from crf.pages.views import DataPage, wants_a_part
from crf.refusals import NotAllowed, Stale
from crf.standing import ENTRY, FORM, PATIENT, SITE, Standing, standing_of_entry, standing_of_patient, standing_of_site
from registry.accounts.password_again import require_password
from registry.page_views import REASON
from registry.problems import Problem
from registry.rights import Right, there
from registry.signed_in import caller_behind
from registry.way_back import came_from, see_other, way_back

MAX_VERSION: Final = 2_147_483_647


class Deed(Exception):
    """Something was not done: `field` of the form `deed` says why, in `words`."""

    def __init__(self, deed: str, field: str, words: str, *, status: int = 422) -> None:
        super().__init__(words)
        self.deed, self.field, self.words, self.status = deed, field, words, status


class StandingPage(DataPage):
    """A page about how a place stands."""

    form: type[Form] = Form  # type: ignore[type-abstract]  # addresses of a form give their own

    def of_entry(self, record_id: str, instance: int = 1) -> Standing:
        """Return how the entry of the address stands. Raises NotFound."""
        return standing_of_entry(self.form, record_id, instance, by=self.by)

    def show(self, request: HttpRequest, standing: Standing, *, refused: Deed | None = None) -> HttpResponse:
        """Return the page of a place; `refused` is the deed that was not done."""
        template = "crf/standing_panel.html" if wants_a_part(request) else "crf/standing.html"
        return render(
            request, template, self._found(request, standing, refused), status=refused.status if refused else 200
        )

    def do(self, request: HttpRequest, standing: Standing, right: Right, act: Callable[[], str]) -> HttpResponse:
        """Do something that needs a right at the place, and lead back with the words that `act` returns."""
        if right not in standing.may:
            raise NotAllowed
        try:
            words = act()
        except Deed as refused:
            return self.show(request, standing, refused=refused)
        messages.success(request, words)
        return see_other(way_back(request, otherwise=standing_address(standing.target)))

    def _found(self, request: HttpRequest, standing: Standing, refused: Deed | None) -> dict[str, Any]:
        seen = _number(request.POST.get("version") or request.GET.get("version"))
        current = standing.entry.version if standing.entry else None
        deeds = _deeds(standing)
        stale = bool(seen and current and seen != current and standing.target.form)
        return {
            "standing": standing,
            "title": _title(standing),
            "entry_address": _address_of_what_it_is_about(standing),
            "version": current if refused else seen or current,
            "stale": stale and not refused,
            "deeds": deeds,
            "said": refused.words if refused and not _is_there(refused, deeds) else "",
            "meanings": [(meaning.value, meaning.label) for meaning in Meaning],
            "reaches": _reaches(standing),
            "refused": refused,
            "open": refused.deed if refused else request.GET.get("do", ""),
            "reason": request.POST.get(REASON, ""),
            "meaning": request.POST.get("meaning", Meaning.APPROVED.value),
            "reach": request.POST.get("reach", ""),
            "next": way_back(request, otherwise=came_from(request)),
        }


class StandingOfEntry(StandingPage):
    """How an entry stands, and what may be done with it."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Return the page."""
        return self.show(request, self.of_entry(record_id, instance))


class StandingOfPatient(StandingPage):
    """How a patient as a whole stands."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Return the page."""
        return self.show(request, standing_of_patient(record_id, by=self.by))


class StandingOfSite(StandingPage):
    """How a site as a whole stands."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        """Return the page."""
        return self.show(request, standing_of_site(code, by=self.by))


class LockPage(StandingPage):
    """A page that locks or unlocks."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problems.of_a_lock(error) or super().problem_of(error)

    def lock(self, request: HttpRequest, standing: Standing, target: Target) -> HttpResponse:
        """Lock a place that the standing is of, or one that it lies in."""

        def act() -> str:
            reason = _reason(request, "lock")
            try:
                locks.lock(target, reason=reason, by=self.by, now=timezone.now())
            except locks.AlreadyLocked as error:
                raise _in_words(error, "lock", REASON) from None
            return _("Locked.")

        return self.do(request, standing, Right.LOCK, act)


class LockSite(LockPage):
    """A site is locked."""

    needs: ClassVar = {"post": there(Right.LOCK)}

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        """Lock the site."""
        standing = standing_of_site(code, by=self.by)
        return self.lock(request, standing, standing.target)


class LockPatient(LockPage):
    """A patient is locked."""

    needs: ClassVar = {"post": there(Right.LOCK)}

    def post(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Lock the patient with every form."""
        return self.lock(request, standing_of_patient(record_id, by=self.by), Target(record_id=record_id))


class LockEntry(LockPage):
    """An entry is locked, or as `reach` says its form or the whole patient."""

    needs: ClassVar = {"post": there(Right.LOCK)}

    def post(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Lock the entry, the form of the patient, or the patient."""
        standing = self.of_entry(record_id, instance)
        reach = request.POST.get("reach", ENTRY)
        targets = {FORM: Target(record_id=record_id, form=self.form), PATIENT: Target(record_id=record_id)}
        return self.lock(request, standing, targets.get(reach, standing.target))


class Unlock(LockPage):
    """A lock is lifted."""

    needs: ClassVar = {"post": there(Right.LOCK)}

    def post(self, request: HttpRequest, lock_id: int) -> HttpResponse:
        """Lift the lock."""
        standing = self._standing(locks.refuse_unless_allowed(lock_id, by=self.by))

        def act() -> str:
            reason = _reason(request, f"unlock-{lock_id}")
            try:
                locks.unlock(lock_id, reason=reason, by=self.by, now=timezone.now())
            except locks.AlreadyUnlocked as error:
                raise _in_words(error, "", REASON) from None
            return _("Unlocked.")

        return self.do(request, standing, Right.LOCK, act)

    def _standing(self, lock: Lock) -> Standing:
        """Return how the place of a lock stands."""
        if lock.patient_id is None:
            return standing_of_site(lock.site_id, by=self.by)
        record_id = str(lock.patient_id)
        if lock.form is None or lock.instance is None:
            return standing_of_patient(record_id, by=self.by)
        return standing_of_entry(forms_by_name()[lock.form], record_id, lock.instance, by=self.by)


class AttestPage(StandingPage):
    """A page on which something is attested."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problems.of_an_attestation(error) or super().problem_of(error)


class Verify(AttestPage):
    """An entry was compared with the source."""

    needs: ClassVar = {"post": there(Right.VERIFY)}

    def post(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Verify the version that the person has before them."""

        def act() -> str:
            version = _version(request)
            try:
                attestations.verify(self.form, record_id, instance, version=version, by=self.by, now=timezone.now())
            except (Stale, attestations.AlreadyAttested) as error:
                raise _in_words(error, "verify", "version") from None
            return _("Verified against the source.")

        return self.do(request, self.of_entry(record_id, instance), Right.VERIFY, act)


class SigningPage(AttestPage):
    """A page on which somebody signs: the password is asked for before the transaction, so that failures count."""

    refusal: Problem | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Check the password, then answer."""
        if request.method == "POST":
            self.refusal = _refusal_of_password(request)
        return super().dispatch(request, *args, **kwargs)

    def sign(self, request: HttpRequest, standing: Standing, signs: Callable[[Meaning], object]) -> HttpResponse:
        """Sign in one of the meanings."""

        def act() -> str:
            if self.refusal is not None:
                status = 429 if self.refusal.status == 429 else 422
                raise Deed("sign", "password", self.refusal.detail, status=status)
            meaning = request.POST.get("meaning", "")
            if meaning not in Meaning.values:
                raise Deed("sign", "meaning", _("Choose what the signature says."))
            try:
                signs(Meaning(meaning))
            except attestations.NotComplete as error:
                names = ", ".join(entry_title(one.form, one.record_id, one.instance) for one in error.entries)
                words = _("Only complete forms are signed. Complete these first: %(names)s.")
                raise Deed("sign", "password", words % {"names": names}, status=409) from None
            except (Stale, attestations.AlreadyAttested) as error:
                raise _in_words(error, "sign", "password") from None
            return _("Signed.")

        return self.do(request, standing, Right.SIGN, act)


class Sign(SigningPage):
    """An entry is signed."""

    needs: ClassVar = {"post": there(Right.SIGN)}

    def post(self, request: HttpRequest, record_id: str, instance: int = 1) -> HttpResponse:
        """Sign the version that the person has before them."""
        return self.sign(
            request,
            self.of_entry(record_id, instance),
            lambda meaning: attestations.sign_entry(
                self.form,
                record_id,
                instance,
                version=_version(request, "sign"),
                meaning=meaning,
                by=self.by,
                now=timezone.now(),
            ),
        )


class SignPatient(SigningPage):
    """A patient is signed with all entries."""

    needs: ClassVar = {"post": there(Right.SIGN)}

    def post(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Sign each entry of the patient as it is saved."""
        return self.sign(
            request,
            standing_of_patient(record_id, by=self.by),
            lambda meaning: attestations.sign_patient(record_id, meaning=meaning, by=self.by, now=timezone.now()),
        )


def _refusal_of_password(request: HttpRequest) -> Problem | None:
    """Return why the password does not count, None for the right one and for who signs nowhere anyway."""
    by, password = caller_behind(request), request.POST.get("password", "")
    if by is None or not by.may_anywhere(Right.SIGN):
        return None
    if not password:
        return Problem(422, "blank", _("Give your password to sign."))
    try:
        require_password(request, username=by.username, password=password)
    except Problem as problem:
        return problem
    return None


def _reason(request: HttpRequest, deed: str) -> str:
    try:
        return text_of(request, REASON)
    except Unfit:
        raise Deed(deed, REASON, _("Say why.")) from None


def _version(request: HttpRequest, deed: str = "verify") -> int:
    version = _number(request.POST.get("version"))
    if version is None:
        raise Deed(deed, "version", _("Load the page again: it was changed on its way."))
    return version


def _number(text: str | None) -> int | None:
    if not text or not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_VERSION)):
        return None
    return int(text)


def _in_words(error: Exception, deed: str, field: str) -> Deed:
    """Return the deed that a refusal of a service undoes."""
    match error:
        case Stale():
            words = _("Somebody changed the entry after you opened the page. Look at it again, then repeat this.")
        case _:
            problem = problems.of_a_lock(error) or problems.of_an_attestation(error)
            words = problem.detail if problem else ""
    return Deed(deed, field, words, status=409)


def _title(standing: Standing) -> str:
    target = standing.target
    if target.record_id is None:
        return _("Site %(code)s") % {"code": standing.site}
    if target.form is None:
        return _("Patient %(record_id)s") % {"record_id": target.record_id}
    return entry_title(target.form, target.record_id, target.instance or 1)


def _address_of_what_it_is_about(standing: Standing) -> str | None:
    target = standing.target
    if target.record_id is None or target.form is None:
        return None
    return entry_address(target.form.form_name(), target.record_id, target.instance or 1)


def _reaches(standing: Standing) -> list[tuple[str, str]]:
    """Return how far a lock placed here may reach, in words."""
    target = standing.target
    if target.record_id is None:
        return [(SITE, _("The site with all patients"))]
    whole = (PATIENT, _("The patient with all forms"))
    if target.form is None:
        return [whole]
    of_form = (FORM, _("Every %(form)s of this patient") % {"form": _(target.form.title())})
    return [(ENTRY, _("This form")), *([of_form] if target.form.repeating else []), whole]


def _is_there(refused: Deed, deeds: Mapping[str, str]) -> bool:
    """Return whether the form of the deed is still on the page to say why it was refused."""
    return refused.deed in deeds or refused.deed.startswith("unlock-")


def _deeds(standing: Standing) -> dict[str, str]:
    """Return the addresses of what the person may do, by deed."""
    target, may, found = standing.target, standing.may, dict[str, str]()
    if target.record_id is None:
        return {"lock": reverse("page-lock-site", kwargs={"code": standing.site})} if Right.LOCK in may else {}
    if target.form is None:
        place: dict[str, Any] = {"record_id": target.record_id}
        names = {"sign": (Right.SIGN, "page-sign"), "lock": (Right.LOCK, "page-lock")}
        return {deed: reverse(name, kwargs=place) for deed, (right, name) in names.items() if right in may}
    name = target.form.form_name()
    place = {"record_id": target.record_id}
    if target.form.repeating:
        place["instance"] = target.instance
    offered = {
        "verify": Right.VERIFY in may and standing.verification is None,
        "sign": Right.SIGN in may,
        "lock": Right.LOCK in may,
    }
    for deed in (deed for deed, is_offered in offered.items() if is_offered):
        found[deed] = reverse(f"page-{deed}-{name}", kwargs=place)
    return found
