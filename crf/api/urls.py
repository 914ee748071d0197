"""Addresses of the forms, made from their declarations: a form that is added has its addresses."""

from django.urls import URLPattern, path

import crf.addresses  # noqa: F401 -- registers the converters
from crf.api.attestations import Signatures, Verifications
from crf.api.bulk import Entries
from crf.api.deletions import DeletedEntries, Restore
from crf.api.files import CurrentFile, EarlierFile, StoredFiles
from crf.api.imports import (
    ApplyImport,
    ImportChoices,
    ImportDetail,
    ImportRows,
    Imports,
    ImportTemplate,
    UndoImport,
)
from crf.api.locks import LockDetail, Locks, Unlock
from crf.api.queries import AnswerQuery, CloseQuery, Queries, QueryCounts, QueryDetail, ReopenQuery
from crf.api.reports import ReportDetail, Reports
from crf.api.views import Dictionary, EntryDetail, InstanceList, PatientList, PooledForm
from crf.attachments import file_variables
from crf.forms import Form, all_forms, patient_form, repeating_forms


def _of_repeating_forms() -> list[URLPattern]:
    addresses = []
    for form in repeating_forms():
        name = form.form_name()
        of_patient = f"patients/<record_id:record_id>/{name}/"
        addresses += [
            path(of_patient, InstanceList.as_view(form=form), name=f"{name}-instances"),
            path(f"{of_patient}<instance:instance>/", EntryDetail.as_view(form=form), name=f"{name}-instance"),
            path(f"{of_patient}<instance:instance>/restore/", Restore.as_view(form=form), name=f"{name}-restore"),
            *_of_files(form, f"{of_patient}<instance:instance>/"),
        ]
    return addresses


def _of_files(form: type[Form], entry: str) -> list[URLPattern]:
    """Return the addresses of the files of a form, under that of an entry."""
    addresses = []
    for variable in file_variables(form):
        name, what = f"{form.form_name()}-{variable}", {"form": form, "variable": variable}
        addresses += [
            path(f"{entry}files/{variable}/", CurrentFile.as_view(**what), name=name),
            path(f"{entry}files/{variable}/stored/", StoredFiles.as_view(**what), name=f"{name}-stored"),
            path(f"{entry}files/{variable}/stored/<file_name:name>/", EarlierFile.as_view(**what), name=f"{name}-one"),
        ]
    return addresses


def _of_queries() -> list[URLPattern]:
    return [
        path("queries/", Queries.as_view(), name="queries"),
        path("queries/counts/", QueryCounts.as_view(), name="query-counts"),
        path("queries/<row:query_id>/", QueryDetail.as_view(), name="query"),
        path("queries/<row:query_id>/answer/", AnswerQuery.as_view(), name="query-answer"),
        path("queries/<row:query_id>/close/", CloseQuery.as_view(), name="query-close"),
        path("queries/<row:query_id>/reopen/", ReopenQuery.as_view(), name="query-reopen"),
    ]


def _of_imports() -> list[URLPattern]:
    return [
        path("imports/", Imports.as_view(), name="imports"),
        path("imports/template/", ImportTemplate.as_view(), name="import-template"),
        path("imports/<row:import_id>/", ImportDetail.as_view(), name="import"),
        path("imports/<row:import_id>/rows/", ImportRows.as_view(), name="import-rows"),
        path("imports/<row:import_id>/choices/", ImportChoices.as_view(), name="import-choices"),
        path("imports/<row:import_id>/apply/", ApplyImport.as_view(), name="import-apply"),
        path("imports/<row:import_id>/undo/", UndoImport.as_view(), name="import-undo"),
    ]


urlpatterns = [
    path("patients/", PatientList.as_view(form=patient_form()), name="patients"),
    path("patients/<record_id:record_id>/", EntryDetail.as_view(form=patient_form()), name="patient"),
    path("patients/<record_id:record_id>/restore/", Restore.as_view(form=patient_form()), name="patient-restore"),
    *_of_files(patient_form(), "patients/<record_id:record_id>/"),
    path("deleted/", DeletedEntries.as_view(), name="deleted"),
    *_of_repeating_forms(),
    *[
        path(f"forms/{form.form_name()}/", PooledForm.as_view(form=form), name=f"{form.form_name()}-pooled")
        for form in all_forms()
    ],
    path("entries/", Entries.as_view(), name="entries"),
    *_of_queries(),
    path("locks/", Locks.as_view(), name="locks"),
    path("locks/<row:lock_id>/", LockDetail.as_view(), name="lock"),
    path("locks/<row:lock_id>/unlock/", Unlock.as_view(), name="unlock"),
    path("verifications/", Verifications.as_view(), name="verifications"),
    path("signatures/", Signatures.as_view(), name="signatures"),
    path("reports/", Reports.as_view(), name="reports"),
    path("reports/<row:report_id>/", ReportDetail.as_view(), name="report"),
    *_of_imports(),
    path("dictionary/", Dictionary.as_view(), name="dictionary"),
]
