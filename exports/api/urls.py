"""Addresses of what comes out."""

from django.urls import path

from exports.api.endpoints import Endpoints, PatientOutcomes, Recomputation, Recompute
from exports.api.views import ExportDetail, ExportFile, Exports

urlpatterns = [
    path("exports/", Exports.as_view(), name="exports"),
    path("exports/<uuid:job_id>/", ExportDetail.as_view(), name="export"),
    path("exports/<uuid:job_id>/file/", ExportFile.as_view(), name="export-file"),
    path("endpoints/", Endpoints.as_view(), name="endpoints"),
    path("endpoints/patients/", PatientOutcomes.as_view(), name="endpoint-patients"),
    path("endpoints/recompute/", Recompute.as_view(), name="endpoint-recompute"),
    path("endpoints/recompute/<uuid:job_id>/", Recomputation.as_view(), name="recomputation"),
]
