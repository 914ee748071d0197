"""Every form can be filled in, changed and read on pages, without JavaScript."""

import re

import pytest
from django.utils import timezone

from crf.forms import Status
from crf.locks import Target, lock
from crf.models.data_query import DataQuery, DataQueryStep, QueryState
from registry.acting import Door, acting
from registry.models import IdempotentAnswer
from registry.rights import Role
from tests.crf.examples import REPEATING, saved
from tests.crf.pages.conftest import COMPLETE, address, errors, sent


@pytest.mark.parametrize("form", COMPLETE)
def test_each_form_is_saved_from_its_page_and_shown_again(form, browser, coordinator, entry_of):
    if form != "patient":
        saved("patient", by=coordinator)
    client = browser(username="typist")

    response = client.post(address(f"entry-new {form}"), sent(form))

    assert (response.status_code, response["Location"]) == (303, address(f"entry {form}"))
    assert entry_of(form).status == Status.COMPLETE
    shown = client.get(response["Location"])
    assert shown.status_code == 200
    assert "is saved" in shown.content.decode()


def test_save_and_next_leads_from_form_to_form_and_to_a_blank_one_of_the_same(browser):
    client = browser()

    after_patient = client.post(address("entry-new patient"), sent("patient", go="next"))
    after_treatment = client.post(after_patient["Location"], sent("prior_treatment", go="next"))
    nothing_typed = client.post(after_treatment["Location"], {"go": "next"})

    assert after_patient["Location"] == address("entry-new prior_treatment")
    assert after_treatment["Location"] == address("entry-new prior_treatment")
    assert nothing_typed["Location"] == address("entry-new dosing")


def test_save_and_next_of_a_saved_instance_leads_to_the_next_one(browser, coordinator):
    saved("patient", by=coordinator)
    for _number in range(2):
        saved("prior_treatment", by=coordinator, record_id="MTP-001")
    client = browser(username="typist")

    first = client.post(address("entry prior_treatment"), sent("prior_treatment", version="1", go="next"))
    last = client.post(address("entry prior_treatment", instance=2), sent("prior_treatment", version="1", go="next"))

    assert first["Location"] == address("entry prior_treatment", instance=2)
    assert last["Location"] == address("entry-new prior_treatment")


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(browser, coordinator, count):
    saved("patient", by=coordinator)
    typed = sent(
        "dosing", {"dose_start": "31/02/2020", "dose_mg": "2,5", "dose_end": "soon", "dose_schedule": "weekly"}
    )

    response = browser(username="typist").post(address("entry-new dosing"), typed)

    page = response.content.decode()
    assert response.status_code == 422
    assert errors(response).keys() == {"dose_start", "dose_end", "dose_schedule"}
    assert 'value="31/02/2020"' in page
    assert 'value="2,5"' in page
    assert '<a href="#f-dose_start">' in page
    assert 'aria-invalid="true"' in page
    assert count("crf_dosing") == 0


def test_nothing_filled_in_is_not_saved(browser, coordinator, count):
    saved("patient", by=coordinator)

    response = browser(username="typist").post(address("entry-new dosing"), {"dose_start": " "})

    assert response.status_code == 422
    assert count("crf_dosing") == 0


def test_a_form_that_is_sent_twice_is_saved_once(browser, coordinator, count):
    saved("patient", by=coordinator)
    client = browser(username="typist")

    answers = [client.post(address("entry-new dosing"), sent("dosing", once="abc")) for _twice in range(2)]

    assert [answer["Location"] for answer in answers] == [address("entry dosing")] * 2
    assert count("crf_dosing") == 1
    assert IdempotentAnswer.objects.count() == 1


def test_a_missing_reason_stands_for_a_value_and_a_hidden_field_with_a_value_is_refused(browser, entry_of):
    client = browser(username="typist")
    wrong = sent("patient", {"pregnancy_test_date": "1/1/2020"})

    refused = client.post(address("entry-new patient"), wrong)
    client.post(address("entry-new patient"), sent("patient", {"sex": "", "missing-sex": "UNK"}))

    assert errors(refused).keys() == {"pregnancy_test_date"}
    assert "Only if Sex is Female and Of child-bearing potential is Yes" in refused.content.decode()
    assert entry_of("patient").missing == {"sex": "UNK"}
    assert entry_of("patient").status == Status.COMPLETE


