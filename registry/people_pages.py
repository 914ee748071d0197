"""The pages of people and their roles: edges only, registry/people.py and accounts/rescue.py decide."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry import people
from registry.accounts import rescue
from registry.bodies import email
from registry.managed_pages import DayField, ManagedPage, PageForm, ReadField, is_done, see_other, shown_again
from registry.models import Membership, Person, Site
from registry.people_views import FULL_NAME, username
from registry.problems import bad_request
from registry.repeats import ShownOncePage
from registry.rights import Caller, Right, Role, anywhere
from registry.rights_history import history_of_rights

MANAGE = anywhere(Right.MANAGE)
ALL_SITES = "*"
A_PAGE = 50


class PersonForm(PageForm):
    """What is known of a person."""

    full_name = ReadField(FULL_NAME, label=gettext_lazy("Name"), required=False, attributes={"maxlength": "200"})
    email = ReadField(email, label=gettext_lazy("E-mail address"), required=False, attributes={"inputmode": "email"})


class RoleForm(PageForm):
    """A role at a site or at all, from a day and until one."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[("", gettext_lazy("Choose…")), *Role.choices])
    site = forms.ChoiceField(label=gettext_lazy("Site"))
    starts_on = DayField(label=gettext_lazy("From"))
    ends_on = DayField(label=gettext_lazy("Until"), required=False)

    def __init__(self, data: QueryDict | None = None, *, by: Caller, today: date) -> None:
        super().__init__(data, initial={"starts_on": today.isoformat()})
        sites = [(site.code, str(site)) for site in managed_sites(by)]
        everywhere = [(ALL_SITES, _("All sites"))] if by.may_everywhere(Right.MANAGE) else []
        only = sites[0][0] if len(sites) == 1 and not everywhere else ""
        self.fields["site"].choices = [("", _("Choose…")), *everywhere, *sites]  # type: ignore[attr-defined]  # a ChoiceField
        self.initial["site"] = only

    def membership(self) -> dict[str, Any]:
        """Return the membership that was asked for, as the service takes it."""
        given = self.cleaned_data
        return {**given, "site": None if given["site"] == ALL_SITES else given["site"]}


class NewPersonForm(PersonForm, RoleForm):
    """A new person with a first role."""

    username = ReadField(
        username,
        label=gettext_lazy("User name"),
        note=gettext_lazy("Small letters, digits, points, hyphens and underscores, such as a.name. It stays for ever."),
        attributes={"autocapitalize": "none", "spellcheck": "false", "maxlength": "150"},
    )
    way_in = forms.ChoiceField(
        label=gettext_lazy("How they get in"),
        choices=[
            ("password", gettext_lazy("Show me a first password, to hand over")),
            ("link", gettext_lazy("Send them a link to choose a password")),
        ],
        widget=forms.RadioSelect,
        initial="password",
    )
    field_order = ("username", "full_name", "email", "role", "site", "starts_on", "ends_on", "way_in")

    def __init__(self, data: QueryDict | None = None, *, by: Caller, today: date) -> None:
        super().__init__(data, by=by, today=today)
        self.fields["username"].widget.attrs["autofocus"] = ""
        if not settings.MAIL_IS_SENT:
            del self.fields["way_in"]

    def clean(self) -> dict[str, Any]:
        """Refuse a link to nowhere."""
        given = self.cleaned_data
        if given.get("way_in") == "link" and not given.get("email") and "email" not in self.errors:
            self.add_error("email", _("Write the address that the link goes to."))
        return given


class LastDayForm(PageForm):
    """The last day of a role."""

    ends_on = DayField(label=gettext_lazy("Last day"), required=False)


