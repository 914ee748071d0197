"""Each sentence from a chart that needs it; that the figures behind them are right is tested with the rules."""

from datetime import date
from decimal import Decimal

from exports.endpoints.chart import AdverseEvent, Assessment, Chart, Dose, PatientFacts, PriorTreatment
from exports.endpoints.outcome import OUTCOME_NAMES, EvidenceRow
from exports.endpoints.row_words import words_of_rows
from exports.endpoints.rules import course_of, outcome_of
from exports.endpoints.words import LABELS, Said, words_of


def dose(instance, start, end=None, mg="5", reason="initiation", stop=None):
    return Dose(
        instance, date.fromisoformat(start), end and date.fromisoformat(end), Decimal(mg), "daily", reason, stop
    )


def assessment(instance, day, clearance, new=False):
    return Assessment(instance, date.fromisoformat(day), clearance and Decimal(clearance), new)


def chart(*, doses=(), assessments=(), events=(), priors=(), last_contact=None, birth_date=date(1970, 5, 1)):
    contact = last_contact and date.fromisoformat(last_contact)
    return Chart(PatientFacts("MTP-001", "MTP", birth_date, "F", ["dle"], contact), priors, doses, assessments, events)


def said(chart):
    return words_of(chart, course=course_of(chart), outcome=outcome_of(chart))


def why(chart, name):
    return said(chart)[name].why


FIRST = dose(1, "2020-01-01")
CLEARED = assessment(1, "2020-03-01", "97")


def test_every_outcome_is_said_but_those_that_say_the_same_as_another():
    told_elsewhere = {"index_date", "treatment_end", "responder", "bor_date", "relapse_date", "cr_lost"}

    assert said(chart(doses=[FIRST])).keys() == LABELS.keys() == set(OUTCOME_NAMES) - told_elsewhere


def test_a_complete_response_is_told_by_the_assessment_that_reached_it_first():
    found = said(
        chart(doses=[FIRST], assessments=[assessment(4, "2020-05-02", "97.0"), assessment(5, "2020-06-02", "100")])
    )

    assert found["bor"] == Said(
        "Complete response",
        "97 % clearance, no new lesions on 2020-05-02 (assessment 4): above 95 %, the first assessment to reach it.",
    )


def test_a_partial_response_says_that_none_was_complete_and_up_to_when():
    stopped = dose(1, "2020-01-01", "2020-04-01", stop="inefficacy")
    found = chart(doses=[stopped], assessments=[assessment(1, "2020-03-01", "50")], last_contact="2020-12-01")

    assert why(found, "bor") == (
        "50 % clearance, no new lesions on 2020-03-01 (assessment 1): 50 % or more, the first assessment to reach it; "
        "none was complete up to 2020-05-01, 30 days after the end of treatment."
    )


def test_no_response_and_not_evaluable_say_what_was_looked_for():
    none = chart(
        doses=[FIRST], assessments=[assessment(1, "2020-03-01", "49.9"), assessment(2, "2020-04-01", "99", True)]
    )
    not_evaluable = chart(doses=[FIRST], assessments=[assessment(1, "2020-03-01", None)])

    assert why(none, "bor") == "None of 2 evaluable assessments has 50 % clearance or more without new lesions."
    assert why(not_evaluable, "bor") == "No assessment after 2020-01-01 has both clearance and new lesions recorded."


def test_times_say_from_when_to_when():
    found = said(chart(doses=[FIRST], assessments=[CLEARED, assessment(2, "2020-06-01", "98")]))

    assert found["months_to_bor"] == Said("2.0 months", "From the first dose on 2020-01-01 to 2020-03-01.")
    assert found["cr_months"] == Said(
        "3.0 months", "From 2020-03-01 to the last evaluable assessment on 2020-06-01, without loss (censored)."
    )
    assert found["months_to_relapse_or_censor"].why.endswith("without relapse (censored).")


