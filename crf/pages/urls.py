"""Addresses of the pages for entering and reading data."""

from django.urls import path

from crf.api import urls as _converters  # noqa: F401 -- `row` stands in these addresses too
from crf.pages.home import Home
from crf.pages.imports import ImportDetail, Imports, ImportTemplate, NewImport

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("imports/", Imports.as_view(), name="page-imports"),
    path("imports/new/", NewImport.as_view(), name="page-import-new"),
    path("imports/template/", ImportTemplate.as_view(), name="page-import-template"),
    path("imports/<row:import_id>/", ImportDetail.as_view(), name="page-import"),
]
