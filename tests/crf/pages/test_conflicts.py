"""Two people on one form: the second sees both values of what differs, and nothing of theirs is lost."""

import re

import pytest

from crf.entry import change_entry
from crf.forms import forms_by_name
from registry.acting import Door, acting
from tests.crf.examples import patch, saved
from tests.crf.pages.conftest import address, sent

REASON = {"reason": "read again"}


@pytest.fixture
def client(browser, coordinator):
    """A coordinator who opened version 1 of a dose; another one has changed dose and schedule since."""
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    with acting(coordinator, door=Door.REST):
        change_entry(
            forms_by_name()["dosing"],
            "MTP-001",
            1,
            patch("dosing", {"dose_mg": 10, "dose_schedule": "d21_28"}),
            by=coordinator,
            version=1,
            reason="r",
        )
    return browser(username="typist")


MINE = sent("dosing", {"dose_mg": "7,5", "antithrombotic": "clopidogrel"}, version="1", status="complete")


def hidden(page):
    """Return what a page would send by its hidden fields and the radios that are chosen."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    chosen = re.findall(r'<input type="radio" name="([^"]+)" value="([^"]+)"[^>]* checked>', page)
    return dict([(name, value) for name, value in fields if name != "csrfmiddlewaretoken"] + chosen)


def test_each_field_that_differs_is_shown_with_both_values_and_who_saved_the_other(client):
    response = client.post(address("entry dosing"), {**MINE, **REASON})

    page = response.content.decode()
    assert response.status_code == 409
    assert re.findall(r'name="keep-([a-z_]+)" value="mine"', page) == ["dose_mg", "dose_schedule", "antithrombotic"]
    assert "coordinator.mtp" in page
    assert "21 days of 28" in page


def test_what_only_one_changed_is_chosen_and_what_both_changed_is_not(client):
    page = client.post(address("entry dosing"), {**MINE, **REASON}).content.decode()

    chosen = {name: value for name, value in hidden(page).items() if name.startswith("keep-")}
    assert chosen == {"keep-dose_schedule": "theirs", "keep-antithrombotic": "mine"}


@pytest.mark.parametrize(("choice", "dose"), [("mine", 7.5), ("theirs", 10)])
def test_what_is_chosen_is_saved_on_the_newer_version(choice, dose, client, entry_of):
    page = client.post(address("entry dosing"), {**MINE, **REASON}).content.decode()

    response = client.post(address("entry dosing"), {**hidden(page), **REASON, "keep-dose_mg": choice})

    assert response.status_code == 303
    values = entry_of("dosing").values
    assert (values["dose_mg"], values["dose_schedule"], values["antithrombotic"]) == (dose, "d21_28", "clopidogrel")
    assert entry_of("dosing").version == 3


def test_a_field_without_a_choice_is_asked_for_again_and_nothing_typed_is_lost(client, entry_of):
    page = client.post(address("entry dosing"), {**MINE, **REASON}).content.decode()

    response = client.post(address("entry dosing"), {**hidden(page), **REASON})

    assert response.status_code == 422
    again = response.content.decode()
    assert "Choose one of the two" in again
    assert hidden(again)["dose_mg"] == "7,5"
    assert hidden(again)["antithrombotic"] == "clopidogrel"
    assert entry_of("dosing").version == 2


def test_a_third_change_in_between_is_shown_as_well(client, coordinator, entry_of):
    page = client.post(address("entry dosing"), {**MINE, **REASON}).content.decode()
    with acting(coordinator, door=Door.REST):
        change = patch("dosing", {"dose_reason": "other"})
        change_entry(forms_by_name()["dosing"], "MTP-001", 1, change, by=coordinator, version=2, reason="r")

    response = client.post(address("entry dosing"), {**hidden(page), **REASON, "keep-dose_mg": "mine"})

    assert response.status_code == 422
    assert 'name="keep-dose_reason" value="theirs"' in response.content.decode()
    assert entry_of("dosing").version == 3


def test_what_cannot_be_read_stays_through_the_choice(client):
    page = client.post(address("entry dosing"), {**MINE, **REASON, "dose_mg": "lots"}).content.decode()

    response = client.post(address("entry dosing"), {**hidden(page), **REASON, "keep-dose_mg": "mine"})

    assert response.status_code == 422
    assert 'value="lots"' in response.content.decode()
    assert 'name="version" value="2"' in response.content.decode()


def test_who_did_what_the_other_did_already_is_told_that_it_is_saved(client, entry_of):
    same = sent("dosing", {"dose_mg": "10", "dose_schedule": "d21_28"}, version="1", status="complete")

    response = client.post(address("entry dosing"), {**same, **REASON})

    assert response.status_code == 303
    assert entry_of("dosing").version == 2


def test_a_missing_reason_and_the_status_are_chosen_like_values(client, entry_of):
    mine = sent("dosing", {"dose_mg": "", "missing-dose_mg": "UNK"}, version="1", status="unverified")
    page = client.post(address("entry dosing"), {**mine, **REASON}).content.decode()
    chosen = {**hidden(page), **REASON, "keep-dose_mg": "mine"}
    assert chosen["keep-status"] == "mine"

    client.post(address("entry dosing"), chosen)

    entry = entry_of("dosing")
    assert (entry.missing, entry.values["dose_mg"], entry.status.label) == ({"dose_mg": "UNK"}, None, "unverified")