def test_changing_a_complete_form_asks_why_and_then_keeps_the_reason(browser, coordinator, entry_of):
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    client = browser(username="typist")
    typed = sent("dosing", {"dose_mg": "10"}, version="1", status="complete")

    asked = client.post(address("entry dosing"), typed)
    given = client.post(address("entry dosing"), {**typed, "reason": "read again"})

    assert asked.status_code == 422
    assert 'href="#reason"' in asked.content.decode()
    assert given.status_code == 303
    assert (entry_of("dosing").version, entry_of("dosing").values["dose_mg"]) == (2, 10)


def test_a_warning_is_explained_on_the_page_and_its_query_answered(browser, coordinator):
    saved("patient", by=coordinator)
    client = browser(username="typist")
    at_once = sent("dosing", {"dose_mg": "15", "antithrombotic": "none"})
    at_once["explain-dose_mg:dose_over_10_mg"] = "Prescribed so"

    client.post(address("entry-new dosing"), at_once)
    page = client.get(address("entry dosing")).content.decode()
    later = {"version": "1", "explain-antithrombotic:no_antithrombotic": "Allergic"}
    client.post(address("entry dosing"), later)

    states = dict(DataQuery.objects.values_list("check_code", "state"))
    assert states == {
        "dose_over_10_mg": QueryState.ANSWERED,
        "first_dose_not_5_mg": QueryState.OPEN,
        "no_antithrombotic": QueryState.ANSWERED,
    }
    answers = DataQueryStep.objects.filter(kind="answered").order_by("id").values_list("text", flat=True)
    assert list(answers) == ["Prescribed so", "Allergic"]
    assert "Explained: Prescribed so" in page
    assert 'name="explain-antithrombotic:no_antithrombotic"' in page


@pytest.mark.parametrize("role", [Role.MONITOR, Role.INVESTIGATOR])
def test_who_may_read_but_not_enter_sees_the_form_without_fields(role, browser, coordinator):
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    client = browser(role, username="reader")

    response = client.get(address("entry dosing"))

    page = response.content.decode()
    assert response.status_code == 200
    assert "2020-01-01" in page
    assert 'name="dose_start"' not in page
    assert client.get(address("entry-new dosing")).status_code == 403
    assert client.post(address("entry dosing"), sent("dosing", version="1")).status_code == 403


def test_a_locked_entry_is_shown_read_only_and_says_so_when_it_is_saved_all_the_same(
    browser, coordinator, data_manager
):
    saved("patient", by=coordinator)
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=timezone.now())
    client = browser(username="typist")

    shown = client.get(address("entry patient"))
    refused = client.post(address("entry patient"), sent("patient", {"sex": "F"}, version="1", reason="r"))

    assert 'name="sex"' not in shown.content.decode()
    assert "Locked" in shown.content.decode()
    assert refused.status_code == 409


ADDITIONS = ["/sites/MTP/", "/patients/MTP-001/", "/patients/MTP-001/dosing/"]
"""Pages from which a patient or an entry is added."""
CLOSED = "Nothing can be added here: it is locked."


@pytest.mark.parametrize(("target", "closed"), [(Target(site="MTP"), 3), (Target(record_id="MTP-001"), 2), (None, 0)])
def test_nothing_is_offered_to_be_added_where_a_lock_refuses_it(target, closed, browser, coordinator, data_manager):
    saved("patient", by=coordinator)
    if target:
        with acting(data_manager, door=Door.REST):
            lock(target, reason="cleaned", by=data_manager, now=timezone.now())
    client = browser(username="typist")

    offered = [bool(re.search(r'href="[^"]*/new/"', client.get(page).content.decode())) for page in ADDITIONS]

    assert offered == [closed < 3, closed < 2, closed < 2]
    assert (CLOSED in client.get(ADDITIONS[2]).content.decode()) is bool(closed)


@pytest.mark.parametrize("at", ["/sites/MTP/patients/new/", "/patients/MTP-001/dosing/new/"])
def test_the_page_of_a_new_form_says_at_once_that_a_lock_refuses_it(at, browser, coordinator, data_manager):
    saved("patient", by=coordinator)
    client = browser(username="typist")
    before = client.get(at).content.decode()
    with acting(data_manager, door=Door.REST):
        lock(Target(site="MTP"), reason="cleaned", by=data_manager, now=timezone.now())

    page = client.get(at).content.decode()

    assert (CLOSED in before, 'name="status"' in before) == (False, True)
    assert (CLOSED in page, 'name="status"' in page) == (True, False)


