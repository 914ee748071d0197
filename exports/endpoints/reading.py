"""Charts out of the database: one JSON document a patient, built by PostgreSQL and read straight into a `Chart`.

Row by row, reading would cost more than the rules do. One statement also means one snapshot: the rows of a chart, and
all charts of a statement, are of the same moment.
"""

from functools import cache

import msgspec
from msgspec import Struct

from crf.forms import forms_by_name, patient_form
from exports.endpoints.chart import AdverseEvent, Assessment, Chart, Dose, PatientFacts, PriorTreatment

ROWS_OF: dict[str, type[Struct]] = {
    "prior_treatment": PriorTreatment,
    "dosing": Dose,
    "lesion_assessment": Assessment,
    "adverse_event": AdverseEvent,
}
"""What the rows of each form are read into, in the order in which a chart has them."""

EVERYBODY = "TRUE"
THESE = "record_id = ANY(%(record_ids)s)"

chart_of_json = msgspec.json.Decoder(Chart).decode


@cache
def charts_query(*, which: str) -> str:
    """Return the SQL of the charts of patients that are not deleted: `record_id`, and `chart` for `chart_of_json`.

    `which` is `EVERYBODY`, or `THESE` with the parameter `record_ids`. The patients come in no order.
    """
    documents = ", ".join([_array(PatientFacts), *(_rows(form) for form in ROWS_OF)])
    return (
        f"SELECT record_id, json_build_array({documents})::text AS chart"  # noqa: S608 -- names of tables and fields
        f" FROM (SELECT *, site_id AS site FROM {patient_form()._meta.db_table}) patient"
        f" WHERE deleted_at IS NULL AND {which}"
    )


def _rows(form: str) -> str:
    """Return the SQL of the rows of one form of a patient, as an array ordered by instance.

    Looked up for each patient by the key of the form: as quick as joining whole tables, and never surprised by tables
    that grew since the planner last counted them.
    """
    of_patient = f"SELECT * FROM {forms_by_name()[form]._meta.db_table} WHERE record_id = patient.record_id"  # noqa: S608 -- names of tables
    rows = f"json_agg({_array(ROWS_OF[form])} ORDER BY instance)"
    return f"COALESCE((SELECT {rows} FROM ({of_patient} AND deleted_at IS NULL) of_patient), '[]')"  # noqa: S608 -- names of fields


def _array(kind: type[Struct]) -> str:
    return f"json_build_array({', '.join(kind.__struct_fields__)})"
