"""The audit trail as a page."""

import csv
import html
import io

import pytest
from django.utils import timezone

from crf.locks import Target, lock
from registry.acting import Door, acting
from registry.models import AccessEvent
from registry.rights import Role
from tests.crf.examples import saved
from tests.crf.pages.doses import words
from tests.registry.test_audit import change
from tests.registry.test_hostile_texts import TEXTS

URL, FILE = "/audit/", "/audit/file/"


@pytest.fixture
def changed(patient, coordinator):
    """A dose of a patient of MTP that was changed once."""
    dose = saved("dosing", by=coordinator, record_id=patient.record_id)
    return change(dose, {"dose_schedule": "alternate_days"}, by=coordinator, reason="letter of May")


def test_a_mark_is_told_as_yes_or_no(changed, data_manager, browser):
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=timezone.now())

    said = words(browser(Role.MONITOR).post(URL, {"record_id": "MTP-001", "form": "dosing"}))

    assert "Changed MTP-001 · Dosing 1 Locked No → to Yes" in said


def test_nothing_is_read_before_it_is_asked_for(changed, browser):
    page = browser(Role.MONITOR, username="looks").get(URL)

    assert "<table" not in page.content.decode()
    assert not AccessEvent.objects.filter(actor__username="looks").exists()


def test_a_change_is_told_in_words_and_leads_to_its_entry(changed, browser):
    response = browser(Role.MONITOR, username="looks").post(URL, {"record_id": "MTP-001", "form": "dosing"})

    said = words(response)
    assert "coordinator.mtp REST API Changed MTP-001 · Dosing 1" in said
    assert "Schedule daily (Every day) → to alternate_days (Every other day) letter of May" in said
    assert "/patients/MTP-001/dosing/1/" in response.content.decode()
    assert AccessEvent.objects.filter(actor__username="looks", record_id="MTP-001").exists()


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"form": "dosing"}, 2),
        ({"form": "dosing", "variable": "dose_schedule"}, 2),
        ({"form": "dosing", "variable": "dose_mg"}, 1),
        ({"form": "dosing", "user": "coordinator.mtp"}, 2),
        ({"form": "dosing", "user": "nobody"}, 0),
        ({"record_id": "MTP-002", "form": "dosing"}, 0),
        ({"form": "dosing", "until": "2020-01-01"}, 0),
        ({"form": "dosing", "since": "2020-01-01", "until": "2999-01-01"}, 2),
        ({"form": "dosing", "kind": "accesses"}, 0),
        ({"record_id": "MTP-001", "kind": "sign_ins"}, 0),
    ],
)
def test_each_field_narrows(asked, number, changed, browser):
    page = browser(Role.MONITOR).post(URL, asked).content.decode()

    assert page.count('<td class="when">') == number


def test_a_day_is_read_to_its_end(changed, browser):
    day = changed.updated_at.date().isoformat()

    page = browser(Role.MONITOR).post(URL, {"form": "dosing", "since": day, "until": day}).content.decode()

    assert page.count('<td class="when">') == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": "yesterday"}, "Write a date such as 2024-03-12."),
        ({"until": "9999-12-31"}, "Write a date such as 2024-03-12."),
        ({"form": "no such"}, "Choose from the list."),
        ({"variable": "a\x00b"}, "Write the name or identifier as it is shown."),
    ],
)
@pytest.mark.parametrize("address", [URL, FILE])
def test_what_cannot_be_asked_is_told_at_its_field(asked, said, address, changed, browser):
    response = browser(Role.MONITOR).post(address, asked)

    assert response.status_code == 422
    assert (said in words(response)) or "form" in asked


def test_earlier_records_follow_without_a_gap(changed, browser, monkeypatch):
    monkeypatch.setattr("registry.audit_page.PAGE", 1)
    client = browser(Role.MONITOR)
    asked, seen = {"record_id": "MTP-001", "kind": "changes"}, []

    for _page in range(10):
        page = client.post(URL, asked, headers={"HX-Request": "true"})
        assert "<html" not in page.content.decode()
        seen.append(words(page))
        if 'name="before" value="' not in page.content.decode():
            break
        asked["before"] = page.content.decode().split('name="before" value="')[1].split('"')[0]

    assert len(seen) == 3
    assert ["Changed" in said for said in seen] == [True, False, False]


def test_what_is_found_takes_the_same_queries_however_much_it_is(
    patient, coordinator, browser, django_assert_num_queries
):
    client, asked = browser(Role.MONITOR), {"record_id": "MTP-001", "form": "dosing"}
    for number in range(1, 4):
        period = {"dose_start": f"20{number:02d}-01-01", "dose_end": f"20{number:02d}-02-01"}
        saved("dosing", period, by=coordinator, record_id="MTP-001")
        if number in (1, 3):
            with django_assert_num_queries(5):
                page = client.post(URL, asked).content.decode()
            assert page.count('<td class="when">') == number


def test_sign_ins_are_for_who_manages_people(changed, browser):
    assert "Sign-in" not in words(browser(Role.MONITOR).get(URL)).replace("Sign-ins", "")
    assert browser(Role.MONITOR, username="other").post(URL, {"form": "sign_in"}).status_code == 422
    assert browser(Role.DATA_MANAGER).post(URL, {"form": "sign_in"}).status_code == 200


def test_what_is_of_another_site_is_not_found(changed, browser):
    response = browser(Role.MONITOR, site="NIM").post(URL, {"record_id": "MTP-001"})

    assert "Nothing was found." in words(response)


def test_the_file_has_what_was_asked_for(changed, browser):
    response = browser(Role.MONITOR, username="takes").post(FILE, {"form": "dosing", "variable": "dose_schedule"})

    text = b"".join(response.streaming_content).decode()
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["variable"] == "dose_schedule"]
    assert [(row["from"], row["to"]) for row in rows] == [('"daily"', '"alternate_days"'), ("", '"daily"')]
    assert response["Content-Disposition"] == 'attachment; filename="audit.csv"'
    assert AccessEvent.objects.filter(actor__username="takes", kind="read_audit_trail").exists()


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if len(text) < 200], ids=str.__repr__)
def test_hostile_texts_are_asked_for_and_shown_as_they_are(text, changed, browser):
    """Negative test 30."""
    response = browser(Role.MONITOR).post(URL, {"record_id": text, "user": text, "variable": text})

    assert response.status_code in (200, 422)
    assert f'value="{html.escape(text.strip())}"' in response.content.decode()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}"])
def test_a_hostile_reason_and_value_are_shown_as_they_are(text, patient, coordinator, browser):
    """Negative test 30."""
    event = saved("adverse_event", {"ae_term": text}, by=coordinator, record_id="MTP-001")
    change(event, {"ae_grade": "2"}, by=coordinator, reason=text)

    page = browser(Role.MONITOR).post(URL, {"form": "adverse_event"}).content.decode()

    assert page.count(html.escape(text)) == 2
    assert text == "{{ 7*7 }}" or text not in page


@pytest.mark.parametrize("before", ["x", "bnVsbA==", "é", "\x00"])
def test_a_place_that_is_none_is_refused(before, changed, browser):
    assert browser(Role.MONITOR).post(URL, {"before": before}).status_code == 400
