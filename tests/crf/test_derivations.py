from datetime import date
from decimal import Decimal

import pytest

from crf.derivations import completed_years, index_date, mean_daily_dose, months_between, visit_response


@pytest.mark.parametrize(
    ("clearance", "new_lesions", "response"),
    [
        ("100", False, "CR"),
        ("95.1", False, "CR"),
        ("95", False, "PR"),
        ("50", False, "PR"),
        ("49.9", False, "NR"),
        ("0", False, "NR"),
        ("100", True, "NR"),
        ("50", True, "NR"),
    ],
)
def test_the_response_changes_just_above_95_and_at_50_percent_and_new_lesions_are_none(
    clearance, new_lesions, response
):
    assert visit_response(clearance=Decimal(clearance), new_lesions=new_lesions) == response


@pytest.mark.parametrize("clearance", ["-0.1", "100.1"])
def test_a_clearance_that_is_no_percentage_has_no_response(clearance):
    with pytest.raises(ValueError, match="percentage"):
        visit_response(clearance=Decimal(clearance), new_lesions=False)


@pytest.mark.parametrize(
    ("schedule", "mean"), [("daily", "10"), ("alternate_days", "5"), ("d21_28", "7.5"), ("other", "10")]
)
def test_the_mean_daily_dose_counts_the_days_with_a_dose(schedule, mean):
    assert mean_daily_dose(dose_mg=Decimal(10), dose_schedule=schedule) == Decimal(mean)


def test_an_unknown_schedule_has_no_mean():
    with pytest.raises(KeyError):
        mean_daily_dose(dose_mg=Decimal(10), dose_schedule="weekly")


@pytest.mark.parametrize(
    ("doses", "first"),
    [
        ([], None),
        ([(date(2012, 2, 6), Decimal(0))], None),
        ([(date(2012, 2, 6), None), (None, Decimal(5))], None),
        ([(date(2012, 2, 6), Decimal(0)), (date(2012, 3, 6), Decimal(5))], date(2012, 3, 6)),
        ([(date(2013, 1, 1), Decimal(5)), (date(2012, 2, 6), Decimal("0.01"))], date(2012, 2, 6)),
    ],
)
def test_the_index_date_is_the_first_day_with_a_dose_above_0(doses, first):
    assert index_date(doses) == first


@pytest.mark.parametrize(
    ("birth", "on", "years"),
    [
        (date(1980, 6, 15), date(2020, 6, 14), 39),
        (date(1980, 6, 15), date(2020, 6, 15), 40),
        (date(1980, 2, 29), date(2019, 2, 28), 38),
        (date(1980, 2, 29), date(2019, 3, 1), 39),
        (date(2020, 6, 15), date(2020, 6, 15), 0),
    ],
)
def test_a_year_is_completed_on_the_birthday(birth, on, years):
    assert completed_years(birth_date=birth, on=on) == years


def test_a_month_has_30_and_seven_sixteenths_days():
    assert months_between(date(2020, 1, 1), date(2021, 5, 2)) == 16.0
    assert months_between(date(2020, 1, 2), date(2020, 1, 1)) < 0
