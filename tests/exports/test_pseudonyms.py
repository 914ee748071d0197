from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crf.partial_dates import PartialDate
from exports.pseudonyms import Pseudonyms, shown_age

SECRET = Pseudonyms("k" * 32)
RECORD_IDS = [f"MTP-{number:03d}" for number in range(1, 2001)]
record_ids = st.sampled_from(RECORD_IDS)
days = st.dates(min_value=date(1900, 1, 1))


def test_a_pseudonym_is_the_same_every_time_and_another_under_another_key():
    assert SECRET.of("MTP-001") == Pseudonyms("k" * 32).of("MTP-001")
    assert SECRET.of("MTP-001") != Pseudonyms("l" * 32).of("MTP-001")


def test_no_two_patients_share_a_pseudonym_and_none_tells_the_record_id():
    pseudonyms = {SECRET.of(record_id) for record_id in RECORD_IDS}

    assert len(pseudonyms) == len(RECORD_IDS)
    assert all(len(text) == 16 and set(text) <= set("0123456789abcdef") for text in pseudonyms)


def test_dates_move_back_by_1_to_365_days_and_all_of_these_occur():
    moved = {SECRET.days_back(record_id) for record_id in RECORD_IDS}

    assert min(moved) == 1
    assert max(moved) == 365
    assert len(moved) > 350


def test_neither_pseudonym_nor_days_are_found_from_the_other():
    numbers = [int(SECRET.of(record_id), 16) % 365 + 1 for record_id in RECORD_IDS]

    same = sum(number == SECRET.days_back(record_id) for number, record_id in zip(numbers, RECORD_IDS, strict=True))

    assert same < 30


@given(record_id=record_ids, first=days, second=days)
def test_intervals_within_a_patient_stay_exact(record_id, first, second):
    moved = [SECRET.shifted(day, record_id=record_id) for day in (first, second)]

    assert moved[1] - moved[0] == second - first
    assert moved[0] == first - timedelta(days=SECRET.days_back(record_id))


def test_a_date_at_the_beginning_of_the_calendar_stays_in_it():
    assert SECRET.shifted(date(1, 1, 1), record_id="MTP-001") == date(1, 1, 1)


@given(record_id=record_ids, day=days)
def test_a_day_that_is_a_partial_date_becomes_the_year_it_moves_to(record_id, day):
    partial = PartialDate(day.year, day.month, day.day)

    assert SECRET.shifted_year(partial, record_id=record_id) == f"{SECRET.shifted(day, record_id=record_id).year:04d}"


@pytest.mark.parametrize(("days_back", "year"), [(15, "2020"), (16, "2019")])
def test_a_month_moves_with_its_middle(days_back, year):
    record_id = next(one for one in RECORD_IDS if SECRET.days_back(one) == days_back)

    assert SECRET.shifted_year(PartialDate(2020, 1), record_id=record_id) == year


@pytest.mark.parametrize(("age", "shown"), [(0, 0), (89, 89), (90, 90), (91, 90), (104, 90)])
def test_ages_above_89_are_shown_as_90(age, shown):
    assert shown_age(age) == shown
