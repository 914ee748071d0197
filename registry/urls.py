"""Addresses. The layers above are named by string only."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView

from registry.pages import ApiDocs, Home
from registry.views import Me, Sites

urlpatterns: list[URLPattern | URLResolver] = [
    path("", Home.as_view(), name="home"),
    path("", include("registry.accounts.urls")),
    path("api/v1/me/", Me.as_view(), name="me"),
    path("api/v1/sites/", Sites.as_view(), name="sites"),
    path("api/v1/", include("crf.api.urls")),
    path("api/v1/", include("exports.api.urls")),
    path("api/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/docs/", ApiDocs.as_view(url_name="schema"), name="docs"),
]

handler400 = "registry.error_pages.bad_request"
handler403 = "registry.error_pages.not_allowed"
handler404 = "registry.error_pages.address_not_found"
handler429 = "registry.error_pages.too_many_requests"
handler500 = "registry.error_pages.server_error"
