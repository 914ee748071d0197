"""Addresses of the pages for entering and reading data."""

from django.urls import URLPattern, URLResolver, include, path

import crf.addresses  # noqa: F401 -- registers how record ids and instances stand in addresses
from crf.forms import patient_form, repeating_forms
from crf.pages.deleting import Delete, Restore
from crf.pages.home import Home
from crf.pages.imports import ImportDetail, Imports, ImportTemplate, NewImport
from crf.pages.patients import PatientPage
from crf.pages.sites import SiteDeleted, SiteHome


def _of_patients() -> list[URLPattern]:
    of_patient, patient = "patients/<record_id:record_id>/", patient_form()
    addresses = [
        path(of_patient, PatientPage.as_view(), name="page-patient"),
        path(f"{of_patient}delete/", Delete.as_view(form=patient), name=f"page-delete-{patient.form_name()}"),
        path(f"{of_patient}restore/", Restore.as_view(form=patient), name=f"page-restore-{patient.form_name()}"),
    ]
    for form in repeating_forms():
        name = form.form_name()
        of_entry = f"{of_patient}{name}/<instance:instance>/"
        addresses += [
            path(f"{of_entry}delete/", Delete.as_view(form=form), name=f"page-delete-{name}"),
            path(f"{of_entry}restore/", Restore.as_view(form=form), name=f"page-restore-{name}"),
        ]
    return addresses


urlpatterns: list[URLPattern | URLResolver] = [
    path("", Home.as_view(), name="home"),
    path("", include("crf.pages.entry_urls")),
    path("sites/<site_code:code>/", SiteHome.as_view(), name="page-site"),
    path("sites/<site_code:code>/deleted/", SiteDeleted.as_view(), name="page-site-deleted"),
    *_of_patients(),
    path("", include("crf.pages.photograph_urls")),
    path("imports/", Imports.as_view(), name="page-imports"),
    path("imports/new/", NewImport.as_view(), name="page-import-new"),
    path("imports/template/", ImportTemplate.as_view(), name="page-import-template"),
    path("imports/<row:import_id>/", ImportDetail.as_view(), name="page-import"),
    path("", include("crf.pages.beside_urls")),
]
