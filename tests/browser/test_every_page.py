"""What holds for every page: nothing that axe-core finds, nothing beside the window, at each size and in the dark.

The pages are those of the route table: what is added is looked at without being listed.
"""

import pytest
from django.urls import reverse
from django.utils import timezone

from crf.entry import delete_entry
from crf.forms import forms_by_name
from crf.models.data_query import DataQuery
from crf.models.import_file import Import
from exports.endpoints.store import recompute_all
from exports.models import Job, Kind, State
from registry.acting import Door, acting
from registry.rights import Role
from tests.browser.conftest import SIZES, violations
from tests.conftest import caller_now, make_person
from tests.crf.examples import REPEATING, saved
from tests.crf.photographs import stored
from tests.registry.test_route_table import OF_OURS, ROUTES


def only(*rules):
    """Return the options of axe-core for these rules alone."""
    return {"runOnly": {"type": "rule", "values": rules}}


IN_THE_DARK = only("color-contrast", "link-in-text-block")
ON_A_TABLET = only("color-contrast", "target-size", "scrollable-region-focusable")
"""The same page in other colours, and in other places: nothing else of it is different."""
FILES = ("page-export-file", "page-import-template", "page-audit-file")
"""Pages that answer with a file; those of pictures have a part of their name in common."""
PICTURES = ("-picture-", "-thumbnail-")
OF_LIBRARIES = ("mfa_index", "account_change_password")
PUBLIC = ("sign-in", "account_reset_password", "account_reset_password_done")
SHOWN = [
    name
    for name, view in OF_OURS.items()
    if "get" in view.needs and name not in FILES and not any(part in name for part in PICTURES)
]


@pytest.fixture
def manager(sites):
    """Return a data manager, with something to show at each address."""
    person = make_person(Role.DATA_MANAGER, username="manager")
    by = caller_now(person)
    for _number in (1, 2):
        saved("patient", {"sex": "F"}, by=by, site="NIM")
    for form in REPEATING:
        for number in (1, 2):
            dates = {"dose_start": f"202{number}-01-01", "dose_end": f"202{number}-02-01"} if form == "dosing" else {}
            status = {"status": "incomplete"} if form == "lesion_assessment" else {}
            saved(form, dates, by=by, record_id="NIM-001", **status)
    stored(record_id="NIM-001", by=by)
    recompute_all()
    gone = [("patient", "NIM-002", 1), *((form, "NIM-001", 2) for form in REPEATING)]
    for form, record_id, instance in gone:
        with acting(by, door=Door.PAGE, reason="mistyped"):
            delete_entry(forms_by_name()[form], record_id, instance, by=by, version=1, reason="mistyped")
    return person


def address(name, person):
    """Return the address of a page, with what is there in its place."""
    record_id = "NIM-002" if name == "page-restore-patient" else "NIM-001"
    form = next((form for form in ("patient", *REPEATING) if name.endswith(f"-{form}")), "patient")
    there = {
        "record_id": record_id,
        "instance": 2 if "restore" in name else 1,
        "code": "NIM",
        "key": "cr",
        "variable": next(iter(forms_by_name()[form].variables())),
        "file_variable": "lesion_photo",
        "username": "coordinator",
        "membership_id": lambda: make_person(Role.COORDINATOR, site="NIM", username="other").memberships.get().pk,
        "job_id": lambda: a_job(person),
        "import_id": lambda: Import.objects.create(site_id="NIM", file_name="f.csv", brought_by=person).pk,
        "query_id": a_query,
    }
    given = {argument: there[argument] for argument in ROUTES[name][1]}
    return reverse(name, kwargs={key: value() if callable(value) else value for key, value in given.items()})


def a_job(person):
    cut = {"forms": ["patient"], "sites": ["NIM"], "privacy": "full", "labels": True, "filter": None}
    job = {"kind": Kind.EXPORT, "requested_by": person, "sites": ["NIM"], "state": State.WAITING, "parameters": cut}
    return Job.objects.create(**job).pk


def a_query():
    at = {"site_id": "NIM", "patient_id": "NIM-001", "form": "patient", "instance": 1, "variable": "sex"}
    return DataQuery.objects.create(**at, text="Is it so?", origin="manual", opened_at=timezone.now()).pk


def test_axe_finds_nothing_and_nothing_is_cut_off_on_any_page(manager, at):
    make_person(Role.COORDINATOR, site="NIM", username="coordinator")
    tab = at(person=manager)
    addresses = {name: address(name, manager) for name in SHOWN} | {name: reverse(name) for name in OF_LIBRARIES}

    found = {name: look_at(tab, there) for name, there in addresses.items()}

    assert {name: wrong for name, wrong in found.items() if wrong != (200, {})} == {}


def look_at(tab, there):
    """Return the status of a page, and what is wrong with it in each look."""
    response = tab.goto(there)
    return response.status, wrong_with(tab)


def wrong_with(tab):
    """Return for each look what axe-core finds on the page that is open, and whether something is beside the window."""
    found = {"desk": (violations(tab), is_too_wide(tab))}
    look_like(tab, color_scheme="dark")
    found["dark"] = (violations(tab, IN_THE_DARK), is_too_wide(tab))
    look_like(tab, size="tablet")
    found["tablet"] = (violations(tab, ON_A_TABLET), is_too_wide(tab))
    look_like(tab)
    return {look: wrong for look, wrong in found.items() if wrong != ([], False)}


def look_like(tab, *, size="desk", color_scheme="light"):
    """Change the size and the colours of the page that is open, at once."""
    tab.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    tab.emulate_media(color_scheme=color_scheme)
    tab.evaluate("document.getAnimations().forEach((animation) => animation.finish())")


def is_too_wide(tab):
    """Return whether something of the page is beside the window."""
    return tab.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def test_axe_finds_nothing_on_the_pages_for_who_is_not_signed_in(sites, at):
    tab = at()
    tab.context.clear_cookies()

    assert {name: look_at(tab, reverse(name)) for name in PUBLIC} == dict.fromkeys(PUBLIC, (200, {}))


ENTERING = [
    "/sites/MTP/patients/new/",
    "/patients/MTP-001/patient/",
    "/patients/MTP-001/dosing/",
    "/patients/MTP-001/dosing/1/",
    "/patients/MTP-001/lesion_assessment/new/",
    "/patients/MTP-001/adverse_event/new/",
    "/patients/MTP-001/prior_treatment/",
]
"""Pages on which data are entered; of each kind of field and table one at least."""


def test_axe_finds_nothing_where_data_are_entered(at):
    typist = make_person(Role.COORDINATOR, site="MTP", username="typist")
    saved("patient", {"sex": "F", "childbearing_potential": True}, by=caller_now(typist))
    saved("dosing", {"dose_mg": 15, "antithrombotic": "none"}, by=caller_now(typist), record_id="MTP-001")
    saved("adverse_event", by=caller_now(typist), record_id="MTP-001")
    tab = at(person=typist)

    for address in ENTERING:
        tab.goto(address)

        assert (address, wrong_with(tab)) == (address, {})
    tab.goto("/patients/MTP-001/dosing/1/")
    tab.locator("#f-dose_mg").fill("99")
    tab.get_by_role("button", name="Save", exact=True).click()

    assert wrong_with(tab) == {}
