# ruff: noqa: RUF001 -- digits and signs of other scripts are what is tested

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crf.partial_dates import PartialDate, Precision, certainly_before

NOT_DATES = [
    "",
    " ",
    "2023 ",
    " 2023",
    "2023\n",
    "202",
    "20234",
    "0000",
    "2023-",
    "2023-1",
    "2023-00",
    "2023-13",
    "2023-02-29",
    "2023-02-00",
    "2023-04-31",
    "2023-02-1",
    "2023-02-011",
    "2023/02/01",
    "20230201",
    "-2023",
    "+2023",
    "2023-W05",
    "2023-032",
    "2023-02-01T00:00",
    "٢٠٢٣",
    "2023-０２",
    "2023-02-01Z",
    "UNK",
    "2023-UN-UN",
    "2023\x00",
    "2023‐02",
]
"""The last holds a Unicode hyphen."""


@pytest.mark.parametrize(
    ("text", "precision", "earliest", "latest"),
    [
        ("2023", Precision.YEAR, date(2023, 1, 1), date(2023, 12, 31)),
        ("2023-02", Precision.MONTH, date(2023, 2, 1), date(2023, 2, 28)),
        ("2024-02", Precision.MONTH, date(2024, 2, 1), date(2024, 2, 29)),
        ("2024-02-29", Precision.DAY, date(2024, 2, 29), date(2024, 2, 29)),
        ("0001", Precision.YEAR, date(1, 1, 1), date(1, 12, 31)),
        ("9999-12", Precision.MONTH, date(9999, 12, 1), date(9999, 12, 31)),
    ],
)
def test_a_partial_date_knows_its_precision_and_the_days_it_may_be(text, precision, earliest, latest):
    found = PartialDate.parse(text)

    assert (found.precision, found.earliest, found.latest, str(found)) == (precision, earliest, latest, text)


@pytest.mark.parametrize("text", NOT_DATES)
def test_what_is_no_date_of_the_calendar_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        PartialDate.parse(text)


def test_a_day_without_its_month_is_refused():
    with pytest.raises(ValueError, match="month"):
        PartialDate(2023, None, 5)


def test_of_two_that_begin_together_the_less_precise_comes_first():
    dates = ["2022-12-31", "2023", "2023-01", "2023-01-01", "2023-01-02", "2023-02", "2024"]

    assert all(PartialDate.parse(left) < PartialDate.parse(right) for left, right in pairwise(dates))
    assert sorted(map(PartialDate.parse, reversed(dates))) == list(map(PartialDate.parse, dates))


def test_two_of_the_same_text_are_equal_and_two_of_other_precision_are_not():
    assert PartialDate.parse("2023-01") == PartialDate(2023, 1)
    assert hash(PartialDate.parse("2023-01")) == hash(PartialDate(2023, 1))
    assert PartialDate.parse("2023-01") != PartialDate.parse("2023")


@pytest.mark.parametrize(
    ("end", "start", "certain"),
    [
        ("2022", "2023", True),
        ("2023", "2023", False),
        ("2023", "2023-12-31", False),
        ("2022-12-31", "2023", True),
        ("2023-01", "2023-02-01", True),
        ("2023-02", "2023-02-28", False),
        ("2023-02-27", "2023-02-28", True),
        ("2023-02-28", "2023-02-28", False),
        ("2023-03-01", "2023-02-28", False),
        (None, "2023", False),
        ("2023", None, False),
    ],
)
def test_an_end_is_before_a_start_only_when_no_day_of_the_two_says_otherwise(end, start, certain):
    dates = [PartialDate.parse(text) if text else None for text in (end, start)]

    assert certainly_before(*dates) is certain


@given(st.dates(), st.sampled_from([4, 7, 10]), st.dates(), st.sampled_from([4, 7, 10]))
def test_the_order_is_that_of_the_texts_and_the_span_holds_the_day(one, one_length, other, other_length):
    left, right = one.isoformat()[:one_length], other.isoformat()[:other_length]
    a, b = PartialDate.parse(left), PartialDate.parse(right)

    assert a.earliest <= one <= a.latest
    assert (a < b, a == b, a > b) == (left < right, left == right, left > right)
    assert a <= b or a.earliest >= b.earliest
