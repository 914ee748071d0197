"""Addresses of what stands beside the data: panels of variables, queries, locks, attestations."""

from typing import Any

from django.urls import URLPattern, path

import crf.addresses  # noqa: F401 -- registers how record ids and instances stand in addresses
from crf.forms import Form, all_forms
from crf.pages import attesting
from crf.pages.beside import Beside
from crf.pages.queries import AnswerQuery, CloseQuery, Queries, QueryDetail, ReopenQuery

OF_AN_ENTRY: dict[str, type[Any]] = {
    "standing": attesting.StandingOfEntry,
    "lock": attesting.LockEntry,
    "verify": attesting.Verify,
    "sign": attesting.Sign,
}


def _of_form(form: type[Form]) -> list[URLPattern]:
    name = form.form_name()
    entry = f"patients/<record_id:record_id>/{name}/" + ("<instance:instance>/" if form.repeating else "")
    return [
        path(f"{entry}beside/<slug:variable>/", Beside.as_view(form=form), name=f"page-beside-{name}"),
        *(
            path(f"{entry}{deed}/", view.as_view(form=form), name=f"page-{deed}-{name}")
            for deed, view in OF_AN_ENTRY.items()
        ),
    ]


urlpatterns = [
    path("queries/", Queries.as_view(), name="page-queries"),
    path("queries/<row:query_id>/", QueryDetail.as_view(), name="page-query"),
    path("queries/<row:query_id>/answer/", AnswerQuery.as_view(), name="page-query-answer"),
    path("queries/<row:query_id>/close/", CloseQuery.as_view(), name="page-query-close"),
    path("queries/<row:query_id>/reopen/", ReopenQuery.as_view(), name="page-query-reopen"),
    path("locks/<row:lock_id>/unlock/", attesting.Unlock.as_view(), name="page-unlock"),
    path("sites/<site_code:code>/standing/", attesting.StandingOfSite.as_view(), name="page-standing-site"),
    path("sites/<site_code:code>/lock/", attesting.LockSite.as_view(), name="page-lock-site"),
    path("patients/<record_id:record_id>/standing/", attesting.StandingOfPatient.as_view(), name="page-standing"),
    path("patients/<record_id:record_id>/lock/", attesting.LockPatient.as_view(), name="page-lock"),
    path("patients/<record_id:record_id>/sign/", attesting.SignPatient.as_view(), name="page-sign"),
    *[pattern for form in all_forms() for pattern in _of_form(form)],
]
