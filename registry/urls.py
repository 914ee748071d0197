"""Addresses. The layers above are named by string only."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from registry.health import alive, metrics, ready
from registry.pages import Home, SignIn, SignOut
from registry.views import Me, Sites

urlpatterns: list[URLPattern | URLResolver] = [
    path("", Home.as_view(), name="home"),
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", SignOut.as_view(), name="sign-out"),
    path("healthz", alive, name="healthz"),
    path("readyz", ready, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/me/", Me.as_view(), name="me"),
    path("api/v1/sites/", Sites.as_view(), name="sites"),
    path("api/v1/", include("crf.api.urls")),
    path("api/v1/", include("exports.api.urls")),
    path("api/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
]

handler404 = "registry.problems.address_not_found"
handler500 = "registry.problems.server_error"
