"""Entering data in a real browser: by keyboard alone, with drafts, two people at once, and without JavaScript."""

import threading

import pytest
from django.conf import settings
from playwright.sync_api import Error, expect

from crf.entry import change_entry
from crf.expressions import read_expression
from crf.forms import Status, all_forms, forms_by_name
from crf.logic import parse
from crf.models.draft import Draft
from crf.pages.branching import as_json
from registry.acting import Door, acting
from registry.rights import Role
from tests.browser.conftest import CHROMIUM, OF_DEBIAN
from tests.conftest import Browser, caller_now, make_person
from tests.crf.examples import patch, saved

NEW_PATIENT = "/sites/MTP/patients/new/"
DOSING = "/patients/MTP-001/dosing/"
SKIP = ""


@pytest.fixture
def typist(sites):
    """The coordinator at the keyboard."""
    return make_person(Role.COORDINATOR, site="MTP", username="typist")


def fill_in(tab, *answers):
    """Type one answer a field, from the one that has the focus on; Tab leads to the next."""
    for answer in answers:
        if answer:
            tab.keyboard.type(answer)
        tab.keyboard.press("Tab")


def is_at(tab, heading):
    """Wait until the page with this heading is there, and its first field has the focus."""
    expect(tab.get_by_role("heading", level=1)).to_have_text(heading)
    expect(tab.locator(".row:focus-within")).to_be_visible()


def save_and_go_on(tab, heading):
    tab.keyboard.press("Alt+n")
    is_at(tab, heading)


def test_a_coordinator_enters_a_whole_patient_by_keyboard_alone(at, typist):
    tab = at(person=typist)
    tab.goto(NEW_PATIENT)
    is_at(tab, "New patient")

    fill_in(tab, SKIP, "1/5/1970", "f", "W", "3", "04/2011", "n", "f", "n", "n", "2")  # identity to antibodies
    fill_in(tab, "y", "y", "12 dec. 2019", "12/11/2019", SKIP, "a", "In good health")
    save_and_go_on(tab, "Prior treatment 1, new")
    fill_in(tab, "hydroxy", "1", "400 mg", "2012", "mars 2015", "p", "i")
    save_and_go_on(tab, "Prior treatment 2, new")
    expect(tab.get_by_role("row").nth(1)).to_contain_text("Hydroxychloroquine")
    save_and_go_on(tab, "Dosing 1, new")
    fill_in(tab, "01012020", SKIP, "5", "e", "I", "A")
    save_and_go_on(tab, "Dosing 2, new")
    save_and_go_on(tab, "Lesion assessment 1, new")
    fill_in(tab, "2020-01-01", "0", "n", "12", "3", "4")
    save_and_go_on(tab, "Lesion assessment 2, new")
    save_and_go_on(tab, "Adverse event 1, new")
    fill_in(tab, "Tingling feet", "nerv", "2", "02/2020", SKIP, "n", "4", "Dose", "Recovering", "periph")
    tab.keyboard.press("Control+s")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Adverse event 1")

    entries = {form.form_name(): list(form.objects.all()) for form in all_forms()}
    assert {name: len(found) for name, found in entries.items()} == dict.fromkeys(entries, 1)
    assert {entry.status for found in entries.values() for entry in found} == {Status.COMPLETE}
    (patient,), (treatment,), (event,) = entries["patient"], entries["prior_treatment"], entries["adverse_event"]
    assert (patient.sex, patient.race, patient.cle_subtype, patient.smoking_status) == ("F", "WHITE", ["dle"], "former")
    assert (patient.childbearing_potential, str(patient.pregnancy_test_date)) == (True, "2019-12-12")
    assert (treatment.prior_drug, str(treatment.prior_end)) == ("hydroxychloroquine", "2015-03")
    assert (event.ae_category, event.ae_grade, event.ae_related) == ("nervous", "2", "probable")
    assert (event.ae_action, event.ae_special_interest) == ("dose_reduced", "peripheral_neuropathy")
    assert Draft.objects.count() == 0


def test_the_bar_stays_one_line_on_a_tablet_whatever_the_name_is(at):
    person = make_person(Role.DATA_MANAGER, username="somebody")
    person.full_name = "Professor Somebody with quite a long Name-Indeed"
    person.save()
    tab = at(person=person, size="tablet")
    tab.goto("/")

    tops = tab.locator(".bar a:visible, .bar summary, .bar-own button").evaluate_all(
        "(links) => links.map((link) => Math.round(link.getBoundingClientRect().top / 20))"
    )

    assert len(set(tops)) == 1
    assert tab.locator(".bar summary").get_attribute("title") == person.full_name


