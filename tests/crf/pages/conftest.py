"""What tests of the entry pages may use: the forms as a browser without JavaScript sends them."""

import re

import pytest
from django.urls import reverse

from crf.entry import get_entry
from crf.forms import forms_by_name
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved

COMPLETE = {
    "patient": {
        "birth_date": "1/5/1970",
        "sex": "M",
        "cle_subtype": ["", "dle"],
        "systemic_lupus": "0",
        "neuropathy_history": "0",
        "thrombosis_history": "0",
        "non_opposition_date": "12 nov. 2018",
    },
    "prior_treatment": {"prior_drug": "hydroxychloroquine", "prior_route": "oral"},
    "dosing": {
        "dose_start": "01/01/2020",
        "dose_mg": "5",
        "dose_schedule": "daily",
        "dose_reason": "initiation",
        "antithrombotic": "aspirin",
    },
    "lesion_assessment": {"lesion_date": "1.1.20"},
    "adverse_event": {
        "ae_term": "Fatigue",
        "ae_grade": "1",
        "ae_start": "02/2020",
        "ae_serious": "0",
        "ae_related": "possible",
        "ae_action": "none",
        "ae_outcome": "recovered",
        "ae_special_interest": "none",
    },
}
"""What is typed for the smallest complete entry of each form."""


def address(name, record_id="MTP-001", instance=1, **place):
    """Return the address of a page of a form: entry, entry-new, entries, live, live-new, draft, draft-new."""
    page, form = name.split(" ")
    of_one = form != "patient" and page in ("entry", "live", "draft")
    route = "page-patient-new" if (page, form) == ("entry-new", "patient") else f"page-{page}-{form}"
    at = {"code": "MTP"} if form == "patient" and page.endswith("new") else {"record_id": record_id}
    number = {"instance": instance} if of_one else {}
    return reverse(route, kwargs={**at, **number, **place})


def sent(form, changes=None, **beside):
    """Return the fields of the smallest complete entry of a form with `changes`."""
    return {**COMPLETE[form], **(changes or {}), **beside}


def errors(response):
    """Return what a page says beside its fields, by variable."""
    found = re.findall(r'<p class="error" id="f-([a-z_0-9]+)-error">([^<]+)</p>', response.content.decode())
    return dict(found)


@pytest.fixture
def entry_of(coordinator):
    """Return a function that reads a saved entry."""

    def read(form, record_id="MTP-001", instance=1):
        with acting(coordinator, door=Door.REST):
            return get_entry(forms_by_name()[form], record_id, instance, by=coordinator)

    return read


@pytest.fixture
def dose(coordinator, patient):
    """A dosing period of MTP-001 about which no check asks."""
    return saved("dosing", {"dose_end": "2020-06-30"}, by=coordinator, record_id="MTP-001")


@pytest.fixture
def asks(sites):
    """A monitor of all sites as the services see them."""
    return caller_now(make_person(Role.MONITOR, username="asks"))
