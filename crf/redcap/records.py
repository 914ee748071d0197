"""Records: export in every layout, delete, rename, and the next identifier. Import is in `importing.py`."""

from collections.abc import Iterator

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from crf.batch import MAX_INSTANCE
from crf.entry import delete_entry, get_entry
from crf.forms import Form, forms_by_name, patient_form
from crf.numbering import RecordIdNotFree, next_record_id, rename_patient
from crf.redcap.calls import Call
from crf.redcap.cells import Style
from crf.redcap.columns import Asked, asked_for
from crf.redcap.contents import Need, answers
from crf.redcap.disclosures import note_records
from crf.redcap.eav import Eav, EavXml
from crf.redcap.errors import ApiError, ErrorFormat, named, not_valid
from crf.redcap.flat import Flat
from crf.redcap.groups import group_of, site_named, unique_name
from crf.redcap.marks import Csv, Json, Marks, Xml, written
from crf.redcap.project_xml import clinical_document
from crf.redcap.selection import existing_records, known_spelling, selected_records
from crf.redcap.stored import read_records
from crf.redcap.streams import streamed
from crf.redcap.tables import plain
from crf.refusals import Locked, NotAllowed, NotFound
from registry.models import Site
from registry.rights import Right


@answers("record", need=Need.EXPORT, own_transaction=True)
def export_records(call: Call) -> HttpResponseBase:
    """Stream the records that the call selects."""
    if call.format == "odm":
        return clinical_document(call)
    return stream_rows(call, asked_for(call), filter_logic=call.text("filterLogic"))


def stream_rows(call: Call, asked: Asked, *, filter_logic: str) -> HttpResponseBase:
    """Return what is asked for in the layout, style and format of the call."""
    style, selection = Style.of(call), selected_records(call, filter_logic=filter_logic)
    eav = call.text("type") == "eav"
    if asked.is_record_id_alone and selection.filtering is not None and not eav:
        asked = asked.with_instances_of(selection.filtering.forms)
    groups = _groups(call, labels=style.labels and not eav)
    layout: Flat | Eav = Eav(asked, style, groups) if eav else Flat(asked, style, groups)
    form: ErrorFormat = call.data.answer_format
    note_records(call, selection, parts=asked.parts)
    marks = _marks(call, form=form, layout=layout)
    columns = layout.columns_in(marks)

    def parts() -> Iterator[str]:
        records = read_records(selection, parts=asked.parts, whole=eav)
        return written((layout.rows(some, marks=marks) for some in records), marks=marks, columns=columns)

    return streamed(parts, by=call.by, reason=call.reason, form=form)


@answers("record", "delete", need=Need.DELETE)
def delete_records(call: Call) -> HttpResponse:
    """Delete records, or one instrument of them: all that are named, or nothing."""
    Need.IMPORT.require(call.by)
    wanted = [name.strip() for name in call.data.elements.get("records", []) if name.strip()]
    if not wanted:
        raise ApiError("The parameter 'records' is missing or is not an array")
    found = existing_records(known_spelling(wanted), sites=call.by.sites_with(Right.READ))
    absent = [name for name in wanted if name.upper() not in found]
    if absent:
        raise ApiError(
            "One or more of the records provided cannot be deleted because they do not exist in the project. "
            f"The following records do not exist: {named(absent)}"
        )
    form, instance = _what_to_delete(call)
    return plain(sum(_deleted(form, record_id, instance, call=call) for record_id in sorted(set(found))))


@answers("record", "rename", need=Need.RENAME)
def rename_record(call: Call) -> HttpResponse:
    """Give a record another identifier of the same site."""
    names = {}
    for parameter in ("record", "new_record_name"):
        if not call.has(parameter):
            raise ApiError(f"The parameter '{parameter}' is missing")
        names[parameter] = call.text(parameter).upper()
    old, new = names["record"], names["new_record_name"]
    try:
        rename_patient(old, to=new, by=call.by)
    except NotFound:
        raise ApiError(f'The record "{call.text("record")[:100]}" does not exist') from None
    except RecordIdNotFree as refusal:
        raise ApiError(str(refusal)) from None
    except NotAllowed:
        raise ApiError("You do not have Rename Record privileges", status=403) from None
    except Locked:
        raise ApiError(f'The record "{old}" is locked.') from None
    return plain(1)


@answers("generateNextRecordName", need=Need.IMPORT)
def generate_next_record_name(call: Call) -> HttpResponse:
    """Return the next free identifier at the site of the token, or at the one named by `dag`."""
    mine = call.by.sites_with(Right.ENTER)
    site = site_named(call.text("dag"), by=call.by) if call.has("dag") else next(iter(mine)) if len(mine) == 1 else None
    if site not in mine:
        raise ApiError("Several sites are possible: name one by its unique group name in the parameter dag.")
    return plain(next_record_id(site))


def _groups(call: Call, *, labels: bool) -> dict[str, str] | None:
    """Return the name of each site if the call asks for it and its caller is not confined to one."""
    if not call.flag("exportDataAccessGroups") or group_of(call.by) is not None:
        return None
    return {site.code: site.name if labels else unique_name(site.code) for site in Site.objects.all()}


def _marks(call: Call, *, form: ErrorFormat, layout: Flat | Eav) -> Marks:
    if form == "json":
        return Json()
    if form == "csv":
        headings = layout.labels if isinstance(layout, Flat) and call.text("rawOrLabelHeaders") == "label" else None
        return Csv(call.delimiter, headings)
    return EavXml() if isinstance(layout, Eav) else Xml()


def _what_to_delete(call: Call) -> tuple[type[Form], int]:
    """Return form and instance that the call names; without an instrument it is the patient with everything."""
    name, instance = call.text("instrument"), call.text("repeat_instance")
    if not name:
        if instance:
            raise ApiError("The parameter 'repeat_instance' needs the parameter 'instrument'")
        return patient_form(), 1
    form = forms_by_name().get(name)
    if form is None:
        raise not_valid("instrument", [name])
    if form is patient_form():
        raise ApiError("The instrument that holds the record id can only be deleted with the record.")
    if instance and not (instance.isascii() and instance.isdecimal() and 1 <= int(instance[:9]) <= MAX_INSTANCE):
        raise ApiError(f"The parameter 'repeat_instance' is not a number from 1 to {MAX_INSTANCE}")
    return form, int(instance or 1)


def _deleted(form: type[Form], record_id: str, instance: int, *, call: Call) -> bool:
    """Delete one entry; return whether there was one."""
    try:
        entry = get_entry(form, record_id, instance, by=call.by)
        delete_entry(form, record_id, instance, by=call.by, version=entry.version, reason=call.reason)
    except NotFound:
        return False
    except NotAllowed:
        raise ApiError("You do not have Delete Record privileges", status=403) from None
    except Locked:
        raise ApiError(f'The record "{record_id}" is locked.') from None
    return True
