import pytest

from exports.endpoints.chart import Chart
from exports.endpoints.cohort import exact_interval, summarise, summarise_cohort
from tests.exports.endpoints.charts import dose, event, member_of, treated_chart, visits
from tests.exports.endpoints.cohort19 import members_of_cohort19

KEYS = [
    "enrolled",
    "treated",
    "male",
    "female",
    "discoid",
    "age",
    "prior",
    "prior_thalidomide",
    "cr",
    "pr",
    "nr",
    "ne",
    "responders",
    "months_to_bor",
    "months_to_bor_cr",
    "months_to_bor_pr",
    "cr_months",
    "sustained_cr",
    "responders_on_treatment",
    "relapsed",
    "relapsed_after_dose_reduction",
    "any_ae",
    "serious_ae",
    "ae_discontinued",
    "ae_dose_reduced",
    "neuropathy",
    "thrombosis",
    "lupus_flare",
    "changed_without_relapse",
    "changed_without_relapse_for",
    "intervals",
    "kaplan_meier",
]
pytestmark = pytest.mark.slow  # scipy and lifelines take seconds to load
NO_SPREAD = {"n": 0, "median": None, "min": None, "max": None}


def summary_of(*charts: Chart):
    return summarise([member_of(chart) for chart in charts])


def complete_responder(*, doses=None, after=((400, "98"),), **facts) -> Chart:
    return treated_chart(doses=doses, assessments=visits((30, "98"), *after), **facts)


@pytest.mark.parametrize(
    ("n", "of", "percent", "low", "high"),
    [
        (17, 19, 89.47, 66.86, 98.70),
        (12, 19, 63.16, 38.36, 83.71),
        (0, 19, 0, 0, 17.65),
        (19, 19, 100, 82.35, 100),
        (1, 1, 100, 2.5, 100),
    ],
)
def test_intervals_are_exact(n, of, percent, low, high):
    interval = exact_interval(n, of=of)

    assert (interval["n"], interval["of"]) == (n, of)
    assert [interval["percent"], interval["low"], interval["high"]] == pytest.approx([percent, low, high], abs=0.006)


@pytest.mark.parametrize(("n", "of"), [(0, 1), (3, 10), (57, 76), (12, 19), (500, 1000)])
def test_intervals_are_those_of_the_binomial_test(n, of):
    from scipy.stats import binomtest  # noqa: PLC0415 -- slow import

    expected = binomtest(n, of).proportion_ci(0.95, method="exact")

    interval = exact_interval(n, of=of)

    assert [interval["low"], interval["high"]] == pytest.approx([100 * expected.low, 100 * expected.high], abs=1e-6)


def test_a_proportion_of_nobody_is_null():
    assert exact_interval(0, of=0) == {"n": 0, "of": 0, "percent": None, "low": None, "high": None}


@pytest.mark.parametrize(("n", "of"), [(-1, 5), (6, 5), (1, 0)])
def test_more_than_all_or_fewer_than_none_is_an_error(n, of):
    with pytest.raises(ValueError, match="no proportion"):
        exact_interval(n, of=of)


def test_a_cohort_of_nobody_has_zeros_and_nulls():
    summary = summarise([])

    measures = ("age", "prior", "months_to_bor", "months_to_bor_cr", "months_to_bor_pr", "cr_months")
    assert [summary[name] for name in measures] == [NO_SPREAD] * 6
    assert {summary[name] for name in KEYS if isinstance(summary[name], int)} == {0}
    assert {interval["percent"] for interval in summary["intervals"].values()} == {None}
    assert {curve["median"] for curve in summary["kaplan_meier"].values()} == {None}


def test_a_summary_has_the_keys_of_the_specification():
    assert list(summarise([])) == KEYS


def test_an_untreated_patient_is_enrolled_and_in_no_other_figure():
    untreated = treated_chart(doses=[dose(mg="0")], sex="M", events=[event(serious=True)])

    assert summary_of(untreated) == summarise([]) | {"enrolled": 1}


def test_medians_are_the_mean_of_the_two_middle_values():
    charts = [treated_chart(assessments=visits((on, "98"))) for on in (30, 60, 90, 400)]

    spread = summary_of(*charts)["months_to_bor"]

    days = {name: value * 30.4375 for name, value in spread.items() if name != "n"}
    assert spread["n"] == 4
    assert days == pytest.approx({"median": 75, "min": 30, "max": 400})


@pytest.mark.parametrize(
    ("chart", "counted_for"),
    [
        (complete_responder(doses=[dose(0, 99), dose(100, mg="2.5", reason="adverse_event")]), "adverse_event"),
        (
            complete_responder(doses=[dose(0, 99), dose(100, mg="2.5", reason="sustained_response")]),
            "sustained_response",
        ),
        (complete_responder(doses=[dose(0, 99, stop="adverse_event")]), "adverse_event"),
        (complete_responder(doses=[dose(0, 99, stop="sustained_response")]), "sustained_response"),
        (
            complete_responder(
                doses=[dose(0, 9), dose(10, 99, mg="2.5", reason="sustained_response", stop="adverse_event")]
            ),
            "adverse_event",
        ),
        (complete_responder(doses=[dose(0, 99, stop="patient_decision")]), None),
        (complete_responder(), None),
        (complete_responder(doses=[dose(0, 99, stop="adverse_event")], after=[(400, "20")]), None),
        (treated_chart(doses=[dose(0, 99, stop="adverse_event")]), None),
    ],
)
def test_a_change_without_relapse_is_for_an_adverse_event_or_a_lasting_response(chart, counted_for):
    summary = summary_of(chart)

    expected = {"adverse_event": 0, "sustained_response": 0} | ({counted_for: 1} if counted_for else {})
    assert summary["changed_without_relapse_for"] == expected
    assert summary["changed_without_relapse"] == (1 if counted_for else 0)


def test_only_responders_count_as_still_treated():
    summary = summary_of(treated_chart(), complete_responder(), complete_responder(doses=[dose(0, 99)]))

    assert (summary["treated"], summary["responders"], summary["responders_on_treatment"]) == (3, 2, 1)


def test_without_a_response_time_to_bor_is_censored_at_the_last_evaluable_assessment():
    never_seen, no_response = treated_chart(), treated_chart(assessments=visits((30, "20"), (90, "40")))
    responder = treated_chart(assessments=visits((60, "98")))

    curve = summary_of(never_seen, no_response, responder)["kaplan_meier"]["months_to_bor"]

    assert (curve["n"], curve["events"], curve["median"]) == (3, 1, 60 / 30.4375)
    assert curve["timeline"] == [0, 60 / 30.4375, 90 / 30.4375]
    assert curve["survival"] == [1, 0.5, 0.5]
    assert curve["at_risk"] == [{"months": 0, "n": 3}, {"months": 1, "n": 2}, {"months": 2, "n": 1}]


def test_a_cohort_is_summarised_overall_and_by_site_in_order():
    cohort = summarise_cohort(members_of_cohort19())

    assert list(cohort["by_site"]) == ["MTP", "NIM", "STR"]
    assert [site["treated"] for site in cohort["by_site"].values()] == [11, 4, 4]
    assert cohort["overall"] == summarise(members_of_cohort19())
    for name in ("male", "discoid", "cr", "pr", "ne", "relapsed", "any_ae", "changed_without_relapse"):
        assert sum(site[name] for site in cohort["by_site"].values()) == cohort["overall"][name]


def test_a_cohort_without_patients_has_no_sites():
    assert summarise_cohort([]) == {"overall": summarise([]), "by_site": {}}
