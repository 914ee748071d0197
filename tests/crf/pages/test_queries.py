"""The queries page: filters, what waits for whom, steps in place, several closed at once."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from crf.forms import patient_form
from crf.models.data_query import DataQuery, QueryState, StepKind
from crf.pages import queries as pages
from crf.query_words import texts_of
from registry.acting import Door, acting
from registry.rights import MATRIX, Right, Role
from tests.crf.examples import saved
from tests.crf.pages.doses import ask, panel, step, words

URL, PATIENT = "/queries/", patient_form()


def shown(client, **asked):
    """Return the keys of the queries on the page, in their order."""
    page = client.get(URL, asked).content.decode()
    return [int(key) for key in re.findall(r'<article [^>]*id="query-(\d+)"', page)]


def test_the_oldest_comes_first_and_closed_ones_only_when_asked_for(dose, asks, browser):
    now = timezone.now()
    young, old = ask(asks, at=now), ask(asks, "Older", at=now - timedelta(days=40))
    closed = step(ask(asks, "Closed"), StepKind.CLOSED, asks)
    client = browser(Role.MONITOR)

    assert shown(client) == [old.pk, young.pk]
    assert shown(client, state="closed") == [closed.pk]
    assert shown(client, state="all") == [old.pk, young.pk, closed.pk]


def test_each_filter_narrows(dose, asks, data_manager, coordinator, browser):
    now = timezone.now()
    old = ask(asks, at=now - timedelta(days=30))
    start = ask(asks, variable="sex", form=PATIENT, at=now - timedelta(days=29))
    raised = saved("dosing", {"dose_mg": 15, "dose_start": "2021-01-01"}, by=coordinator, record_id="MTP-001")
    (of_check,) = DataQuery.objects.filter(instance=raised.instance)
    saved("patient", by=data_manager, site="NIM")
    elsewhere = ask(asks, form=PATIENT, record_id="NIM-001", variable="sex")
    client = browser(Role.MONITOR, site=None)

    assert shown(client, age="30") == [old.pk]
    assert shown(client, form="dosing") == [old.pk, of_check.pk]
    assert shown(client, form="patient", site="MTP") == [start.pk]
    assert shown(client, site="NIM") == [elsewhere.pk]
    assert shown(client, origin="soft_check") == [of_check.pk]
    assert len(shown(client, site="nowhere", state="no such", age="x")) == 4


def test_queries_of_other_sites_are_not_there(dose, asks, browser):
    query = ask(asks)
    client = browser(Role.MONITOR, site="NIM")

    assert shown(client) == []
    assert "MTP" not in client.get(URL).content.decode()
    assert client.get(f"{URL}{query.pk}/").status_code == 404
    assert client.post(f"{URL}{query.pk}/close/").status_code == 404


@pytest.mark.parametrize(
    ("role", "to_do"),
    [
        (Role.COORDINATOR, {"open"}),
        (Role.MONITOR, {"answered", "asked and answered"}),
        (Role.DATA_MANAGER, {"answered", "asked and answered"}),
        (Role.INVESTIGATOR, set()),
    ],
)
def test_what_is_mine_to_do(role, to_do, dose, asks, coordinator, browser):
    found = {
        "open": ask(asks, "open"),
        "answered": step(ask(asks, "answered"), StepKind.ANSWERED, coordinator),
        "asked and answered": step(ask(asks, "mine"), StepKind.ANSWERED, coordinator),
        "closed": step(ask(asks, "closed"), StepKind.CLOSED, asks),
    }

    assert set(shown(browser(role, username="does"), mine="true")) == {found[name].pk for name in to_do}


def test_an_answer_to_what_an_investigator_asked_is_theirs_to_read(dose, coordinator, browser):
    client = browser(Role.INVESTIGATOR, username="wonders")
    client.post(panel(), {"text": "Why so little?"})
    query = DataQuery.objects.get()
    assert shown(client, mine="true") == []

    step(query, StepKind.ANSWERED, coordinator)

    assert shown(client, mine="true") == [query.pk]


def test_pages_lead_through_all(dose, asks, browser, monkeypatch):
    monkeypatch.setattr(pages, "PAGE", 2)
    now = timezone.now()
    asked = [ask(asks, str(n), at=now - timedelta(days=n // 2)).pk for n in range(5)]
    client, address, seen = browser(Role.MONITOR), URL, []

    while address:
        page = client.get(address).content.decode()
        seen += [int(key) for key in re.findall(r'<article [^>]*id="query-(\d+)"', page)]
        further = re.search(r'href="([^"]*after=[^"]*)"', page)
        address = further and further.group(1).replace("&amp;", "&")

    assert sorted(seen) == asked
    assert len(seen) == 5


@pytest.mark.parametrize("cursor", ["x", "bnVsbA==", "WyIyMDI0LTAxLTAxVDAwOjAwOjAwIiwgMV0=", "\x00", "é"])
def test_a_cursor_that_is_none_is_refused(cursor, dose, browser):
    assert browser(Role.MONITOR).get(URL, {"after": cursor}).status_code == 400


def test_no_address_on_the_page_has_a_record_id_in_its_query_string(dose, asks, browser, monkeypatch):
    monkeypatch.setattr(pages, "PAGE", 1)
    ask(asks), ask(asks, "Second")

    page = browser(Role.DATA_MANAGER).get(f"{URL}?site=MTP").content.decode()

    assert not re.search(r'(?:href|action)="[^"?]*\?[^"]*MTP-', page)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("name", "right", "state"),
    [
        ("answer", Right.ANSWER_QUERY, QueryState.ANSWERED),
        ("close", Right.CLOSE_QUERY, QueryState.CLOSED),
        ("reopen", Right.OPEN_QUERY, QueryState.OPEN),
    ],
)
def test_only_who_may_takes_a_step(name, right, state, role, dose, asks, coordinator, browser):
    query = ask(asks)
    if name == "reopen":
        step(query, StepKind.ANSWERED, coordinator)
    before = DataQuery.objects.get(pk=query.pk).state

    response = browser(role, username="steps").post(reverse(f"page-query-{name}", args=[query.pk]), {"text": "So."})

    allowed = right in MATRIX[role]
    assert response.status_code == (303 if allowed else 403)
    assert DataQuery.objects.get(pk=query.pk).state == (state if allowed else before)


def test_an_answer_needs_words_and_closing_does_not(dose, asks, browser):
    query = ask(asks)
    client = browser(Role.DATA_MANAGER)

    refused = client.post(f"{URL}{query.pk}/answer/", {"text": " "})
    assert (refused.status_code, "It is blank. Write a text." in words(refused)) == (422, True)

    assert client.post(f"{URL}{query.pk}/close/", {"text": " "}).status_code == 303
    assert DataQuery.objects.get().state == QueryState.CLOSED


def test_what_was_typed_is_kept_when_somebody_was_faster(dose, asks, browser):
    query = step(ask(asks), StepKind.CLOSED, asks)

    response = browser(Role.COORDINATOR, username="slow").post(f"{URL}{query.pk}/answer/", {"text": "It is so."})

    assert response.status_code == 409
    assert "The query is Closed, so this step does not follow." in words(response)


@pytest.mark.parametrize(
    "given", ["https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example", "x", ""]
)
def test_nobody_is_led_elsewhere_after_a_step(given, dose, asks, browser):
    query = ask(asks)

    response = browser(Role.MONITOR).post(f"{URL}{query.pk}/close/", {"next": given})

    assert response["Location"] == f"{URL}{query.pk}/"


def test_after_a_step_one_is_where_one_was(dose, asks, browser):
    query = ask(asks)

    response = browser(Role.MONITOR).post(f"{URL}{query.pk}/close/", {"next": f"{URL}?site=MTP"})

    assert response["Location"] == f"{URL}?site=MTP"


def test_htmx_gets_the_query_alone_where_it_is(dose, asks, browser):
    query = ask(asks)
    client = browser(Role.COORDINATOR, username="answers")

    refused = client.post(f"{URL}{query.pk}/answer/", {"text": ""}, headers={"HX-Request": "true"})

    assert (refused.status_code, refused["HX-Retarget"]) == (422, "closest .query")
    assert "<html" not in refused.content.decode()


def test_answered_ones_are_closed_together(dose, asks, coordinator, browser):
    answered = [step(ask(asks, text), StepKind.ANSWERED, coordinator).pk for text in ("a", "b")]
    waits = ask(asks, "c").pk
    client = browser(Role.MONITOR)

    response = client.post(URL, {"query": [*answered, waits], "next": URL})
    said = words(client.get(URL))

    assert response.status_code == 303
    assert "2 queries were closed." in said
    assert "The others are not answered any more" in said
    assert dict(DataQuery.objects.values_list("pk", "state")) == {
        **dict.fromkeys(answered, QueryState.CLOSED),
        waits: QueryState.OPEN,
    }


@pytest.mark.parametrize(("role", "site", "status"), [(Role.COORDINATOR, "MTP", 403), (Role.MONITOR, "NIM", 404)])
def test_nobody_else_closes_them(role, site, status, dose, asks, coordinator, browser):
    query = step(ask(asks), StepKind.ANSWERED, coordinator)

    assert browser(role, site=site, username="tries").post(URL, {"query": [query.pk]}).status_code == status
    assert DataQuery.objects.get().state == QueryState.ANSWERED


def test_the_counts_are_those_of_the_sites_i_see(dose, asks, coordinator, browser):
    ask(asks, at=timezone.now() - timedelta(days=12))
    step(ask(asks, "b"), StepKind.ANSWERED, coordinator)

    assert "Oldest waiting MTP 1 1 0 12 days" in words(browser(Role.INVESTIGATOR).get(URL))


def test_an_edit_check_asks_in_the_readers_language_as_long_as_the_values_are_the_same(coordinator, patient):
    saved("dosing", {"dose_mg": 15}, by=coordinator, record_id="MTP-001")
    query = DataQuery.objects.get(check_code="dose_over_10_mg")
    query.text = "in the language of whoever saved it"

    with acting(coordinator, door=Door.PAGE):
        same = texts_of([query])[query.pk]
        query.basis = "of other values"
        other = texts_of([query])[query.pk]

    assert same == "The dose is 15 mg, above the 10 mg of this study. Check it against the prescription."
    assert other == "in the language of whoever saved it"


def test_the_number_of_questions_to_the_database_does_not_grow(dose, asks, coordinator, browser, assert_round_trips):
    client = browser(Role.MONITOR)
    saved(
        "dosing",
        {"dose_mg": 15, "dose_start": "2021-01-01", "dose_end": "2021-02-01"},
        by=coordinator,
        record_id="MTP-001",
    )
    with assert_round_trips(11):
        client.get(URL)

    for month in ("03", "05"):
        dates = {"dose_start": f"2021-{month}-01", "dose_end": f"2021-{month}-20"}
        saved("dosing", {"dose_mg": 15, **dates}, by=coordinator, record_id="MTP-001")

    with assert_round_trips(11):
        client.get(URL)
