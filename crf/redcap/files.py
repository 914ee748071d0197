"""Stored files: photographs of lesions, one for each variable of an entry that holds files."""

from django.http import HttpResponse

from crf import attachments as service
from crf.attachments import NoFile, Upload, file_variables
from crf.batch import MAX_INSTANCE
from crf.entry import get_entry
from crf.forms import Form, all_forms
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.selection import refuse_unknown_record
from crf.redcap.tables import plain
from crf.refusals import Locked, NotAllowed, NotFound, Refused

Place = tuple[type[Form], str, int, str]
"""Form, record id, instance, variable."""
NOTHING_TO = {
    "export": "There is no file to download for this record",
    "delete": "There is no file to delete for this record",
}


@answers("file", need=Need.EXPORT)
def export_file(call: Call) -> HttpResponse:
    """Return the bytes. The name stands in the type alone: clients take it from any header that names one."""
    place = _place(call)
    try:
        found = service.get_file(*place, by=call.by)
    except (NotFound, NoFile):
        raise ApiError(NOTHING_TO["export"]) from None
    except NotAllowed:
        raise ApiError("You do not have API Export privileges", status=403) from None
    return HttpResponse(found.content, content_type=f'{found.content_type}; name="{found.download_name}"')


@answers("file", "import", need=Need.IMPORT)
def import_file(call: Call) -> HttpResponse:
    """Store the part `file` over the file that is there."""
    form, record_id, instance, _variable = place = _place(call)
    file = call.data.files.get("file")
    if file is None:
        raise ApiError("No valid file was uploaded")
    upload = Upload(file.read(), file_name=file.name or "", content_type=file.content_type or "")
    try:
        version = get_entry(form, record_id, instance, by=call.by).version
        service.store_file(*place, upload, by=call.by, version=version, reason=call.reason)
    except NotFound:
        number = f" has no instance {instance} of {form.form_name()}. Import the record first."
        raise ApiError(f'The record "{record_id}"{number}') from None
    except Refused as refused:
        raise ApiError(f"No valid file was uploaded: {refused.problems[0].message}") from None
    except (NotAllowed, Locked) as refusal:
        raise _refused(refusal, record_id) from None
    return plain("")


@answers("file", "delete", need=Need.IMPORT)
def delete_file(call: Call) -> HttpResponse:
    """Take the file off its entry."""
    form, record_id, instance, _variable = place = _place(call)
    try:
        entry = get_entry(form, record_id, instance, by=call.by)
        service.remove_file(*place, by=call.by, version=entry.version, reason=call.reason)
    except (NotFound, NoFile):
        raise ApiError(NOTHING_TO["delete"]) from None
    except (NotAllowed, Locked) as refusal:
        raise _refused(refusal, record_id) from None
    return plain("")


def _place(call: Call) -> Place:
    """Return what the call is about. Raises ApiError in REDCap's order: record, field, instance."""
    record_id, name = refuse_unknown_record(call), call.text("field")
    form = next((form for form in all_forms() if name in file_variables(form)), None)
    if form is None:
        raise ApiError(f"The field '{name[:100]}' does not exist or is not a 'file' field")
    number = (call.text("repeat_instance") or "1") if form.repeating else "1"
    if not (number.isascii() and number.isdecimal() and 1 <= int(number[:9]) <= MAX_INSTANCE):
        raise ApiError(f"The parameter 'repeat_instance' is not a number from 1 to {MAX_INSTANCE}")
    return form, record_id, int(number), name


def _refused(refusal: NotAllowed | Locked, record_id: str) -> ApiError:
    if isinstance(refusal, Locked):
        return ApiError(f'The record "{record_id}" is locked.')
    return ApiError("You do not have API Import/Update privileges", status=403)
