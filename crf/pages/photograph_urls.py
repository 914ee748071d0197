"""Addresses of the pages of photographs, made from the declarations of the forms."""

from django.urls import URLPattern, path

import crf.addresses  # noqa: F401 -- registers what stands in the addresses
from crf.forms import Form
from crf.pages.photographs import PhotographOfEntry, PhotographsOfPatient, PictureOfEntry, forms_with_files


def _of_form(form: type[Form]) -> list[URLPattern]:
    name = form.form_name()
    number = "<instance:instance>/" if form.repeating else ""
    at = f"patients/<record_id:record_id>/{name}/{number}photograph/<slug:file_variable>/"
    picture, thumbnail = PictureOfEntry.as_view(form=form), PictureOfEntry.as_view(form=form, thumbnail=True)
    return [
        path(at, PhotographOfEntry.as_view(form=form), name=f"page-photograph-{name}"),
        path(f"{at}picture/<file_name:name>/", picture, name=f"page-photograph-picture-{name}"),
        path(f"{at}thumbnail/<file_name:name>/", thumbnail, name=f"page-photograph-thumbnail-{name}"),
    ]


urlpatterns = [
    path("patients/<record_id:record_id>/photographs/", PhotographsOfPatient.as_view(), name="page-photographs"),
    *[pattern for form in forms_with_files() for pattern in _of_form(form)],
]
