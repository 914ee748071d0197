import pytest

from exports.endpoints.cohort import summarise
from exports.endpoints.published import Figure, half_up, table_lines
from tests.exports.endpoints.cohort19 import members_of_cohort19

PUBLISHED = [
    ("Patients treated", "19"),
    ("Men", "4"),
    ("Women", "15"),
    ("Chronic discoid lupus", "12"),
    ("Age at first dose, median (years)", "43"),
    ("Prior systemic treatments, median (range)", "6 (2-12)"),
    ("Prior thalidomide", "16/19"),
    ("Complete response", "12 (63.2%)"),
    ("Partial response", "5 (26.3%)"),
    ("Overall response", "17 (89.5%)"),
    ("Not evaluable", "2"),
    ("Months to BOR, complete, median (range)", "3 (1-9)"),
    ("Months to BOR, partial, median (range)", "3 (1-9)"),
    ("Duration of complete response, median (months)", "14"),
    ("Responders still treated at last news", "15/17"),
    ("Sustained complete response", "10"),
    ("Relapse among responders", "4"),
    ("... after a dose reduction", "1"),
    ("Dose reduced or drug stopped, no relapse", "4"),
    ("... for an adverse event", "1"),
    ("... for a lasting response", "3"),
    ("Any adverse event", "12"),
    ("Serious adverse event", "5"),
    ("Discontinuation for an adverse event", "3"),
    ("Dose reduction for an adverse event", "2"),
    ("Neuropathy", "0"),
    ("Thrombosis", "0"),
    ("Systemic flare", "1"),
]


@pytest.mark.slow
def test_the_nineteen_cases_give_every_published_figure():
    overall = summarise(members_of_cohort19())

    assert table_lines(overall) == [Figure(label, text, text, True) for label, text in PUBLISHED]


@pytest.mark.slow
def test_one_patient_fewer_shows_as_figures_that_differ():
    overall = summarise(members_of_cohort19()[1:])

    different = {line.label: line.value_text for line in table_lines(overall) if not line.matches}

    assert different["Patients treated"] == "18"
    assert different["Complete response"] == "11 (61.1%)"


def test_a_cohort_of_nobody_prints():
    lines = {line.label: line.value_text for line in table_lines(summarise([]))}

    assert lines["Age at first dose, median (years)"] == "n/a"
    assert lines["Prior systemic treatments, median (range)"] == "n/a"
    assert lines["Complete response"] == "0 (n/a)"
    assert lines["Months to BOR, complete, median (range)"] == "n/a"
    assert lines["Duration of complete response, median (months)"] == "n/a"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (2.5, 0, "3"),
        (3.5, 0, "4"),
        (2.4999, 0, "2"),
        (0.5, 0, "1"),
        (0.0, 0, "0"),
        (62.25, 1, "62.3"),
        (62.35, 1, "62.4"),
        (100.0, 1, "100.0"),
    ],
)
def test_halves_are_rounded_up(value, decimals, text):
    assert half_up(value, decimals=decimals) == text
