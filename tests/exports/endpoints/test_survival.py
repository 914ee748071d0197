import pytest

from exports.endpoints.survival import kaplan_meier, numbers_at_risk

# Weeks to relapse under 6-mercaptopurine (Freireich 1963), the textbook example; + is censored.
WEEKS = [
    "6",
    "6",
    "6",
    "6+",
    "7",
    "9+",
    "10",
    "10+",
    "11+",
    "13",
    "16",
    "17+",
    "19+",
    "20+",
    "22",
    "23",
    "25+",
    "32+",
    "32+",
    "34+",
    "35+",
]


def estimate(times: list[str]):
    return kaplan_meier([float(time.rstrip("+")) for time in times], observed=[time[-1] != "+" for time in times])


@pytest.mark.slow
def test_the_textbook_example_comes_out():
    curve = estimate(WEEKS)

    assert (curve["n"], curve["events"]) == (21, 9)
    assert (curve["median"], curve["low"], curve["high"]) == (23, 13, None)
    assert curve["timeline"] == [0, 6, 7, 10, 13, 16, 22, 23, 35]
    published = [1, 0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482, 0.4482]
    assert curve["survival"] == pytest.approx(published, abs=0.0001)
    assert curve["at_risk"] == [
        {"months": 0, "n": 21},
        {"months": 6, "n": 21},
        {"months": 12, "n": 12},
        {"months": 18, "n": 9},
        {"months": 24, "n": 5},
        {"months": 30, "n": 4},
    ]


def test_a_curve_over_nobody_is_empty():
    assert kaplan_meier([], observed=[]) == {
        "n": 0,
        "events": 0,
        "median": None,
        "low": None,
        "high": None,
        "timeline": [],
        "survival": [],
        "at_risk": [],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "median", "timeline", "survival"),
    [
        (["0+", "0+"], None, [0], [1]),
        (["3+"], None, [0, 3], [1, 1]),
        (["3"], 3, [0, 3], [1, 0]),
        (["0"], 0, [0], [0]),
        (["1", "2", "3+"], 2, [0, 1, 2, 3], pytest.approx([1, 2 / 3, 1 / 3, 1 / 3])),
        (["1", "2+", "3+"], None, [0, 1, 3], pytest.approx([1, 2 / 3, 2 / 3])),
    ],
)
def test_small_and_one_sided_groups_have_a_curve(times, median, timeline, survival):
    curve = estimate(times)

    assert curve["median"] == median
    assert (curve["timeline"], curve["survival"]) == (timeline, survival)


def test_a_duration_that_is_not_marked_is_an_error():
    with pytest.raises(ValueError, match="observed or censored"):
        kaplan_meier([1.0, 2.0], observed=[True])


@pytest.mark.parametrize(
    ("last", "marks"),
    [
        (0, [0]),
        (0.9, [0]),
        (9.9, list(range(10))),
        (10, [0, 2, 4, 6, 8, 10]),
        (59.9, list(range(0, 60, 6))),
        (60, [0, 12, 24, 36, 48, 60]),
        (1500, list(range(0, 1501, 120))),
    ],
)
def test_numbers_at_risk_stand_at_evenly_spaced_whole_months(last, marks):
    assert [mark["months"] for mark in numbers_at_risk([last])] == marks


def test_a_patient_is_at_risk_until_the_day_of_the_event_or_censoring():
    assert [mark["n"] for mark in numbers_at_risk([1.9, 2.0, 2.1, 3.5])] == [4, 4, 3, 1]
