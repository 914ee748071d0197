from decimal import Decimal

import pytest

from exports.endpoints.treatment import dose_in_force, periods_of
from tests.exports.endpoints.charts import day, dose, iso, outcome, visit, visits


@pytest.mark.parametrize(
    ("doses", "treated"),
    [
        ([], False),
        ([dose(mg="0")], False),
        ([dose(mg="0.01")], True),
        ([dose(mg=None)], False),
        ([dose(schedule=None)], False),
        ([dose(start=None, end=30)], False),
        ([dose(0, 9, mg="0"), dose(10, mg="5", instance=2)], True),
    ],
)
def test_a_patient_is_treated_from_one_active_period_on(doses, treated):
    assert outcome(doses=doses)["treated"] is treated


def test_the_index_date_is_the_first_day_of_the_first_active_period_in_time():
    doses = [dose(50, instance=1), dose(20, 49, instance=2), dose(0, 19, mg="0", instance=3)]

    assert outcome(doses=doses)["index_date"] == iso(20)


@pytest.mark.parametrize(
    ("facts", "assessments", "doses", "last_contact"),
    [
        ({"last_contact_date": day(5)}, visits((90, "0")), [dose(0)], 5),
        ({"last_contact_date": None}, visits((90, "0")), [dose(0, 60)], 90),
        ({"last_contact_date": None}, visits((30, "0")), [dose(0, 60)], 60),
        ({"last_contact_date": None}, visits((30, "0")), [dose(0, 10), dose(70, instance=2)], 70),
        ({"last_contact_date": None}, [visit(80, None, new=None)], [dose(0, 60)], 80),
        ({"last_contact_date": None}, [], [dose(0, 60), dose(None, 99, instance=2)], 60),
        ({"last_contact_date": None}, [], [dose(0, 60), dose(65, 70, mg=None, instance=2)], 70),
        ({"last_contact_date": None}, [visit(None, "0")], [dose(0)], 0),
    ],
)
def test_the_last_contact_is_as_recorded_or_else_the_latest_dated_day(facts, assessments, doses, last_contact):
    found = outcome(assessments=assessments, doses=doses, **facts)

    assert found["last_contact"] == iso(last_contact)


@pytest.mark.parametrize(("last_day", "treatment_end"), [(99, 99), (100, None), (101, None), (None, None)])
def test_a_treatment_ends_only_before_the_day_of_last_news(last_day, treatment_end):
    found = outcome(doses=[dose(0, last_day, stop="adverse_event")], last_contact_date=day(100))

    assert found["treatment_end"] == (None if treatment_end is None else iso(treatment_end))
    assert found["on_treatment"] is (treatment_end is None)
    assert found["discontinued_for"] == (None if treatment_end is None else "adverse_event")


def test_a_treatment_whose_end_is_the_last_thing_known_goes_on():
    found = outcome(doses=[dose(0, 100)], assessments=visits((90, "98")), last_contact_date=None)

    assert found["on_treatment"] is True


def test_an_interruption_is_no_discontinuation_while_a_later_active_period_exists():
    doses = [dose(0, 49), dose(50, 79, mg="0", instance=2), dose(80, instance=3)]

    assert outcome(doses=doses)["treatment_end"] is None


def test_an_interruption_that_nothing_follows_is_a_discontinuation():
    doses = [dose(0, 49, stop="adverse_event"), dose(50, None, mg="0", stop="other", instance=2)]

    found = outcome(doses=doses)

    assert (found["treatment_end"], found["discontinued_for"]) == (iso(49), "adverse_event")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (dose(50, mg="4.99", reason="adverse_event", instance=2), "adverse_event"),
        (dose(50, mg="5", reason="adverse_event", instance=2), None),
        (dose(50, mg="10", reason="adverse_event", instance=2), None),
        (dose(50, mg="10", schedule="alternate_days", reason="adverse_event", instance=2), None),
        (dose(50, mg="5", schedule="d21_28", reason="sustained_response", instance=2), "sustained_response"),
        (dose(50, mg="0", reason="adverse_event", instance=2), None),
    ],
)
def test_a_dose_is_reduced_when_an_active_period_is_below_the_one_before(second, reason):
    assert outcome(doses=[dose(0, 49, mg="5"), second])["dose_reduced_for"] == reason


def test_a_reduction_counts_across_an_interruption():
    doses = [dose(0, 9), dose(10, 19, mg="0", instance=2), dose(20, mg="2.5", reason="resumption", instance=3)]

    assert outcome(doses=doses)["dose_reduced_for"] == "resumption"


def test_the_first_of_two_reductions_gives_the_reason():
    doses = [
        dose(0, 9, mg="10"),
        dose(10, 19, mg="5", reason="adverse_event", instance=2),
        dose(20, mg="2.5", reason="sustained_response", instance=3),
    ]

    assert outcome(doses=doses)["dose_reduced_for"] == "adverse_event"


@pytest.mark.parametrize(
    ("on", "mg"), [(-1, "0"), (0, "5"), (9, "5"), (10, "0"), (19, "0"), (20, "10"), (29, "10"), (30, "0"), (5000, "0")]
)
def test_a_dose_is_in_force_from_its_first_to_its_last_day(on, mg):
    periods = periods_of([dose(0, 9), dose(20, 29, mg="10", instance=2)])

    assert dose_in_force(periods, day=day(on)) == Decimal(mg)


def test_of_two_overlapping_periods_the_one_that_began_last_is_in_force():
    periods = periods_of([dose(10, 19, mg="10", instance=1), dose(0, 29, mg="5", instance=2)])

    assert [dose_in_force(periods, day=day(on)) for on in (9, 10, 19, 20)] == [5, 10, 10, 5]


def test_a_dose_without_last_day_is_in_force_ever_after():
    assert dose_in_force(periods_of([dose(0)]), day=day(5000)) == 5
