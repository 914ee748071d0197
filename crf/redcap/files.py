"""Stored files. No photograph can be kept yet: each call is checked as REDCap does and then finds no file."""

from django.http import HttpResponse

from crf.fields import FileField
from crf.forms import all_forms
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.selection import refuse_unknown_record


@answers("file", need=Need.EXPORT)
def export_file(call: Call) -> HttpResponse:
    """Refuse: there is none."""
    _check(call)
    raise ApiError("There is no file to download for this record")


@answers("file", "import", need=Need.IMPORT)
def import_file(call: Call) -> HttpResponse:
    """Refuse: there is nowhere to keep it."""
    _check(call)
    if "file" not in call.data.files:
        raise ApiError("No valid file was uploaded")
    raise ApiError("No valid file was uploaded: this server does not keep files yet.")


@answers("file", "delete", need=Need.IMPORT)
def delete_file(call: Call) -> HttpResponse:
    """Refuse: there is none."""
    _check(call)
    raise ApiError("There is no file to delete for this record")


def _check(call: Call) -> None:
    refuse_unknown_record(call)
    name = call.text("field")
    variables = (variables.get(name) for form in all_forms() if (variables := form.variables()))
    if not any(isinstance(variable, FileField) for variable in variables):
        raise ApiError(f"The field '{name[:100]}' does not exist or is not a 'file' field")