class People(ManagedPage):
    """Who may come in: roles, last sign-in, second factor."""

    needs: ClassVar = {"get": MANAGE}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return a page of the people whom the data manager may see."""
        asked = request.GET.get("q", "").strip()[:100].replace("\x00", "")
        listed = people_listed(self.by, asked=asked)
        page = Paginator(listed, A_PAGE).get_page(request.GET.get("page"))
        shown = {"page": page, "asked": asked, "today": timezone.localdate()}
        return render(request, "registry/people.html", shown)


class NewPerson(ManagedPage):
    """Adds a person with a first role."""

    needs: ClassVar = {"get": MANAGE, "post": MANAGE}
    template: ClassVar = "registry/people_new.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the empty form."""
        return render(request, self.template, {"form": NewPersonForm(by=self.by, today=timezone.localdate())})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Save the person; show their first password, or write to them."""
        form = NewPersonForm(request.POST, by=self.by, today=timezone.localdate())
        made: list[tuple[Person, str]] = []
        if not form.is_valid() or not is_done(form, lambda: made.append(self._added(request, form))):
            return shown_again(request, self.template, {"form": form})
        person, password = made[0]
        if form.cleaned_data.get("way_in") == "link":
            messages.success(request, _("The person is added, and the link is on its way."))
            return see_other("page-person", person.username)
        return password_shown(request, person, password, is_new=True)

    def _added(self, request: HttpRequest, form: NewPersonForm) -> tuple[Person, str]:
        given = form.cleaned_data
        role = {name: value for name, value in form.membership().items() if name in RoleForm.base_fields}
        about = {name: given[name] for name in ("username", "full_name", "email")}
        person, password = people.create_person(**about, memberships=[role], by=self.by)
        if given.get("way_in") == "link":
            rescue.send_link(person, by=self.by, request=request)
        return person, password


@dataclass(frozen=True)
class Row:
    """A membership as the page shows it."""

    membership: Membership
    is_managed: bool
    state: str


class PersonPage(ManagedPage):
    """One person: roles, name, how they get in, and what happened with all that."""

    needs: ClassVar = {"get": MANAGE, "post": MANAGE}

    def get(self, request: HttpRequest, username: str) -> HttpResponse:
        """Return the person."""
        return render(request, TEMPLATE, person_shown(people.person_named(username, by=self.by), by=self.by))

    def post(self, request: HttpRequest, username: str) -> HttpResponse:
        """Do what the form says in `do`."""
        person = people.hold_person(username, by=self.by)
        deed = {
            "change": self._change,
            "deactivate": self._deactivate,
            "let-in": self._let_in,
            "password": self._give_password,
            "link": self._send_link,
            "codes": self._remove_codes,
            "lock-out": self._lift_lock_out,
        }.get(request.POST.get("do", ""))
        if deed is None:
            raise bad_request("do", "unknown_code", _("The page was changed on its way. Load it again."))
        try:
            with transaction.atomic():
                return deed(request, person)
        except people.Contradiction as refusal:
            person.refresh_from_db()
            return shown_again(request, TEMPLATE, {**person_shown(person, by=self.by), "refusal": refusal.message})

    def _change(self, request: HttpRequest, person: Person) -> HttpResponse:
        form = PersonForm(request.POST)
        today = timezone.localdate()
        if form.is_valid() and is_done(form, lambda: people.change_person(person, form.cleaned_data, today=today)):
            return self._said(request, person, _("The changes are saved."))
        return shown_again(request, TEMPLATE, person_shown(person, by=self.by, about=form))

    def _deactivate(self, request: HttpRequest, person: Person) -> HttpResponse:
        people.change_person(person, {"is_active": False}, today=timezone.localdate())
        return self._said(request, person, _("The person is signed out everywhere and cannot come in any more."))

    def _let_in(self, request: HttpRequest, person: Person) -> HttpResponse:
        people.change_person(person, {"is_active": True}, today=timezone.localdate())
        return self._said(request, person, _("The person can sign in again, with the password from before."))

    def _give_password(self, request: HttpRequest, person: Person) -> HttpResponse:
        return password_shown(request, person, rescue.give_password(person, by=self.by, request=request), is_new=False)

    def _send_link(self, request: HttpRequest, person: Person) -> HttpResponse:
        rescue.send_link(person, by=self.by, request=request)
        return self._said(request, person, _("The link is on its way."))

    def _remove_codes(self, request: HttpRequest, person: Person) -> HttpResponse:
        rescue.remove_codes(person, by=self.by, request=request)
        return self._said(request, person, _("The codes are removed, and the person is signed out everywhere."))

    def _lift_lock_out(self, request: HttpRequest, person: Person) -> HttpResponse:
        rescue.lift_lock_out(person, by=self.by, request=request)
        return self._said(request, person, _("The person can try again at once."))

    def _said(self, request: HttpRequest, person: Person, words: str) -> HttpResponse:
        messages.success(request, words)
        return see_other("page-person", person.username)


class PersonRoles(ManagedPage):
    """Gives a person a role."""

    needs: ClassVar = {"post": MANAGE}

    def post(self, request: HttpRequest, username: str) -> HttpResponse:
        """Save the membership."""
        person = people.person_named(username, by=self.by)
        form = RoleForm(request.POST, by=self.by, today=timezone.localdate())
        if form.is_valid() and is_done(form, lambda: people.give_membership(person, **form.membership(), by=self.by)):
            messages.success(request, _("The role is given."))
            return see_other("page-person", person.username)
        return shown_again(request, TEMPLATE, person_shown(person, by=self.by, role=form))


class RoleEnd(ManagedPage):
    """Ends a role, or takes back one that has not started."""

    needs: ClassVar = {"get": MANAGE, "post": MANAGE}
    template: ClassVar = "registry/people_role_end.html"

    def get(self, request: HttpRequest, membership_id: int) -> HttpResponse:
        """Return the role and its last day."""
        membership, today = people.hold_membership(membership_id, by=self.by), timezone.localdate()
        form = LastDayForm(initial={"ends_on": membership.ends_on or max(today, membership.starts_on)})
        return render(request, self.template, self._shown(membership, form))

    def post(self, request: HttpRequest, membership_id: int) -> HttpResponse:
        """Save the last day, or take the role back."""
        membership, today = people.hold_membership(membership_id, by=self.by), timezone.localdate()
        form = LastDayForm(request.POST)
        deed: Callable[[], object]
        if "take_back" in request.POST:
            words = _("The role is taken back.")
            deed = partial(people.take_back_membership, membership, today=today)
        else:
            words = _("The last day of the role is saved.")
            deed = partial(self._end, membership, form, today=today)
        if form.is_valid() and is_done(form, deed):
            messages.success(request, words)
            return see_other("page-person", membership.person.username)
        return shown_again(request, self.template, self._shown(membership, form))

    def _shown(self, membership: Membership, form: LastDayForm) -> dict[str, Any]:
        may_be_taken_back = membership.starts_on > timezone.localdate()
        return {"membership": membership, "form": form, "may_be_taken_back": may_be_taken_back}

    def _end(self, membership: Membership, form: LastDayForm, *, today: date) -> None:
        people.end_membership(membership, ends_on=form.cleaned_data["ends_on"], by=self.by, today=today)


TEMPLATE = "registry/people_one.html"


def people_listed(by: Caller, *, asked: str) -> QuerySet[Person]:
    """Return whom the data manager may see, the active first, with roles in force and to come; looks for `asked`."""
    found = people.visible_people(by)
    if asked:
        found = found.filter(Q(username__icontains=asked) | Q(full_name__icontains=asked) | Q(email__icontains=asked))
    open_roles = people.visible_memberships(by).filter(Q(ends_on=None) | Q(ends_on__gte=timezone.localdate()))
    codes = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
    return (
        found.annotate(has_codes=Exists(codes))
        .prefetch_related(Prefetch("memberships", queryset=open_roles.order_by("site", "role"), to_attr="open_roles"))
        .order_by("-is_active", "username")
    )


def managed_sites(by: Caller) -> QuerySet[Site]:
    """Return the sites that the data manager manages."""
    return Site.objects.filter(code__in=by.sites_with(Right.MANAGE)).order_by("code")


def person_shown(
    person: Person,
    *,
    by: Caller,
    about: PersonForm | None = None,
    role: RoleForm | None = None,
) -> dict[str, Any]:
    """Return what the page of a person shows; the forms are those that were sent and not taken."""
    today, now = timezone.localdate(), timezone.now()
    memberships = people.visible_memberships(by).filter(person=person).order_by("-starts_on", "site", "role")
    return {
        "person": person,
        "rows": [_row(membership, by=by, today=today) for membership in memberships],
        "about": about or PersonForm(initial={"full_name": person.full_name, "email": person.email}),
        "role": role or RoleForm(by=by, today=today),
        "is_managed": people.manages_person(by, person),
        "is_oneself": person.pk == by.person_id,
        "has_codes": Authenticator.objects.filter(user=person, type=Authenticator.Type.TOTP).exists(),
        "locked_out_until": rescue.locked_out_until(person, now=now),
        "mail_is_sent": settings.MAIL_IS_SENT,
        "history": history_of_rights(person, by=by),
    }


def _row(membership: Membership, *, by: Caller, today: date) -> Row:
    site, ends_on = membership.site_id, membership.ends_on
    managed = by.may_everywhere(Right.MANAGE) if site is None else by.may(Right.MANAGE, at=site)
    state = "over" if ends_on and ends_on < today else "to come" if membership.starts_on > today else "in force"
    return Row(membership, managed, state)


def password_shown(request: HttpRequest, person: Person, password: str, *, is_new: bool) -> HttpResponse:
    """Return the page that shows a password, this once."""
    shown = {"person": person, "password": password, "is_new": is_new}
    page = render_to_string("registry/people_password.html", shown, request=request)
    return ShownOncePage(page, instead=reverse("page-person", args=[person.username]))