def test_enter_goes_on_from_a_list_and_changes_nothing_in_it(at, typist):
    saved("patient", by=caller_now(typist))
    tab = at(person=typist)
    tab.goto(f"{DOSING}new/")
    reason, drug = tab.locator("#f-dose_reason"), tab.locator("#f-antithrombotic")

    reason.focus()
    tab.keyboard.type("I")
    tab.keyboard.press("Enter")
    tab.keyboard.type("Ac")

    expect(drug).to_be_focused()
    expect(drug).to_have_value("aspirin")
    expect(reason).to_have_value("initiation")


def test_fields_come_and_go_with_the_answers_and_one_that_holds_a_value_stays(at, typist):
    tab = at(person=typist)
    tab.goto(NEW_PATIENT)
    is_at(tab, "New patient")
    childbearing = tab.locator("#row-childbearing_potential")
    expect(childbearing).to_be_hidden()

    tab.get_by_role("radio", name="Female").check()
    expect(childbearing).to_be_visible()
    childbearing.get_by_label("Yes").check()
    tab.get_by_role("radio", name="Male", exact=True).check()

    expect(childbearing).to_be_visible()
    expect(childbearing.locator(".error")).to_contain_text("is only asked when")
    childbearing.get_by_label("Yes").focus()
    tab.keyboard.press("Delete")
    tab.keyboard.press("Tab")
    expect(childbearing).to_be_hidden()


def test_leaving_a_field_shows_what_was_understood_what_is_wrong_and_what_follows(at, typist):
    by = caller_now(typist)
    saved("patient", by=by)
    saved("dosing", by=by, record_id="MTP-001")
    tab = at(person=typist)
    tab.goto("/patients/MTP-001/lesion_assessment/new/")
    is_at(tab, "Lesion assessment 1, new")

    fill_in(tab, "1/7/2020", "960")
    expect(tab.locator("#row-lesion_date .understood")).to_have_text("understood as 1 July 2020 (day first)")
    expect(tab.locator("#row-lesion_date .derived")).to_have_text("Since the first dose: 6.0 months")
    expect(tab.locator("#row-lesion_clearance .error")).to_contain_text("from 0 to 100")
    tab.keyboard.press("Shift+Tab")
    fill_in(tab, "96", "n", SKIP, SKIP, "p")

    expect(tab.locator("#row-lesion_clearance .error")).to_have_text("")
    expect(tab.locator("#row-lesion_new .derived")).to_have_text("Computed response: Complete (CR)")
    warning = tab.locator("#row-lesion_response .warnings li")
    expect(warning).to_contain_text("give another")
    warning.get_by_role("textbox").fill("Seen by two")
    tab.keyboard.press("Control+s")
    expect(tab.get_by_text("Explained: Seen by two")).to_be_visible()


def test_a_draft_survives_the_browser_being_killed(chromium, live_server, typist):
    saved("patient", by=caller_now(typist))
    doomed = chromium.browser_type.launch(executable_path=CHROMIUM, args=OF_DEBIAN)
    tab = signed_in_tab(doomed, live_server, typist)
    tab.goto(f"{DOSING}new/")
    is_at(tab, "Dosing 1, new")
    fill_in(tab, "12/03/2020", "not yet", "7,5")
    expect(tab.locator("#draft-state")).to_contain_text("Draft kept")
    with pytest.raises(Error):
        doomed.new_browser_cdp_session().send("Browser.crash")
    tab = signed_in_tab(chromium, live_server, typist)

    tab.goto(f"{DOSING}new/")

    expect(tab.get_by_text("Restored")).to_be_visible()
    typed = [tab.locator(f"#f-{name}").input_value() for name in ("dose_start", "dose_end", "dose_mg")]
    assert typed == ["12/03/2020", "not yet", "7,5"]
    expect(tab.locator("#row-dose_end .error")).to_contain_text("not a date")
    tab.get_by_role("button", name="Discard").click()
    expect(tab.locator("#f-dose_start")).to_have_value("")
    tab.context.close()


def test_what_was_typed_just_before_the_tab_was_closed_is_there(at, typist):
    saved("patient", by=caller_now(typist))
    tab = at(person=typist)
    tab.goto(f"{DOSING}new/")
    is_at(tab, "Dosing 1, new")
    tab.keyboard.type("1/1/2020")
    tab.goto("/account/")
    wait_until(Draft.objects.exists)

    tab.goto(f"{DOSING}new/")

    expect(tab.locator("#f-dose_start")).to_have_value("1/1/2020")


