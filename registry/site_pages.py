"""The pages of sites: which there are, what they are called, how many people have a role there."""

from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import people
from registry.managed_pages import ManagedPage, PageForm, ReadField, is_done, see_other, shown_again
from registry.models import Membership, Site
from registry.people_views import SITE_NAME, site_code
from registry.rights import Caller, Right, Role, anywhere, there


class NameForm(PageForm):
    """What a site is called."""

    name = ReadField(SITE_NAME, label=_("Name"), attributes={"maxlength": "200"})


class SiteForm(NameForm):
    """A new site."""

    code = ReadField(
        site_code,
        label=_("Code"),
        note=_("2 to 8 capitals and digits, such as PAR. It starts each record id and stays for ever."),
        attributes={"maxlength": "8", "class": "short", "autocapitalize": "characters"},
    )
    field_order = ("code", "name")


class Sites(ManagedPage):
    """The sites, and new ones."""

    needs: ClassVar = {"get": anywhere(Right.MANAGE), "post": anywhere(Right.MANAGE)}
    template: ClassVar = "registry/sites.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the sites that the data manager sees, with the people who have a role there today."""
        return render(request, self.template, self._shown(SiteForm()))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Save a site."""
        form = SiteForm(request.POST)
        if form.is_valid() and is_done(form, lambda: people.create_site(**form.cleaned_data, by=self.by)):
            messages.success(request, _("The site is added. Who has a role at all sites has it there too."))
            return see_other("page-sites")
        return shown_again(request, self.template, self._shown(form))

    def _shown(self, form: SiteForm) -> dict[str, Any]:
        roles = [role.label for role in Role]
        return {
            "rows": sites_with_people(self.by),
            "roles": roles,
            "form": form,
            "adds": self.by.may_everywhere(Right.MANAGE),
        }


class SiteSettings(ManagedPage):
    """One site."""

    needs: ClassVar = {"get": there(Right.MANAGE), "post": there(Right.MANAGE)}
    template: ClassVar = "registry/sites_one.html"

    def get(self, request: HttpRequest, code: str) -> HttpResponse:
        """Return its name, to be changed."""
        site = people.hold_site(code, by=self.by)
        return render(request, self.template, {"site": site, "form": NameForm(initial={"name": site.name})})

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        """Save another name."""
        site, form = people.hold_site(code, by=self.by), NameForm(request.POST)
        if not form.is_valid():
            return shown_again(request, self.template, {"site": site, "form": form})
        people.rename_site(site, name=form.cleaned_data["name"])
        messages.success(request, _("The name is saved."))
        return see_other("page-sites")


def sites_with_people(by: Caller) -> list[dict[str, Any]]:
    """Return each site that `by` sees, whether they manage it, and how many people have each role there today."""
    today = timezone.localdate()
    in_force = Membership.objects.filter(
        Q(ends_on=None) | Q(ends_on__gte=today), starts_on__lte=today, person__is_active=True
    )
    counted: QuerySet[Any] = in_force.values_list("site_id", "role").annotate(number=Count("person", distinct=True))
    numbers = {(site, role): number for site, role, number in counted}
    return [
        {
            "site": site,
            "is_managed": by.may(Right.MANAGE, at=site.code),
            "numbers": [(numbers.get((site.code, role), 0), numbers.get((None, role), 0)) for role in Role],
        }
        for site in Site.objects.filter(code__in=by.sites_with(Right.READ)).order_by("code")
    ]
