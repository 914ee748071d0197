"""Addresses of the pages for entering and reading data."""

from django.urls import URLPattern, URLResolver, include, path

from crf.pages.home import Home

urlpatterns: list[URLPattern | URLResolver] = [
    path("", Home.as_view(), name="home"),
    path("", include("crf.pages.photograph_urls")),
]
