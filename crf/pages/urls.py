"""Addresses of the pages for entering and reading data."""

from django.urls import include, path

from crf.pages.home import Home

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("", include("crf.pages.beside_urls")),
]
