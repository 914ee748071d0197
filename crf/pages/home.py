"""The first page: the sites whose patients the person may see, and what waits for them there."""

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from crf.overview import totals_of_sites
from crf.pages import addresses
from crf.pages.finding import MAX_SEARCH, patient_named
from crf.pages.views import DataPage
from crf.pages.work import work_of
from registry.models import Site
from registry.rights import SIGNED_IN, Right, anywhere
from registry.way_back import see_other


class Home(DataPage):
    """The sites of the person with their counts; who has one site is sent there."""

    needs: ClassVar = {"get": SIGNED_IN, "post": anywhere(Right.READ)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the sites and the work, or send on to the one site."""
        sites = self.by.sites_with(Right.READ)
        if len(sites) == 1:
            return redirect("page-site", *sites)
        return self._page(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Send on to the patient whose record id was typed."""
        text = request.POST.get("search", "").strip()[:MAX_SEARCH]
        found = patient_named(text, sites=self.by.sites_with(Right.READ))
        if found is not None:
            return see_other(addresses.of_patient(found))
        error = _("There is no patient %(text)s among those you may see. Write the whole record id.") % {"text": text}
        return self._page(request, search=text, search_error=error, status=422)

    def _page(
        self, request: HttpRequest, *, search: str = "", search_error: str = "", status: int = 200
    ) -> HttpResponse:
        codes = sorted(self.by.sites_with(Right.READ))
        totals = totals_of_sites(codes)
        shown = {
            "sites": [{"site": site, "totals": totals[site.code]} for site in Site.objects.filter(code__in=codes)],
            "work": work_of(self.by, sites=codes) if codes else None,
            "search": search,
            "search_error": search_error,
        }
        return render(request, "crf/home.html", shown, status=status)
