"""The panel of a variable: value, queries with their steps, history; and asking."""

import html

import pytest
from django.urls import reverse

from crf.beside import Marks, marks_of
from crf.entry import change_entry, get_entry
from crf.models.data_query import DataQuery, StepKind
from crf.warnings import queries_of
from registry.acting import Door, acting
from registry.models import AccessEvent
from registry.rights import MATRIX, Right, Role
from tests.crf.examples import patch
from tests.crf.pages.doses import DOSING, ask, panel, step, words
from tests.registry.test_hostile_texts import TEXTS


def change(dose, values, *, by, reason="read again", version=None, missing=None):
    with acting(by, door=Door.PAGE, reason=reason):
        body = {**values, **({"missing": missing} if missing else {})}
        return change_entry(
            DOSING, "MTP-001", 1, patch("dosing", body), by=by, version=version or dose.version, reason=reason
        )


def test_the_history_says_from_to_who_why_and_how_with_labels_beside_codes(dose, coordinator, browser):
    change(dose, {"dose_schedule": "alternate_days"}, by=coordinator, reason="letter of May")

    said = words(browser(Role.MONITOR).get(panel("dose_schedule")))

    assert "Schedule dose_schedule · Every other day alternate_days" in said
    assert "Every day daily → changed to Every other day alternate_days Changed · coordinator.mtp" in said
    assert "pages letter of May" in said
    assert "Every day daily Created · coordinator.mtp" in said


def test_a_reason_for_a_missing_value_is_part_of_the_history(dose, coordinator, browser):
    changed = change(dose, {"dose_mg": None}, by=coordinator, missing={"dose_mg": "NAV"})
    change(changed, {"dose_mg": 7}, by=coordinator)

    said = words(browser(Role.MONITOR).get(panel()))

    assert "5 → changed to Not available (NAV)" in said
    assert "Not available (NAV) → changed to 7" in said


def test_a_numbers_unit_is_shown(dose, browser):
    assert "dose_mg · 5 mg" in words(browser(Role.MONITOR).get(panel()))


def test_a_variable_that_the_form_does_not_have_is_not_there(dose, browser):
    assert browser(Role.MONITOR).get(panel("sex")).status_code == 404


def test_htmx_gets_the_panel_alone_with_the_marks_of_the_field(dose, asks, browser):
    ask(asks)

    part = browser(Role.MONITOR).get(panel(), headers={"HX-Request": "true"}).content.decode()

    assert "<html" not in part
    assert 'id="beside-dosing-1-dose_mg"' in part
    assert 'hx-swap-oob="true"' in part


def test_what_is_asked_is_there_after_a_redirect(dose, browser):
    client = browser(Role.MONITOR)

    response = client.post(panel(), {"text": "Which\r\nprescription?", "once": "a"})

    assert (response.status_code, response["Location"]) == (303, panel())
    assert DataQuery.objects.get().text == "Which\nprescription?"
    assert "Which prescription?" in words(client.get(panel()))


def test_a_second_click_asks_once(dose, browser):
    client = browser(Role.MONITOR)

    for _click in range(2):
        assert client.post(panel(), {"text": "Which one?", "once": "a"}).status_code == 303

    assert DataQuery.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "It is blank. Write a text."),
        ("   ", "It is blank. Write a text."),
        ("x" * 4_001, "Shorten it to 4000 characters."),
        ("a\x00b", "Remove the characters that cannot be printed."),
    ],
)
def test_a_question_that_cannot_be_taken_comes_back_with_what_was_typed(text, said, dose, browser):
    response = browser(Role.MONITOR).post(panel(), {"text": text})

    assert response.status_code == 422
    assert said in words(response)
    assert html.escape(text) in response.content.decode()
    assert not DataQuery.objects.exists()


@pytest.mark.parametrize("role", Role)
def test_only_who_may_asks(role, dose, browser):
    response = browser(role, username="asks.too").post(panel(), {"text": "Is it so?"})

    allowed = Right.OPEN_QUERY in MATRIX[role]
    assert response.status_code == (303 if allowed else 403)
    assert DataQuery.objects.exists() is allowed


@pytest.mark.parametrize("role", Role)
def test_the_forms_for_steps_are_offered_to_who_may_take_them(role, dose, asks, browser):
    query = ask(asks)

    page = browser(role, username="reads").get(panel()).content.decode()

    rights = {"answer": Right.ANSWER_QUERY, "close": Right.CLOSE_QUERY}
    offered = {name for name in rights if reverse(f"page-query-{name}", args=[query.pk]) in page}
    assert offered == {name for name, right in rights.items() if right in MATRIX[role]}
    assert ("Open a query" in page) is (Right.OPEN_QUERY in MATRIX[role])


def test_every_step_is_shown(dose, asks, data_manager, browser):
    query = ask(asks, "Is it so?")
    step(query, StepKind.ANSWERED, data_manager, "It is.")
    step(query, StepKind.REOPENED, asks, "Look again.")

    said = words(browser(Role.COORDINATOR, username="reader").get(panel()))

    assert said.index("Is it so?") < said.index("Answered · ") < said.index("It is.") < said.index("Look again.")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_texts_are_refused_or_shown_as_they_are(text, dose, browser):
    """Negative test 30: query texts and reasons."""
    client = browser(Role.MONITOR)

    response = client.post(panel(), {"text": text})

    if response.status_code == 422:
        assert not DataQuery.objects.exists()
    else:
        assert response.status_code == 303
        kept = DataQuery.objects.get().text
        assert kept == text.replace("\r\n", "\n").strip()
        assert html.escape(kept) in client.get(panel()).content.decode()
        assert html.escape(kept) in client.get(reverse("page-queries")).content.decode()


def test_the_number_of_questions_to_the_database_does_not_grow(dose, asks, coordinator, browser, assert_round_trips):
    client = browser(Role.MONITOR)
    ask(asks)
    changed = change(dose, {"dose_mg": 6}, by=coordinator)
    with assert_round_trips(16):
        client.get(panel())

    for text in ("Second", "Third"):
        step(ask(asks, text), StepKind.ANSWERED, coordinator)
    change(changed, {"dose_mg": 7}, by=coordinator)

    with assert_round_trips(16):
        client.get(panel())


def test_that_an_identifier_was_looked_at_is_noted(dose, browser):
    address = reverse("page-beside-patient", kwargs={"record_id": "MTP-001", "variable": "birth_date"})
    browser(Role.MONITOR, username="looks").get(address)

    noted = AccessEvent.objects.filter(actor__username="looks").values_list("kind", "record_id")

    assert set(noted) == {("read_identifiers", "MTP-001"), ("read_audit_trail", "MTP-001")}


def test_the_marks_count_waiting_queries_and_changes(dose, asks, coordinator):
    ask(asks)
    step(ask(asks, "Second"), StepKind.ANSWERED, coordinator)
    step(ask(asks, "Third", variable="dose_start"), StepKind.CLOSED, asks)
    changed = change(dose, {"dose_mg": 6, "antithrombotic": "other"}, by=coordinator)
    change(changed, {"dose_mg": None}, by=coordinator, missing={"dose_mg": "UNK"})

    with acting(asks, door=Door.PAGE):
        entry = get_entry(DOSING, "MTP-001", 1, by=asks)
        marks = marks_of(entry, queries=queries_of(entry, by=asks), by=asks)

    assert marks == {
        "dose_mg": Marks(open=1, answered=1, changes=2),
        "antithrombotic": Marks(changes=1),
    }
