from datetime import date

import pytest

from tests.exports.endpoints.charts import dose, event, outcome, prior, visit, visits


def evidence(**rows):
    """The rows behind each outcome, as "form instance"; outcomes without any left out."""
    found = outcome(**rows)["evidence"]
    return {name: [f"{row.form} {row.instance}" for row in rows] for name, rows in found.items() if rows}


def test_a_patient_without_any_visit_rests_on_the_dose_and_the_patient_form():
    assert evidence(doses=[dose(instance=3)], birth_date=date(1980, 1, 1)) == {
        "treated": ["dosing 3"],
        "index_date": ["dosing 3"],
        "age_at_start": ["patient 1", "dosing 3"],
        "last_contact": ["patient 1"],
        "treatment_end": ["dosing 3"],
        "on_treatment": ["dosing 3"],
    }


def test_an_end_of_treatment_is_held_against_the_last_contact():
    found = evidence(doses=[dose(0, 90)])

    assert found["treatment_end"] == found["on_treatment"] == ["dosing 1", "patient 1"]
    assert found["discontinued_for"] == ["dosing 1"]


def test_a_last_contact_that_is_not_recorded_rests_on_every_row_of_that_day():
    doses = [dose(0, 90), dose(120, instance=2)]
    seen = [visit(120, None, instance=4), visit(60, "98", instance=5)]

    found = evidence(doses=doses, assessments=seen, last_contact_date=None)

    assert found["last_contact"] == ["lesion_assessment 4", "dosing 2"]


def test_a_dose_reduction_names_both_periods():
    doses = [dose(0, 9, mg="5"), dose(10, 19, mg="10", instance=2), dose(20, mg="5", instance=3)]

    assert evidence(doses=doses)["dose_reduced_for"] == ["dosing 2", "dosing 3"]


def test_prior_treatments_name_their_rows():
    priors = [prior("thalidomide", instance=1), prior("topical_steroid", route="topical", instance=2)]

    found = evidence(priors=priors)

    assert (found["n_prior_systemic"], found["prior_thalidomide"]) == (["prior_treatment 1"], ["prior_treatment 1"])


def test_a_relapse_after_a_dose_reduction_names_assessments_and_doses():
    doses = [dose(0, 59), dose(60, mg="2.5", instance=2)]

    found = evidence(doses=doses, assessments=visits((0, "0"), (30, "98"), (60, "98"), (90, "20"), (120, "98")))

    assert {name: found[name] for name in list(found)[list(found).index("bor") :]} == {
        "bor": ["lesion_assessment 2"],
        "responder": ["lesion_assessment 2"],
        "bor_date": ["lesion_assessment 2"],
        "months_to_bor": ["dosing 1", "lesion_assessment 2"],
        "bor_after_adjustment": ["dosing 1", "lesion_assessment 2"],
        "relapsed": ["lesion_assessment 2", "lesion_assessment 4"],
        "relapse_date": ["lesion_assessment 4"],
        "relapse_setting": ["dosing 1", "dosing 2", "lesion_assessment 2", "lesion_assessment 4"],
        "months_to_relapse_or_censor": ["lesion_assessment 2", "lesion_assessment 4"],
        "cr_lost": ["lesion_assessment 2", "lesion_assessment 4"],
        "cr_months": ["lesion_assessment 2", "lesion_assessment 4"],
        "sustained_cr": ["lesion_assessment 2", "lesion_assessment 4"],
    }


def test_a_relapse_after_discontinuation_names_the_last_active_period():
    found = evidence(doses=[dose(0, 60)], assessments=visits((30, "98"), (90, "20")))

    assert found["relapse_setting"] == ["dosing 1", "lesion_assessment 2"]


def test_a_response_that_lasts_names_all_that_was_seen_after_it():
    found = evidence(assessments=visits((30, "98"), (60, "98"), (90, "98")))

    everything = ["lesion_assessment 1", "lesion_assessment 2", "lesion_assessment 3"]
    assert found["relapsed"] == found["cr_lost"] == found["sustained_cr"] == everything
    assert found["cr_months"] == ["lesion_assessment 1", "lesion_assessment 3"]


@pytest.mark.parametrize(("seen", "rows"), [([], []), ([(30, "20"), (0, "0"), (60, "40")], [1, 3])])
def test_no_response_names_the_assessments_that_counted(seen, rows):
    found = evidence(assessments=visits(*seen))

    assert found.get("bor", []) == [f"lesion_assessment {number}" for number in rows]
    assert "relapsed" not in found


def test_a_safety_outcome_names_its_events():
    events = [event(instance=1), event(serious=True, instance=2), event(serious=True, grade="4", instance=3)]

    found = evidence(events=events)

    assert {name: found[name] for name in ("any_ae", "serious_ae", "grade3_ae")} == {
        "any_ae": ["adverse_event 1", "adverse_event 2", "adverse_event 3"],
        "serious_ae": ["adverse_event 2", "adverse_event 3"],
        "grade3_ae": ["adverse_event 3"],
    }