def test_what_was_typed_stays_to_be_read_when_the_patient_is_locked_meanwhile(browser, coordinator, data_manager):
    saved("patient", by=coordinator)
    client = browser(username="typist")
    with acting(data_manager, door=Door.REST):
        lock(Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=timezone.now())

    refused = client.post(address("entry-new dosing"), sent("dosing", {"dose_start": "2020-02-03"}))

    page = refused.content.decode()
    assert refused.status_code == 422
    assert "Nothing was saved yet" in page
    assert "locked" in page
    assert "2020-02-03" in page


@pytest.mark.parametrize(
    ("status", "words"), [("incomplete", "Dosing 1 is saved as incomplete."), ("complete", "Dosing 1 is saved.")]
)
def test_after_saving_it_is_said_that_something_lacks(status, words, browser, coordinator):
    saved("patient", by=coordinator)
    client = browser(username="typist")

    saving = client.post(address("entry-new dosing"), sent("dosing", status=status))

    assert words in client.get(saving["Location"]).content.decode()


def test_a_new_patient_leads_back_to_the_site(browser):
    page = browser().get("/sites/MTP/patients/new/").content.decode()

    assert '<a href="/sites/MTP/">MTP</a>' in page


def test_values_in_the_table_have_their_units_and_grades_their_numbers(browser, coordinator):
    saved("patient", by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    saved("adverse_event", by=coordinator, record_id="MTP-001")
    client = browser(username="typist")

    doses = client.get(address("entries dosing")).content.decode()
    events = [client.get(page).content.decode() for page in (address("entries adverse_event"), "/patients/MTP-001/")]

    assert '<td class="one-line">5 mg</td>' in doses
    assert all(re.search(r"<td[^>]*>1 Mild</td>", page) for page in events)


@pytest.mark.parametrize(("form", "takes"), [("lesion_assessment", True), ("dosing", False)])
def test_the_script_of_photographs_is_there_before_the_form_is_saved(form, takes, browser, coordinator):
    saved("patient", by=coordinator)

    head = browser(username="typist").get(address(f"entry-new {form}")).content.decode().split("</head>")[0]

    assert ("crf/photographs.js" in head) is takes


@pytest.mark.parametrize("form", REPEATING)
def test_the_table_has_a_row_for_each_instance_and_a_way_to_add_one(form, browser, coordinator):
    saved("patient", by=coordinator)
    client = browser(username="typist")

    empty = client.get(address(f"entries {form}")).content.decode()
    saved(form, by=coordinator, record_id="MTP-001")
    one = client.get(address(f"entries {form}")).content.decode()

    assert "Nothing is entered here yet" in empty
    assert f'href="{address(f"entry {form}")}"' in one
    assert all(f'href="{address(f"entry-new {form}")}"' in page for page in (empty, one))


def test_htmx_gets_the_new_form_alone(browser, coordinator):
    saved("patient", by=coordinator)

    response = browser(username="typist").get(address("entry-new dosing"), headers={"HX-Request": "true"})

    page = response.content.decode()
    assert "<html" not in page
    assert f'action="{address("entry-new dosing")}"' in page


@pytest.mark.parametrize("page", ["entry dosing", "entry-new dosing", "entries dosing"])
def test_the_number_of_queries_does_not_grow_with_the_rows(page, browser, coordinator, assert_round_trips):
    saved("patient", by=coordinator)
    client = browser(username="typist")
    client.get(address("entry patient"))
    for number in range(1, 4):
        start, end = f"20{number:02d}-01-01", f"20{number:02d}-02-01"
        changes = {"dose_start": start, "dose_end": end, "dose_mg": 15, "antithrombotic": "none"}
        saved("dosing", changes, by=coordinator, record_id="MTP-001")
        if number in (1, 3):
            with assert_round_trips(ROUND_TRIPS[page]):
                client.get(address(page))


ROUND_TRIPS = {"entry dosing": 14, "entry-new dosing": 11, "entries dosing": 11}
