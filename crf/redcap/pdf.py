"""Forms as PDF: blank ones to print, or filled with what is saved."""

from collections.abc import Iterator, Sequence
from io import BytesIO

from django.http import HttpResponse

from crf.forms import Form, all_forms, forms_by_name, patient_form
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.disclosures import note_entries
from crf.redcap.errors import ApiError
from crf.redcap.paper import Sheet, write_pdf
from crf.redcap.selection import refuse_unknown_record
from crf.storage import Entry, select_entries
from registry.rights import Right

MOST_RECORDS = 200
"""A PDF is made in memory."""


@answers("pdf", need=Need.EXPORT)
def pdf(call: Call) -> HttpResponse:
    """Return blank forms, or those of a record or of all records."""
    forms = _forms(call)
    everybody = "allRecords" in call.data.fields or "allrecords" in call.data.fields
    if everybody:
        sheets, name = list(_of_everybody(call, forms)), "all_records"
    elif call.has("record"):
        record_id = refuse_unknown_record(call)
        sheets, name = list(_of_records([record_id], forms, call=call)), record_id
    else:
        sheets, name = [Sheet(form) for form in forms], "blank"
    note_entries(call, (sheet.entry for sheet in sheets if sheet.entry is not None))
    body = BytesIO()
    write_pdf(sheets, to=body, compact=call.flag("compactDisplay"))
    title = f"{forms[0].form_name() if len(forms) == 1 else 'forms'}_{name}.pdf"
    return HttpResponse(body.getvalue(), content_type=f'application/pdf; name="{title}"')


def _forms(call: Call) -> Sequence[type[Form]]:
    name = call.text("instrument")
    if not name:
        return all_forms()
    if name not in forms_by_name():
        raise ApiError("Invalid instrument")
    return (forms_by_name()[name],)


def _of_everybody(call: Call, forms: Sequence[type[Form]]) -> Iterator[Sheet]:
    sites = sorted(call.by.sites_with(Right.EXPORT_WITH_IDENTIFIERS))
    patients = patient_form().objects.filter(site_id__in=sites, deleted_at__isnull=True).order_by("site_id", "number")
    record_ids = list(patients.values_list("record_id", flat=True)[: MOST_RECORDS + 1])
    if len(record_ids) > MOST_RECORDS:
        raise ApiError(f"There are more than {MOST_RECORDS} records. Ask for them one by one.")
    return _of_records(record_ids, forms, call=call)


def _of_records(record_ids: Sequence[str], forms: Sequence[type[Form]], *, call: Call) -> Iterator[Sheet]:
    """Yield a sheet for each saved entry, record by record; a form without entries stands there blank."""
    where, parameters = (
        "record_id = ANY(%s) AND site_id = ANY(%s)",
        [
            list(record_ids),
            sorted(call.by.sites_with(Right.EXPORT_WITH_IDENTIFIERS)),
        ],
    )
    found: dict[tuple[str, type[Form]], list[Entry]] = {}
    for form in forms:
        for entry in select_entries(form, where=where, parameters=parameters):
            found.setdefault((entry.record_id, form), []).append(entry)
    instance = call.text("repeat_instance")
    for record_id in record_ids:
        for form in forms:
            entries = found.get((record_id, form), [])
            if form.repeating and instance:
                entries = [entry for entry in entries if str(entry.instance) == instance]
            yield from [Sheet(form, record_id, entry) for entry in entries] or [Sheet(form, record_id)]
