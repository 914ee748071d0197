"""What the browser is told while somebody types, and the draft that is kept with it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from crf.drafts import KEPT_FOR, MAX_CHARACTERS, drafts_of
from crf.entry import delete_entry
from crf.forms import forms_by_name
from crf.models.draft import Draft
from crf.tasks import forget_drafts
from registry.acting import Door, acting
from registry.models import Membership
from registry.rights import Role
from tests.conftest import caller_now, make_person, see_everything, seeing
from tests.crf.examples import saved
from tests.crf.pages.conftest import address, sent


@pytest.fixture
def client(browser, coordinator):
    """A coordinator at the pages of a patient who has one dose."""
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    return browser(username="typist")


def test_leaving_a_field_tells_what_was_understood_and_what_is_wrong_where_something_was_done(client):
    typed = {"dose_start": "12/03/2024", "dose_end": "1/3/2024", "dose_mg": "99", "dose_schedule": ""}

    told = client.post(address("live-new dosing"), {**typed, "touched": "dose_start dose_end dose_mg"}).json()

    assert told["understood"] == {"dose_start": "12 March 2024 (day first)", "dose_end": "1 March 2024 (day first)"}
    assert told["errors"].keys() == {"dose_end", "dose_mg"}
    assert told["texts"] == {"dose_start": "2024-03-12", "dose_end": "2024-03-01"}


def test_a_required_field_that_is_blank_is_no_error_while_typing_and_an_untouched_one_is_left_alone(client):
    typed = {"ae_term": "Fever", "ae_serious": "1", "ae_serious_criteria": "", "ae_grade": ""}

    at_first = client.post(address("live-new adverse_event"), {**typed, "touched": "ae_term ae_grade"}).json()
    later = client.post(address("live-new adverse_event"), {**typed, "touched": "ae_serious_criteria"}).json()

    assert at_first["errors"] == {}
    assert later["errors"].keys() == {"ae_serious_criteria"}


def test_soft_checks_and_derived_values_see_the_rest_of_the_chart(client):
    typed = {"lesion_date": "1/1/2021", "lesion_clearance": "96", "lesion_new": "0", "lesion_response": "PD"}

    told = client.post(address("live-new lesion_assessment"), typed).json()

    assert [warning["code"] for warning in told["warnings"]] == ["response_differs_from_computed"]
    assert told["derived"]["lesion_date"] == ["Since the first dose: 12.0 months"]
    assert told["derived"]["lesion_new"] == ["Computed response: Complete (CR)"]


def test_the_age_at_the_first_dose_follows_the_birth_date_as_it_is_typed(client):
    told = client.post(address("live patient"), {"birth_date": "2/1/1970", "version": "1"}).json()

    assert told["derived"]["birth_date"] == ["Age at the first dose: 49 years"]
    assert told["reason_needed"] is True


def test_what_was_typed_is_restored_as_it_was_typed_and_can_be_discarded(client):
    client.post(address("live-new dosing"), {"dose_start": "next wee", "missing-dose_mg": "UNK"})

    restored = client.get(address("entry-new dosing")).content.decode()
    discarded = client.post(address("draft-new dosing"))

    assert 'value="next wee"' in restored
    assert '<option value="UNK" selected>' in restored
    assert "Restored" in restored
    assert discarded["Location"] == address("entry-new dosing")
    assert "next wee" not in client.get(address("entry-new dosing")).content.decode()


def test_a_draft_of_a_change_begins_from_the_version_that_it_began_from(client, coordinator):
    client.post(address("live dosing"), sent("dosing", {"dose_mg": "10"}, version="1", status="complete"))

    page = client.get(address("entry dosing")).content.decode()

    assert 'name="version" value="1"' in page
    assert 'value="10"' in page


def test_typing_what_is_saved_leaves_no_draft(client):
    client.post(address("live dosing"), {"dose_mg": "10", "version": "1"})
    client.post(address("live dosing"), {"dose_mg": "5", "version": "1"})

    assert Draft.objects.count() == 0


def test_saving_forgets_the_draft_and_what_comes_after_it_is_refused(client):
    once = {"once": "one-form"}
    client.post(address("live-new prior_treatment"), {"prior_drug": "dapsone", **once})
    assert Draft.objects.count() == 1

    client.post(address("entry-new prior_treatment"), sent("prior_treatment", **once))
    late = client.post(address("live-new prior_treatment"), {"prior_drug": "dapsone", **once})

    assert late.status_code == 422
    assert Draft.objects.count() == 0


def test_a_new_patient_has_a_draft_at_each_site(browser):
    client = browser(Role.DATA_MANAGER, site=None)

    client.post(address("live-new patient"), {"sex": "F"})
    client.post(address("live-new patient", code="NIM"), {"sex": "M"})
    client.post(address("live-new patient", code="NIM"), {"sex": "U"})

    assert list(Draft.objects.order_by("site").values_list("site", "patient", "typed__texts__sex")) == [
        ("MTP", None, "F"),
        ("NIM", None, "U"),
    ]


def test_nobody_sees_the_drafts_of_others_not_even_through_the_database(client, browser):
    client.post(address("live-new dosing"), {"dose_start": "secret"})

    page = browser(username="other").get(address("entry-new dosing")).content.decode()
    other = caller_now(make_person(Role.COORDINATOR, site="MTP", username="third"))
    with acting(other, door=Door.PAGE):
        seen = Draft.objects.count()
    see_everything()

    assert "secret" not in page
    assert seen == 0


def test_a_draft_is_not_shown_to_who_may_no_longer_see_its_site(client):
    client.post(address("live-new dosing"), {"dose_start": "secret"})
    person = Draft.objects.get().person
    Membership.objects.filter(person=person).update(site="NIM")

    with acting(caller_now(person), door=Door.PAGE) as _kept:
        found = list(drafts_of(caller_now(person)))
    see_everything()

    assert found == []
    assert client.get(address("entry-new dosing")).status_code == 404


def test_characters_that_no_draft_can_hold_are_refused_and_break_nothing(client):
    typed = {"ae_term": "a\0b", "ae_category": "<script>", "missing-ae_grade": "\0", "explain-a\0": "x\0"}

    told = client.post(address("live-new adverse_event"), typed)
    page = client.get(address("entry-new adverse_event"))
    saved_page = client.post(address("entry-new adverse_event"), typed)

    assert told.json()["errors"].keys() == {"ae_term", "ae_category", "ae_grade"}
    assert (page.status_code, saved_page.status_code) == (200, 422)
    assert "<script>" not in page.content.decode().replace("<script src", "")


def test_a_draft_of_a_deleted_patient_is_not_listed(client, coordinator):
    client.post(address("live-new dosing"), {"dose_start": "x"})
    person = Draft.objects.get().person

    with acting(coordinator, door=Door.REST):
        delete_entry(forms_by_name()["patient"], "MTP-001", 1, by=coordinator, version=1, reason="r")
    see_everything()

    assert list(drafts_of(caller_now(person))) == []


def test_a_draft_beyond_every_form_is_refused(client):
    typed = {"lesion_notes": "x" * MAX_CHARACTERS}

    assert client.post(address("live-new lesion_assessment"), typed).status_code == 413
    assert Draft.objects.count() == 0


@pytest.mark.parametrize(("age", "left"), [(KEPT_FOR - timedelta(minutes=1), 1), (KEPT_FOR + timedelta(minutes=1), 0)])
def test_drafts_are_forgotten_after_30_days(age, left, client):
    client.post(address("live-new dosing"), {"dose_start": "x"})
    Draft.objects.update(updated_at=timezone.now() - age)

    forget_drafts()

    see_everything()
    assert Draft.objects.count() == left


def test_a_draft_follows_a_patient_who_is_renamed(client, coordinator):
    client.post(address("live-new dosing"), {"dose_start": "x"})

    with connection.cursor() as cursor:
        cursor.execute("UPDATE crf_patient SET record_id = 'MTP-009', number = 9")

    with seeing("MTP"):
        assert Draft.objects.get().patient_id == "MTP-009"


def test_who_may_not_enter_data_gets_nothing_live(browser, coordinator):
    saved("patient", by=coordinator)

    assert browser(Role.MONITOR).post(address("live patient"), {"sex": "F"}).status_code == 403
