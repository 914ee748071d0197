from datetime import date
from decimal import Decimal

import pytest

from crf.derivations import completed_years, index_date, mean_daily_dose, months_between, visit_response


@pytest.mark.parametrize(
    ("clearance", "response"),
    [
        ("100", "CR"),
        ("95.1", "CR"),
        ("95", "PR"),
        ("94.9", "PR"),
        ("50.1", "PR"),
        ("50", "PR"),
        ("49.9", "NR"),
        ("0", "NR"),
    ],
)
def test_the_response_changes_just_above_95_and_at_50_percent(clearance, response):
    assert visit_response(clearance=Decimal(clearance), new_lesions=False) == response


@pytest.mark.parametrize("clearance", ["0", "50", "95.1", "100"])
def test_new_lesions_are_no_response_whatever_has_cleared(clearance):
    assert visit_response(clearance=Decimal(clearance), new_lesions=True) == "NR"


@pytest.mark.parametrize("clearance", ["-0.1", "100.1"])
def test_a_clearance_outside_0_to_100_is_an_error(clearance):
    with pytest.raises(ValueError, match="from 0 to 100"):
        visit_response(clearance=Decimal(clearance), new_lesions=False)


@pytest.mark.parametrize(
    ("dose_mg", "schedule", "mean"),
    [
        ("10", "daily", "10"),
        ("10", "alternate_days", "5"),
        ("10", "d21_28", "7.5"),
        ("10", "other", "10"),
        ("0", "daily", "0"),
    ],
)
def test_the_mean_daily_dose_follows_the_schedule(dose_mg, schedule, mean):
    assert mean_daily_dose(dose_mg=Decimal(dose_mg), dose_schedule=schedule) == Decimal(mean)


@pytest.mark.parametrize(("dose_mg", "schedule"), [(None, "daily"), (Decimal(5), None), (None, None)])
def test_a_row_without_dose_or_schedule_has_no_mean_daily_dose(dose_mg, schedule):
    assert mean_daily_dose(dose_mg=dose_mg, dose_schedule=schedule) is None


def test_an_unknown_schedule_is_an_error_and_not_a_guess():
    with pytest.raises(KeyError):
        mean_daily_dose(dose_mg=Decimal(5), dose_schedule="weekly")


@pytest.mark.parametrize(
    ("doses", "first_day"),
    [
        ([], None),
        ([(date(2020, 1, 1), Decimal(0))], None),
        ([(date(2020, 1, 1), None)], None),
        ([(None, Decimal(5))], None),
        ([(date(2020, 3, 1), Decimal(5)), (date(2020, 2, 1), Decimal("0.01"))], date(2020, 2, 1)),
        ([(date(2020, 1, 1), Decimal(0)), (date(2020, 2, 1), Decimal(5))], date(2020, 2, 1)),
    ],
)
def test_the_index_date_is_the_first_day_with_a_dose_above_0(doses, first_day):
    assert index_date(doses) == first_day


@pytest.mark.parametrize(
    ("birth", "on", "years"),
    [
        (date(1980, 6, 15), date(2020, 6, 14), 39),
        (date(1980, 6, 15), date(2020, 6, 15), 40),
        (date(1980, 6, 15), date(2020, 6, 16), 40),
        (date(1980, 2, 29), date(2019, 2, 28), 38),
        (date(1980, 2, 29), date(2019, 3, 1), 39),
        (date(1980, 2, 29), date(2020, 2, 29), 40),
    ],
)
def test_a_year_of_age_is_completed_on_the_birthday(birth, on, years):
    assert completed_years(birth_date=birth, on=on) == years


def test_a_month_has_30_and_seven_sixteenths_days():
    assert months_between(date(2020, 1, 1), date(2021, 5, 2)) == 16.0
