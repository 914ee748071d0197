"""The project itself: its settings, and the version of REDCap that we answer as."""

from typing import Any

from django.db.models import Min
from django.http import HttpResponse

from crf.forms import MissingReason, patient_form
from crf.redcap.calls import Call
from crf.redcap.contents import Need, answers
from crf.redcap.errors import XML_PREFIX, ApiError
from crf.redcap.tables import answer, cdata, csv_text, elements, plain
from registry.encoding import encode_json

VERSION = "14.5.0"
"""Later versions promise columns and codes of rights that we do not have (redcapAPI goes by this number)."""
TITLE = "Cutaneous lupus under low-dose lenalidomide"
PROJECT_ID = 1
RESEARCH = 2


@answers("version", need=Need.NOTHING)
def version(_call: Call) -> HttpResponse:
    """Return the bare version, whatever format was asked for."""
    return plain(VERSION)


@answers("project")
def project(call: Call) -> HttpResponse:
    """Return the settings of the project: one object, not a list."""
    settings = project_settings()
    columns = list(settings)
    if call.format == "json":
        return answer(encode_json(settings), form="json")
    if call.format == "csv":
        return answer(csv_text([settings], columns=columns, delimiter=call.delimiter), form="csv")
    return answer(f"{XML_PREFIX}\n<items>{elements(settings, columns=columns, text=cdata)}</items>", form="xml")


@answers("project", "import", need=Need.NOTHING)
def create_project(_call: Call) -> HttpResponse:
    """Refuse: there is one project."""
    raise ApiError("You do not have permission to create projects", status=403)


@answers("project_settings", "import", need=Need.NOTHING)
def change_project(_call: Call) -> HttpResponse:
    """Refuse: the settings are the program's."""
    raise ApiError("Insufficient user privileges: the project is configured on the server.")


def project_settings() -> dict[str, Any]:
    """Return the settings in REDCap's order; numbers are flags and ids."""
    began = patient_form().objects.aggregate(began=Min("created_at"))["began"]
    began_at = f"{began:%Y-%m-%d %H:%M:%S}" if began else ""
    return {
        "project_id": PROJECT_ID,
        "project_title": TITLE,
        "creation_time": began_at,
        "production_time": began_at,
        "in_production": 1,
        "project_language": "English",
        "purpose": RESEARCH,
        "purpose_other": "",
        "project_notes": "",
        "custom_record_label": "",
        "secondary_unique_field": "",
        "is_longitudinal": 0,
        "has_repeating_instruments_or_events": 1,
        "surveys_enabled": 0,
        "scheduling_enabled": 0,
        "record_autonumbering_enabled": 1,
        "randomization_enabled": 0,
        "ddp_enabled": 0,
        "project_irb_number": "",
        "project_grant_number": "",
        "project_pi_firstname": "",
        "project_pi_lastname": "",
        "display_today_now_button": 1,
        "missing_data_codes": " | ".join(f"{code}, {label}" for code, label in MissingReason.choices),
        "external_modules": "",
        "bypass_branching_erase_field_prompt": 0,
    }
