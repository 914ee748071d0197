"""Addresses of the pages for entering and reading data."""

from django.urls import path

from crf.pages.home import Home

urlpatterns = [
    path("", Home.as_view(), name="home"),
]
