import pytest

from tests.exports.endpoints.charts import event, outcome, prior

SAFETY = (
    "any_ae",
    "serious_ae",
    "grade3_ae",
    "ae_discontinued",
    "ae_dose_reduced",
    "neuropathy",
    "thrombosis",
    "lupus_flare",
)


@pytest.mark.parametrize(
    ("route", "n"),
    [
        ("oral", 1),
        ("intravenous", 1),
        ("subcutaneous", 1),
        ("intramuscular", 1),
        ("topical", 0),
        ("light", 0),
        (None, 0),
    ],
)
def test_only_oral_and_injected_routes_are_systemic(route, n):
    assert outcome(priors=[prior("methotrexate", route=route)])["n_prior_systemic"] == n


def test_a_drug_counts_once_however_often_and_by_whatever_systemic_route():
    priors = [
        prior("methotrexate", instance=1),
        prior("methotrexate", route="subcutaneous", instance=2),
        prior("dapsone", instance=3),
    ]

    assert outcome(priors=priors)["n_prior_systemic"] == 2


def test_other_drugs_are_told_apart_by_their_name_without_case_or_outer_spaces():
    names = ["Leflunomide", " leflunomide", "LEFLUNOMIDE ", "ustekinumab"]
    priors = [prior("other", other=name, instance=number) for number, name in enumerate(names, start=1)]

    assert outcome(priors=priors)["n_prior_systemic"] == 2


def test_a_blank_other_name_is_the_same_as_none():
    priors = [prior("dapsone", other=None, instance=1), prior("dapsone", other=" ", instance=2)]

    assert outcome(priors=priors)["n_prior_systemic"] == 1


@pytest.mark.parametrize(
    ("priors", "thalidomide"),
    [
        ([], False),
        ([prior("methotrexate")], False),
        ([prior("methotrexate"), prior("thalidomide", route=None, instance=2)], True),
    ],
)
def test_thalidomide_counts_by_any_route(priors, thalidomide):
    assert outcome(priors=priors)["prior_thalidomide"] is thalidomide


@pytest.mark.parametrize(
    ("adverse_event", "true"),
    [
        (event(), {"any_ae"}),
        (event(grade=None, serious=None, action=None, interest=None), {"any_ae"}),
        (event(serious=True), {"any_ae", "serious_ae"}),
        (event(grade="2"), {"any_ae"}),
        (event(grade="3"), {"any_ae", "grade3_ae"}),
        (event(grade="5"), {"any_ae", "grade3_ae"}),
        (event(action="discontinued"), {"any_ae", "ae_discontinued"}),
        (event(action="dose_reduced"), {"any_ae", "ae_dose_reduced"}),
        (event(action="interrupted"), {"any_ae"}),
        (event(interest="peripheral_neuropathy"), {"any_ae", "neuropathy"}),
        (event(interest="venous_thrombosis"), {"any_ae", "thrombosis"}),
        (event(interest="arterial_thrombosis"), {"any_ae", "thrombosis"}),
        (event(interest="lupus_flare"), {"any_ae", "lupus_flare"}),
        (event(interest="cytopenia"), {"any_ae"}),
    ],
)
def test_each_adverse_event_makes_its_own_outcomes_true(adverse_event, true):
    found = outcome(events=[adverse_event])

    assert {name for name in SAFETY if found[name]} == true


def test_without_adverse_events_no_safety_outcome_is_true():
    found = outcome(events=[])

    assert [found[name] for name in SAFETY] == [False] * len(SAFETY)
