import pytest

from tests.exports.endpoints.charts import dose, iso, outcome, visit, visits

MONTH = 30.4375


@pytest.mark.parametrize(
    ("assessment", "bor"),
    [
        (visit(1, "98"), "CR"),
        (visit(0, "98"), "NE"),
        (visit(-1, "98"), "NE"),
        (visit(None, "98"), "NE"),
        (visit(1, None), "NE"),
        (visit(1, "98", new=None), "NE"),
        (visit(1, "98", new=True), "NR"),
    ],
)
def test_an_assessment_is_evaluable_after_the_index_date_with_both_values_recorded(assessment, bor):
    assert outcome(assessments=[assessment])["bor"] == bor


@pytest.mark.parametrize(
    ("seen", "bor", "bor_day"),
    [
        ([], "NE", None),
        ([(30, "20"), (60, "40")], "NR", None),
        ([(30, "70"), (60, "40"), (90, "80")], "PR", 30),
        ([(30, "70"), (60, "98"), (90, "100")], "CR", 60),
        ([(60, "98"), (30, "98")], "CR", 30),
    ],
)
def test_the_bor_is_the_best_response_on_the_first_day_it_was_reached(seen, bor, bor_day):
    found = outcome(assessments=visits(*seen))

    assert (found["bor"], found["responder"]) == (bor, bor in ("CR", "PR"))
    assert found["bor_date"] == (None if bor_day is None else iso(bor_day))
    assert found["months_to_bor"] == (None if bor_day is None else bor_day / MONTH)


@pytest.mark.parametrize(("on", "bor"), [(129, "CR"), (130, "CR"), (131, "NR")])
def test_the_bor_window_closes_30_days_after_the_end_of_the_treatment(on, bor):
    found = outcome(doses=[dose(0, 100)], assessments=visits((50, "20"), (on, "98")))

    assert found["bor"] == bor


def test_a_patient_seen_only_after_the_window_is_not_evaluable():
    assert outcome(doses=[dose(0, 100)], assessments=visits((131, "98")))["bor"] == "NE"


@pytest.mark.parametrize(
    ("doses", "adjusted"),
    [
        ([dose(0)], False),
        ([dose(0, 60), dose(61, mg="10", instance=2)], False),
        ([dose(0, 59), dose(60, mg="10", instance=2)], True),
        ([dose(0, 59), dose(60, mg="2.5", instance=2)], True),
        ([dose(0, 59), dose(60, mg="10", schedule="alternate_days", instance=2)], False),
        ([dose(0, 29), dose(30, 40, mg="10", instance=2), dose(41, mg="5", instance=3)], False),
        ([dose(0, 59), dose(60, 80, mg="0", instance=2), dose(81, instance=3)], True),
        ([dose(0, 59), dose(61, instance=2)], True),
    ],
)
def test_the_bor_came_after_adjustment_when_another_dose_than_the_first_is_in_force(doses, adjusted):
    assert outcome(doses=doses, assessments=visits((60, "98")))["bor_after_adjustment"] is adjusted


@pytest.mark.parametrize(
    ("later", "relapsed"),
    [
        (visit(90, "50", instance=2), False),
        (visit(90, "49.9", instance=2), True),
        (visit(90, "100", new=True, instance=2), True),
        (visit(90, "49.9", new=None, instance=2), False),
        (visit(90, None, new=True, instance=2), False),
        (visit(30, "20", instance=2), False),
        (visit(60, "20", instance=2), True),
        (visit(60, "20", instance=0), False),
    ],
)
def test_a_responder_relapses_after_the_bor_below_50_percent_or_with_new_lesions(later, relapsed):
    found = outcome(assessments=[visit(60, "98"), later])

    assert found["relapsed"] is relapsed
    assert found["relapse_date"] == (later.lesion_date.isoformat() if relapsed else None)


def test_the_first_of_two_relapses_is_the_relapse():
    found = outcome(assessments=visits((30, "98"), (60, "20"), (90, "98"), (120, "10")))

    assert (found["relapse_date"], found["months_to_relapse_or_censor"]) == (iso(60), 30 / MONTH)