def test_the_second_of_two_people_sees_both_values_and_chooses(at, typist):
    by = caller_now(typist)
    saved("patient", by=by)
    saved("dosing", by=by, record_id="MTP-001")
    tab = at(username="second")
    tab.goto(f"{DOSING}1/")
    tab.locator("#f-dose_mg").fill("7.5")
    tab.get_by_label("Reason for the change").fill("Read again")
    with acting(by, door=Door.REST):
        change = patch("dosing", {"dose_mg": 10, "dose_schedule": "d21_28"})
        change_entry(forms_by_name()["dosing"], "MTP-001", 1, change, by=by, version=1, reason="r")
    tab.get_by_role("button", name="Save", exact=True).click()

    dose = tab.get_by_role("row").filter(has_text="Lenalidomide dose")
    expect(dose).to_contain_text("typist")
    expect(tab.get_by_role("row").filter(has_text="Schedule").get_by_label("21 days of 28")).to_be_checked()
    dose.get_by_label("7.5 mg").check()
    tab.get_by_role("button", name="Save what is chosen").click()

    expect(tab.locator("#f-dose_mg")).to_have_value("7.5")
    entry = forms_by_name()["dosing"].objects.get()
    assert (entry.version, entry.dose_mg, entry.dose_schedule) == (3, 7.5, "d21_28")


def test_a_table_is_added_to_in_place(at, typist):
    saved("patient", by=caller_now(typist))
    tab = at(person=typist)
    tab.goto(DOSING)

    tab.get_by_role("link", name="Add: Dosing").click()
    expect(tab.locator("#f-dose_start")).to_be_focused()
    fill_in(tab, "2020", "", "5")
    expect(tab.locator("#row-dose_start .error")).to_contain_text("needs the day")
    tab.locator("#f-dose_start").fill("1/1/2020")
    tab.keyboard.press("Alt+n")

    expect(tab.get_by_role("row").nth(1)).to_contain_text("2020-01-01")
    is_at(tab, "Dosing 2, new")


@pytest.mark.parametrize("fails", [False, True])
def test_without_javascript_or_when_it_fails_a_form_is_filled_in_and_saved(fails, at, typist):
    tab = at(person=typist, java_script_enabled=fails)
    if fails:
        tab.route("**/static/crf/entry.js", lambda route: route.abort())
    tab.goto(NEW_PATIENT)

    tab.get_by_role("textbox", name="Date of birth").fill("1/5/1970")
    tab.get_by_role("radio", name="Female").check()
    expect(tab.get_by_text("Only if Sex is Female", exact=True)).to_be_visible()
    tab.get_by_role("group", name="Subtypes").get_by_label("Chilblain").check()
    tab.locator("#f-race").select_option("Asian")
    tab.get_by_role("button", name="Save", exact=True).click()

    expect(tab.get_by_role("heading", level=1)).to_have_text("Patient")
    patient = forms_by_name()["patient"].objects.get()
    assert (patient.sex, patient.race, patient.cle_subtype) == ("F", "ASIAN", ["chle"])


CONDITIONS = [
    "[a] = 'x'",
    "[a] <> ''",
    "[a] != '1'",
    "[a] = 1.0",
    "[a] < 10",
    "[a] <= '10'",
    "[a] > '2024-01-01'",
    "[a] >= -5",
    "[a] = [b]",
    "[a] < [b]",
    "[c(x)] = '1'",
    "[c(x)] <> '1'",
    "[c] = 'x,y'",
    "[a] = 'x' or [b] = '2' and [c(y)] = '1'",
    "([a] = 'x' or [b] = '2') and [c(y)] = '1'",
    "[a] > 0.000000000000000000000000000001",
    "[a(1)] = '1'",
]
VALUES = [
    "", "x", "X", "1", "1.0", "+1", "-5", "9", "10", "10.5", "2", "2024-01-01", "2024-03-12", "\U0001f600", "\uffff",
    "1e3", "NaN", " 1", "0.000000000000000000000000000002", "123456789012345678901234567890",
    "123456789012345678901234567891", "-0", "0", "é", "1\n",
]  # fmt: skip


def test_the_browser_decides_on_branching_as_the_server_does(at, typist):
    texts = [{"a": a, "b": b, "c": c} for a in VALUES for b in ("", "2", "x", "\uffff", "10") for c in ((), ("x", "y"))]
    expected = [[parse(condition).holds(row) for row in texts] for condition in CONDITIONS]
    tab = at(person=typist)
    tab.goto("/account/")

    found = tab.evaluate(
        """async ([trees, texts]) => {
            const { holds } = await import("/static/crf/branching.js");
            return trees.map((tree) => texts.map((row) => holds(tree, row)));
        }""",
        [[as_json(read_expression(condition)) for condition in CONDITIONS], texts],
    )

    assert found == expected
    assert {decided for row in expected for decided in row} == {True, False}


def wait_until(holds):
    """Wait until something is so that the browser has no word for."""
    for _attempt in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    pytest.fail("It never was.")


def signed_in_tab(browser, live_server, person):
    """Open a tab in a browser of its own, in which a person is signed in anew."""
    client = Browser()
    client.sign_in(person)
    context = browser.new_context(base_url=live_server.url)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    context.set_default_timeout(15_000)
    return context.new_page()
