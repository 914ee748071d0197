"""Addresses of the pages on what comes out."""

from django.urls import URLPattern, URLResolver, path

from crf.api import urls as _of_the_forms  # noqa: F401 -- registers what a record id is in an address
from exports.pages.endpoints import Endpoints, PatientsBehind, PatientsBehindAt, RecomputeEndpoints
from exports.pages.exports import AskAgain, CancelExport, DiscardFile, ExportDetail, ExportFile, Exports, Preview
from exports.pages.jobs import CancelJob, Jobs, RestartJob
from exports.pages.outcome import PatientOutcomePage

urlpatterns: list[URLPattern | URLResolver] = [
    path("exports/", Exports.as_view(), name="page-exports"),
    path("exports/preview/", Preview.as_view(), name="page-export-preview"),
    path("exports/<uuid:job_id>/", ExportDetail.as_view(), name="page-export"),
    path("exports/<uuid:job_id>/file/", ExportFile.as_view(), name="page-export-file"),
    path("exports/<uuid:job_id>/cancel/", CancelExport.as_view(), name="page-export-cancel"),
    path("exports/<uuid:job_id>/again/", AskAgain.as_view(), name="page-export-again"),
    path("exports/<uuid:job_id>/discard/", DiscardFile.as_view(), name="page-export-discard"),
    path("endpoints/", Endpoints.as_view(), name="page-endpoints"),
    path("endpoints/recompute/", RecomputeEndpoints.as_view(), name="page-endpoints-recompute"),
    path("endpoints/<str:key>/", PatientsBehind.as_view(), name="page-endpoint-patients"),
    path("endpoints/<str:key>/<site_code:code>/", PatientsBehindAt.as_view(), name="page-endpoint-patients-at"),
    path("patients/<record_id:record_id>/outcome/", PatientOutcomePage.as_view(), name="page-outcome"),
    path("jobs/", Jobs.as_view(), name="page-jobs"),
    path("jobs/<uuid:job_id>/cancel/", CancelJob.as_view(), name="page-job-cancel"),
    path("jobs/<uuid:job_id>/restart/", RestartJob.as_view(), name="page-job-restart"),
]