def test_a_responder_without_relapse_is_censored_at_the_last_evaluable_assessment():
    seen = [visit(30, "98"), visit(90, "70", instance=2), visit(120, None, instance=3)]

    found = outcome(assessments=seen)

    assert (found["relapsed"], found["months_to_relapse_or_censor"]) == (False, 60 / MONTH)


def test_the_follow_up_of_a_response_goes_on_beyond_the_bor_window():
    found = outcome(doses=[dose(0, 100)], assessments=visits((30, "98"), (90, "98"), (500, "98")))

    assert (found["months_to_relapse_or_censor"], found["cr_months"]) == (470 / MONTH, 470 / MONTH)


def test_a_response_at_the_last_assessment_is_censored_at_once():
    assert outcome(assessments=visits((30, "70")))["months_to_relapse_or_censor"] == 0


def test_a_relapse_is_looked_for_beyond_the_bor_window():
    found = outcome(doses=[dose(0, 100)], assessments=visits((90, "98"), (500, "20")))

    assert (found["relapse_date"], found["relapse_setting"]) == (iso(500), "after_discontinuation")


@pytest.mark.parametrize(
    ("doses", "setting"),
    [
        ([dose(0)], "on_stable_dose"),
        ([dose(0, 59, mg="5"), dose(60, mg="10", instance=2)], "on_stable_dose"),
        ([dose(0, 59, mg="5"), dose(60, mg="2.5", instance=2)], "after_dose_reduction"),
        ([dose(0, 90, mg="5"), dose(91, mg="2.5", instance=2)], "on_stable_dose"),
        ([dose(0, 59, mg="5"), dose(60, 95, mg="0", instance=2), dose(96, instance=3)], "after_dose_reduction"),
        ([dose(0, 89)], "after_discontinuation"),
        ([dose(0, 90)], "on_stable_dose"),
        ([dose(0, 59, mg="5"), dose(60, 89, mg="2.5", instance=2)], "after_discontinuation"),
    ],
)
def test_the_setting_of_a_relapse_on_day_90_after_a_bor_on_day_30(doses, setting):
    found = outcome(doses=doses, assessments=visits((30, "98"), (90, "20")))

    assert found["relapse_setting"] == setting


@pytest.mark.parametrize(
    ("seen", "cr_lost", "cr_days", "sustained"),
    [
        ([(30, "98")], False, 0, True),
        ([(30, "98"), (90, "95.1")], False, 60, True),
        ([(30, "98"), (90, "95")], True, 60, False),
        ([(30, "98"), (60, "70"), (90, "98")], True, 30, False),
        ([(30, "98"), (60, "98"), (90, "20"), (120, "98")], True, 60, False),
        ([(30, "70"), (60, "70")], None, None, False),
        ([(30, "20")], None, None, False),
        ([], None, None, False),
    ],
)
def test_a_complete_response_lasts_to_the_first_assessment_that_is_not(seen, cr_lost, cr_days, sustained):
    found = outcome(assessments=visits(*seen))

    assert (found["cr_lost"], found["sustained_cr"]) == (cr_lost, sustained)
    assert found["cr_months"] == (None if cr_days is None else cr_days / MONTH)


def test_a_complete_response_lost_without_relapse_is_lost_all_the_same():
    found = outcome(assessments=visits((30, "98"), (60, "70")))

    assert (found["cr_lost"], found["relapsed"]) == (True, False)


@pytest.mark.parametrize("seen", [[], [(30, "20")]])
def test_relapse_does_not_apply_without_a_response(seen):
    found = outcome(assessments=visits(*seen))

    names = ("relapsed", "relapse_date", "relapse_setting", "months_to_relapse_or_censor", "bor_after_adjustment")
    assert [found[name] for name in names] == [None] * 5


@pytest.mark.parametrize(("first", "second", "relapsed"), [("98", "20", True), ("20", "98", False)])
def test_two_assessments_on_one_day_are_ordered_by_instance(first, second, relapsed):
    seen = [visit(30, second, instance=2), visit(30, first, instance=1)]

    assert outcome(assessments=seen)["relapsed"] is relapsed
