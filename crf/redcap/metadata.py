"""What the project consists of: dictionary, export columns, instruments; read-only, as in a project in production."""

from collections.abc import Iterator

from django.http import HttpResponse

from crf.dictionary import COLUMNS, dictionary_rows
from crf.fields import Variable
from crf.forms import all_forms, repeating_forms
from crf.redcap.calls import Call
from crf.redcap.columns import suffix_of
from crf.redcap.contents import Need, answers
from crf.redcap.errors import ApiError
from crf.redcap.tables import Row, cdata, table

IN_PRODUCTION = "This method cannot be used while the project is in Production status."
CLASSIC = {
    "arm": "You cannot export arms for classic projects",
    "event": "You cannot export events for classic projects",
    "formEventMapping": "You cannot export form/event mappings for classic projects",
}


@answers("metadata")
def metadata(call: Call) -> HttpResponse:
    """Return the data dictionary, or the rows of some fields and forms."""
    fields, forms = set(call.array("fields")), set(call.array("forms"))
    rows = [
        row
        for row in dictionary_rows()
        if not (fields or forms) or row["field_name"] in fields or row["form_name"] in forms
    ]
    return table(rows, columns=list(COLUMNS), form=call.format, root="records")


@answers("exportFieldNames")
def export_field_names(call: Call) -> HttpResponse:
    """Return the columns of a flat export, or those of one field."""
    rows = list(_export_columns())
    if wanted := call.text("field"):
        rows = [row for row in rows if row["original_field_name"] == wanted]
        if not rows:
            raise ApiError("Invalid field")
    columns = ["original_field_name", "choice_value", "export_field_name"]
    if call.format == "xml":  # every value stands in CDATA here, blank ones too
        rows = [{name: cdata(str(value)) or "<![CDATA[]]>" for name, value in row.items()} for row in rows]
        return table(rows, columns=columns, form="xml", root="fields", item="field", text=str)
    return table(rows, columns=columns, form=call.format, root="fields", item="field")


@answers("instrument")
def instrument(call: Call) -> HttpResponse:
    """Return the forms."""
    rows = [{"instrument_name": form.form_name(), "instrument_label": form.title()} for form in all_forms()]
    return table(rows, columns=["instrument_name", "instrument_label"], form=call.format, root="instruments")


@answers("repeatingFormsEvents")
def repeating_forms_events(call: Call) -> HttpResponse:
    """Return the forms that repeat."""
    rows = [{"form_name": form.form_name(), "custom_form_label": ""} for form in repeating_forms()]
    return table(rows, columns=["form_name", "custom_form_label"], form=call.format, root="repeatingFormsEvents")


@answers("arm")
@answers("event")
@answers("formEventMapping")
def of_longitudinal_projects(call: Call) -> HttpResponse:
    """Refuse in the words by which clients know a classic project."""
    raise ApiError(CLASSIC[call.content])


@answers("metadata", "import", need=Need.IMPORT)
@answers("arm", "import", need=Need.IMPORT)
@answers("arm", "delete", need=Need.IMPORT)
@answers("event", "import", need=Need.IMPORT)
@answers("event", "delete", need=Need.IMPORT)
@answers("formEventMapping", "import", need=Need.IMPORT)
def change_of_the_design(_call: Call) -> HttpResponse:
    """Refuse: the forms are declared in the program, and change with its releases."""
    raise ApiError(IN_PRODUCTION)


@answers("repeatingFormsEvents", "import", need=Need.IMPORT)
def change_of_repeating_forms(_call: Call) -> HttpResponse:
    """Refuse: which forms repeat is declared in the program."""
    raise ApiError("Insufficient user privileges: which instruments repeat cannot be changed here.")


def _export_columns() -> Iterator[Row]:
    for form in all_forms():
        for name, variable in form.variables().items():
            yield from _columns_of(name, variable)
        status = f"{form.form_name()}_complete"
        yield {"original_field_name": status, "choice_value": "", "export_field_name": status}


def _columns_of(name: str, variable: Variable) -> Iterator[Row]:
    if variable.field_type == "checkbox":
        for code in variable.codes:
            exported = f"{name}___{suffix_of(code)}"
            yield {"original_field_name": name, "choice_value": code, "export_field_name": exported}
    elif variable.field_type not in ("file", "descriptive"):
        yield {"original_field_name": name, "choice_value": "", "export_field_name": name}
