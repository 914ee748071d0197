"""What stands beside the data, in a real browser: a query asked, answered and closed; a signature; a lock."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from crf.entry import change_entry
from crf.forms import forms_by_name
from registry.acting import Door, acting
from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import caller_now, make_person
from tests.crf.examples import patch, saved

PASSWORD = "an iron lotus at noon"
DOSING = forms_by_name()["dosing"]


@pytest.fixture
def enters(sites):
    """The coordinator of MTP as the services see them."""
    return caller_now(make_person(Role.COORDINATOR, site="MTP", username="coordinator.mtp"))


@pytest.fixture
def dose(enters):
    """A dosing period of MTP-001."""
    saved("patient", by=enters, site="MTP")
    return saved("dosing", by=enters, record_id="MTP-001")


def panel_of(variable="dose_mg"):
    return reverse("page-beside-dosing", kwargs={"record_id": "MTP-001", "instance": 1, "variable": variable})


def standing():
    return reverse("page-standing-dosing", kwargs={"record_id": "MTP-001", "instance": 1})


def change(dose, values, *, by):
    with acting(by, door=Door.REST):
        change_entry(DOSING, "MTP-001", 1, patch("dosing", values), by=by, version=dose.version, reason="chart")


def entry():
    return reverse("page-entry-dosing", kwargs={"record_id": "MTP-001", "instance": 1})


def test_a_monitor_asks_the_coordinator_answers_and_the_monitor_closes(dose, enters, at):
    monitor = at(Role.MONITOR)
    monitor.goto(entry())
    field = monitor.get_by_role("link", name="Queries and history of Lenalidomide dose on a dosing day")
    field.click()
    panel = monitor.get_by_role("dialog")
    panel.get_by_text("Open a query", exact=True).click()
    expect(panel.get_by_label("Question to the site")).to_be_focused()
    monitor.keyboard.type("5 mg in the chart of March?")
    panel.get_by_role("button", name="Ask").click()
    expect(panel.get_by_role("article")).to_contain_text("5 mg in the chart of March?")
    assert violations(monitor) == []
    monitor.keyboard.press("Escape")
    expect(field).to_contain_text("open queries: 1")
    expect(field).to_be_focused()

    site = at(person=make_person(Role.COORDINATOR, site="MTP", username="answers"))
    site.goto(reverse("page-queries"))
    query = site.get_by_role("article").filter(has_text="5 mg in the chart of March?")
    query.get_by_text("Answer", exact=True).first.click()
    site.keyboard.type("Yes, checked.")
    query.get_by_role("button", name="Answer").click()
    expect(query).to_contain_text("Yes, checked.")
    expect(query).to_be_focused()
    assert violations(site) == []

    field.click()
    query = panel.get_by_role("article").filter(has_text="Yes, checked.")
    query.get_by_text("Close", exact=True).first.click()
    query.get_by_role("button", name="Close").click()
    expect(panel.get_by_role("article").locator(".tag")).to_have_text("Closed")


def test_a_panel_that_is_opened_takes_the_very_next_key(dose, at):
    tab = at(Role.MONITOR)
    tab.goto(panel_of())
    opened = tab.get_by_text("Open a query", exact=True)

    focused = opened.evaluate("(summary) => { summary.click(); return document.activeElement.labels[0]?.textContent }")

    assert focused is not None
    assert "Question to the site" in focused
    opened.click()
    expect(tab.get_by_label("Question to the site")).to_be_hidden()


def test_a_blank_question_comes_back_with_words_beside_the_field(dose, at):
    tab = at(Role.MONITOR)
    tab.goto(panel_of())
    tab.get_by_text("Open a query", exact=True).click()
    tab.keyboard.type("   ")
    tab.get_by_role("button", name="Ask").click()

    expect(tab.get_by_text("It is blank. Write a text.")).to_be_visible()
    expect(tab.get_by_label("Question to the site")).to_be_focused()


def test_an_investigator_signs_with_the_password_and_a_change_takes_the_signature_away(dose, enters, at):
    signer = make_person(Role.INVESTIGATOR, site="MTP", username="investigator.mtp")
    signer.full_name = "Professor Iris Nguyen"
    signer.set_password(PASSWORD)
    signer.save()
    tab = at(person=signer)
    tab.goto(entry())
    tab.get_by_role("link", name="Sign…").click()
    expect(tab.get_by_label(re.compile("Password of"))).to_be_focused()
    tab.get_by_label(re.compile("Password of")).fill("not this one")
    tab.get_by_role("button", name="Sign", exact=True).click()
    expect(tab.get_by_text("This is not your password.")).to_be_visible()

    tab.get_by_label(re.compile("Password of")).fill(PASSWORD)
    tab.get_by_role("button", name="Sign", exact=True).click()
    expect(tab).to_have_url(re.compile(f"{entry()}$"))
    expect(tab.locator(".standing-lines")).to_contain_text("Professor Iris Nguyen")
    expect(tab.locator(".standing-lines")).to_contain_text("I approve these data.")

    change(dose, {"dose_mg": 10}, by=enters)
    tab.reload()
    expect(tab.locator(".standing-lines")).to_contain_text("No longer signed")
    expect(tab.locator(".standing-lines")).to_contain_text("since coordinator.mtp changed Lenalidomide dose")


def test_a_data_manager_locks_and_the_coordinator_cannot_save(dose, at):
    site = at(person=make_person(Role.COORDINATOR, site="MTP", username="types"))
    site.goto(entry())
    site.locator("#f-dose_mg").fill("7")
    site.locator("[name=reason]").fill("read again")
    manager = at(Role.DATA_MANAGER, site=None)
    manager.goto(entry())
    manager.get_by_role("link", name="Lock…").click()
    panel = manager.get_by_role("dialog")
    panel.get_by_label("Reason").fill("cleaned")
    panel.get_by_role("button", name="Lock", exact=True).click()
    expect(manager.get_by_role("region", name="How it stands")).to_contain_text("cleaned", timeout=15_000)
    expect(manager).to_have_url(re.compile(f"{entry()}$"))

    site.get_by_role("button", name="Save", exact=True).click()

    expect(site.get_by_role("region", name="How it stands")).to_contain_text("Locked", timeout=15_000)
    assert forms_by_name()["dosing"].objects.get().dose_mg == 5
