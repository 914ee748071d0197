"""The first page: the sites whose patients the person may see."""

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from registry.models import Site
from registry.page_views import PageView
from registry.rights import SIGNED_IN, Right


class Home(PageView):
    """The sites whose patients the person may see."""

    needs: ClassVar = {"get": SIGNED_IN}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the sites."""
        sites = Site.objects.filter(code__in=self.by.sites_with(Right.READ)).order_by("code")
        return render(request, "crf/home.html", {"sites": sites})