def test_a_relapse_is_told_with_the_dose_then_and_at_the_best_response():
    found = said(
        chart(
            doses=[dose(1, "2020-01-01", "2020-04-30"), dose(2, "2020-05-01", mg="2.5", reason="sustained_response")],
            assessments=[CLEARED, assessment(2, "2020-06-01", "40", True)],
        )
    )

    assert found["relapsed"].why == (
        "40 % clearance, new lesions on 2020-06-01 (assessment 2): "
        "new lesions, or less than 50 %, after the best response."
    )
    assert found["relapse_setting"] == Said(
        "After a dose reduction", "2.5 mg a day on average on 2020-06-01, 5 mg at the best response."
    )
    assert found["dose_reduced_for"] == Said(
        "Sustained response", "From 5 to 2.5 mg a day on average on 2020-05-01 (dosing 2)."
    )
    assert found["sustained_cr"].why.startswith("Lost: 40 % clearance")


def test_a_relapse_after_the_treatment_names_both_days():
    found = chart(
        doses=[dose(1, "2020-01-01", "2020-04-01", stop="adverse_event")],
        assessments=[CLEARED, assessment(2, "2020-06-01", "0")],
        last_contact="2020-12-01",
    )

    assert why(found, "relapse_setting") == "The relapse on 2020-06-01 is after the end of treatment on 2020-04-01."
    assert said(found)["discontinued_for"].value == "Adverse event"


def test_whether_the_patient_is_treated_says_what_the_last_dose_was_compared_with():
    ended = {"doses": [dose(1, "2020-01-01", "2020-04-01")]}

    assert why(chart(doses=[FIRST]), "on_treatment") == "The last period with a dose (dosing 1) has no last day."
    assert why(chart(**ended, last_contact="2020-04-01"), "on_treatment") == (
        "Dosing 1 ended on 2020-04-01, which is not before the last news on 2020-04-01."
    )
    assert said(chart(**ended, last_contact="2020-04-02"))["on_treatment"] == Said(
        "No", "The last period with a dose (dosing 1) ended on 2020-04-01, before the last news on 2020-04-02."
    )


def test_what_does_not_apply_has_no_value_but_says_why():
    found = said(chart(doses=[FIRST], birth_date=None))

    blank = {name: told.why for name, told in found.items() if not told.value}
    assert blank == {
        "age_at_start": "No birth date is recorded.",
        "discontinued_for": "Still treated at last news.",
        "dose_reduced_for": "The dose was never reduced.",
        "months_to_bor": "There is no response.",
        "bor_after_adjustment": "There is no response.",
        "relapsed": "There is no response.",
        "relapse_setting": "There is no relapse.",
        "months_to_relapse_or_censor": "There is no response.",
        "cr_months": "The best overall response is not complete.",
    }


def test_events_are_counted_in_words_and_stand_as_rows():
    events = [
        AdverseEvent(1, "3", True, "discontinued", "venous_thrombosis"),
        AdverseEvent(2, "1", False, "none", "none"),
    ]
    found = chart(doses=[FIRST], events=events)

    assert said(found)["thrombosis"] == Said("Yes", "1 of 2 adverse events recorded.")
    assert said(found)["neuropathy"] == Said("No", "None of the adverse events recorded (2).")
    assert words_of_rows(found)[EvidenceRow("adverse_event", 1)] == (
        "grade 3, serious, lenalidomide: permanently discontinued, venous thrombosis"
    )


def test_rows_say_what_is_not_recorded():
    found = words_of_rows(
        chart(
            doses=[Dose(1, None, None, None, None, None, None)],
            assessments=[Assessment(1, None, None, None)],
            priors=[PriorTreatment(1, None, None, None)],
            events=[AdverseEvent(1, None, None, None, None)],
        )
    )

    assert list(found.values()) == [
        "not recorded, not recorded",
        "dose not recorded, not recorded, from no date on",
        "no date: clearance not recorded, new lesions not recorded",
        "grade not recorded, lenalidomide: not recorded",
    ]
