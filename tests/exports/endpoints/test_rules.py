from datetime import date
from decimal import Decimal

import pytest

from exports.endpoints.chart import AdverseEvent, Assessment, Chart, Dose, PatientFacts, PriorTreatment
from exports.endpoints.outcome import OUTCOME_NAMES
from exports.endpoints.rules import outcome_of
from tests.exports.endpoints.charts import dose, event, member_of, outcome, prior, treated_chart, visits


def test_there_is_no_age_without_a_birth_date():
    assert outcome(birth_date=None)["age_at_start"] is None
    assert outcome(birth_date=date(1980, 1, 1))["age_at_start"] == 40


def test_an_untreated_patient_has_no_outcome_but_that():
    chart = treated_chart(
        doses=[dose(mg="0")],
        assessments=visits((30, "98")),
        events=[event(serious=True)],
        priors=[prior("thalidomide")],
        birth_date=date(1980, 1, 1),
    )

    found = outcome_of(chart)

    assert found == {
        "record_id": "MTP-001",
        "site": "MTP",
        **dict.fromkeys(OUTCOME_NAMES),
        "treated": False,
        "evidence": {name: [] for name in OUTCOME_NAMES},
    }


def test_a_whole_patient_from_rows_of_all_forms():
    chart = Chart(
        PatientFacts("NIM-007", "NIM", date(1960, 5, 20), "M", ["acle"], date(2021, 6, 1)),
        [PriorTreatment(1, "thalidomide", None, "oral")],
        [
            Dose(1, date(2020, 1, 1), date(2020, 6, 30), Decimal(5), "daily", "initiation", "dose_change"),
            Dose(2, date(2020, 7, 1), None, Decimal("2.5"), "daily", "sustained_response", None),
        ],
        [
            Assessment(1, date(2020, 1, 1), Decimal(0), False),
            Assessment(2, date(2020, 3, 2), Decimal(98), False),
            Assessment(3, date(2020, 12, 25), Decimal(40), True),
        ],
        [AdverseEvent(1, "3", True, "dose_reduced", "none")],
    )

    found = outcome_of(chart)

    assert {name: value for name, value in found.items() if name != "evidence"} == {
        "record_id": "NIM-007",
        "site": "NIM",
        "treated": True,
        "index_date": "2020-01-01",
        "age_at_start": 59,
        "last_contact": "2021-06-01",
        "treatment_end": None,
        "on_treatment": True,
        "discontinued_for": None,
        "dose_reduced_for": "sustained_response",
        "n_prior_systemic": 1,
        "prior_thalidomide": True,
        "bor": "CR",
        "responder": True,
        "bor_date": "2020-03-02",
        "months_to_bor": 61 / 30.4375,
        "bor_after_adjustment": False,
        "relapsed": True,
        "relapse_date": "2020-12-25",
        "relapse_setting": "after_dose_reduction",
        "months_to_relapse_or_censor": 298 / 30.4375,
        "cr_lost": True,
        "cr_months": 298 / 30.4375,
        "sustained_cr": False,
        "any_ae": True,
        "serious_ae": True,
        "grade3_ae": True,
        "ae_discontinued": False,
        "ae_dose_reduced": True,
        "neuropathy": False,
        "thrombosis": False,
        "lupus_flare": False,
    }


@pytest.mark.parametrize(
    ("subtypes", "discoid"), [(["dle"], True), (("scle", "dle"), True), (["scle"], False), ([], False), (None, False)]
)
def test_a_member_is_discoid_with_that_subtype_among_others(subtypes, discoid):
    assert member_of(treated_chart(cle_subtype=subtypes)).discoid is discoid


@pytest.mark.parametrize(
    ("doses", "seen", "days"),
    [
        ([dose(0)], [], 0),
        ([dose(0)], [(30, "20"), (90, "20")], 90),
        ([dose(0, 100)], [(130, "20"), (131, "20")], 130),
        ([dose(0, 100)], [(131, "20")], 0),
        ([dose(0, 100)], [(50, "98"), (131, "98")], 50),
        ([dose(mg="0")], [(30, "20")], None),
    ],
)
def test_a_member_is_followed_to_the_last_assessment_that_counts_for_the_bor(doses, seen, days):
    member = member_of(treated_chart(doses=doses, assessments=visits(*seen)))

    assert member.months_to_last_evaluable == (None if days is None else days / 30.4375)
