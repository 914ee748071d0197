"""Photographs as a coordinator handles them: added with a preview, removed, compared by keyboard."""

import pytest

from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved
from tests.crf.photographs import picture, stored

ALL = "/patients/MTP-001/photographs/"
FORM = "/patients/MTP-001/lesion_assessment/1/"
PAGE = "/patients/MTP-001/lesion_assessment/1/photograph/lesion_photo/"


@pytest.fixture
def typist(sites):
    """A coordinator of MTP, with a patient who has three assessments."""
    person = make_person(Role.COORDINATOR, site="MTP", username="typist")
    by = caller_now(person)
    saved("patient", by=by, record_id="MTP-001", site="MTP")
    for number, day in enumerate(("2020-01-01", "2020-06-01", "2021-01-01"), start=1):
        values = {"lesion_date": day, "lesion_clearance": 30 * number, "lesion_response": "PR"}
        saved("lesion_assessment", values, by=by, record_id="MTP-001", status="incomplete")
    return person


@pytest.fixture
def photographed(typist):
    """The same with a photograph at each assessment."""
    by = caller_now(typist)
    for instance, colour in enumerate(("#b33", "#c66", "#d99"), start=1):
        stored(by=by, instance=instance, content=picture(size=(640, 480), colour=colour))
    return typist


def is_loaded(image):
    return image.evaluate("image => image.complete && image.naturalWidth > 0")


def file(content, name="Marta Zwyx.jpg", kind="image/jpeg"):
    return {"name": name, "mimeType": kind, "buffer": content}


def test_a_photograph_is_previewed_stored_and_removed(at, typist):
    tab = at(person=typist)
    tab.goto(PAGE)
    tab.get_by_label("Photograph", exact=True).set_input_files(file(picture(size=(300, 200))))
    tab.locator("canvas.photograph-preview").wait_for()

    tab.get_by_role("button", name="Add").click()
    tab.wait_for_url(f"**{FORM}")
    tab.goto(PAGE)
    stage = tab.locator(".photograph-stage img")
    stage.wait_for()
    assert is_loaded(stage)

    tab.get_by_label("Reason for the change").fill("of another patient")
    tab.get_by_role("button", name="Remove the photograph").click()
    tab.wait_for_url(f"**{FORM}")
    assert tab.get_by_role("link", name="Add a photograph").is_visible()


def test_what_is_no_photograph_is_refused_on_the_page_with_the_focus_at_the_field(at, typist):
    tab = at(person=typist)
    tab.goto(PAGE)
    tab.get_by_label("Photograph", exact=True).set_input_files(file(b"<svg/>"))

    tab.get_by_role("button", name="Add").click()

    tab.get_by_text("This file is no JPEG or PNG photograph").wait_for()
    assert tab.evaluate("document.activeElement.id") == "photograph-file"


def test_without_javascript_a_photograph_is_stored(at, typist):
    tab = at(person=typist, java_script_enabled=False)
    tab.goto(PAGE)
    tab.get_by_label("Photograph", exact=True).set_input_files(file(picture()))

    tab.get_by_role("button", name="Add").click()

    tab.wait_for_url(f"**{FORM}")
    assert tab.locator(".photograph img").count() == 1


def test_two_days_are_compared_by_keyboard_alone(at, photographed):
    tab = at(person=photographed)
    tab.goto(ALL)
    large = tab.locator(".compare img")
    large.nth(1).wait_for()
    assert [is_loaded(large.nth(side)) for side in (0, 1)] == [True, True]
    right = tab.get_by_role("region", name="Right")

    right.get_by_role("link", name="Earlier").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url("**right=*")

    assert right.locator(".photograph-day").inner_text() == "2020-06-01"
    right.get_by_role("link", name="Later").focus()
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_function("document.querySelector('[data-side=right] .photograph-day').textContent === '2020-01-01'")


def test_on_the_form_a_dialog_takes_it_and_what_was_typed_is_saved_without_a_conflict(at, typist):
    tab = at(person=typist)
    tab.goto(FORM)
    tab.locator("[name=lesion_notes]").fill("typed and not saved")

    tab.get_by_role("link", name="Add a photograph").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Photograph", exact=True).set_input_files(file(b"<svg/>"))
    dialog.get_by_role("button", name="Add").click()
    dialog.get_by_text("This file is no JPEG or PNG photograph").wait_for()
    dialog.get_by_label("Photograph", exact=True).set_input_files(file(picture()))
    dialog.get_by_role("button", name="Add").click()
    tab.locator(".photograph img").wait_for()
    assert dialog.count() == 0
    assert tab.locator("[name=lesion_notes]").input_value() == "typed and not saved"
    with tab.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith(FORM)):
        tab.get_by_role("button", name="Save", exact=True).click()

    tab.goto(FORM)
    assert tab.locator("[name=lesion_notes]").input_value() == "typed and not saved"
    assert tab.locator("input[name=version]").input_value() == "3"
    assert is_loaded(tab.locator(".photograph img"))


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("desk", True), ("tablet", False)])
@pytest.mark.parametrize("address", [ALL, PAGE, FORM, "/patients/MTP-001/"])
def test_axe_finds_nothing_and_nothing_is_cut_off(address, size, dark, at, photographed):
    tab = at(person=photographed, size=size, dark=dark)

    tab.goto(address)

    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_monitor_is_shown_the_days_and_no_picture(at, photographed):
    tab = at(Role.MONITOR)

    tab.goto(ALL)

    assert tab.get_by_text("Your role does not allow seeing them").is_visible()
    assert tab.locator("main img").count() == 0
    assert violations(tab) == []
