"""The smallest complete entry of each form, and ways to hand one to the service and to the doors."""

from crf.entry import create_entry
from crf.forms import forms_by_name
from crf.reading import read_json
from registry.acting import Door, acting

COMPLETE = {
    "patient": {
        "birth_date": "1970-05-01",
        "sex": "M",
        "cle_subtype": ["dle"],
        "systemic_lupus": False,
        "neuropathy_history": False,
        "thrombosis_history": False,
        "non_opposition_date": "2018-11-12",
    },
    "prior_treatment": {"prior_drug": "hydroxychloroquine", "prior_route": "oral"},
    "dosing": {
        "dose_start": "2020-01-01",
        "dose_mg": 5,
        "dose_schedule": "daily",
        "dose_reason": "initiation",
        "antithrombotic": "aspirin",
    },
    "lesion_assessment": {"lesion_date": "2020-01-01"},
    "adverse_event": {
        "ae_term": "Fatigue",
        "ae_grade": "1",
        "ae_start": "2020-02",
        "ae_serious": False,
        "ae_related": "possible",
        "ae_action": "none",
        "ae_outcome": "recovered",
        "ae_special_interest": "none",
    },
}
"""JSON values by form: every variable that a complete form needs, and no other."""
REPEATING = [name for name in COMPLETE if name != "patient"]


def submission(name, changes=None, *, record_id=None, instance=None, site=None, status=None, missing=None):
    """Return the smallest complete entry of the form `name` with `changes`, as a door would hand it in."""
    beside = {key: value for key, value in (("status", status), ("missing", missing)) if value is not None}
    found = read_json(forms_by_name()[name], {**COMPLETE[name], **(changes or {}), **beside}, creating=True)
    found.instance = instance
    if name == "patient":
        found.site = site
        found.values["record_id"] = record_id
    else:
        found.record_id = record_id
    return found


def saved(name, changes=None, *, by, **place):
    """Save and return the smallest complete entry of the form `name` with `changes`."""
    with acting(by, door=Door.REST):
        return create_entry(submission(name, changes, **place), by=by)


def patch(name, changes):
    """Return the submission of a change."""
    return read_json(forms_by_name()[name], changes, creating=False)


def body(changes=None, *, of="patient", **beside):
    """Return the JSON body of the smallest complete entry of a form."""
    return {**COMPLETE[of], **(changes or {}), **beside}


def cell(value):
    """Return the CSV cell that says what the JSON value says."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return "|".join(value) if isinstance(value, list) else str(value)
