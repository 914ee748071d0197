"""What came before and what came along: prior treatments and adverse events.

Source of every rule here: docs/endpoints.md, "Per patient".
"""

from collections.abc import Iterable

from exports.endpoints.chart import AdverseEvent, PriorTreatment
from exports.endpoints.outcome import Evidence, EvidenceRow

SYSTEMIC_ROUTES = frozenset({"oral", "intravenous", "subcutaneous", "intramuscular"})
GRADES_FROM_3 = frozenset({"3", "4", "5"})
OUTCOME_OF_ACTION = {"discontinued": "ae_discontinued", "dose_reduced": "ae_dose_reduced"}
OUTCOME_OF_SPECIAL_INTEREST = {
    "peripheral_neuropathy": "neuropathy",
    "venous_thrombosis": "thrombosis",
    "arterial_thrombosis": "thrombosis",
    "lupus_flare": "lupus_flare",
}


def systemic_treatments(treatments: Iterable[PriorTreatment]) -> list[PriorTreatment]:
    """Return the rows with an oral or injected route; a row without a route is none of them.

    Source: docs/endpoints.md, "n_prior_systemic".
    """
    return [treatment for treatment in treatments if treatment.prior_route in SYSTEMIC_ROUTES]


def n_different(treatments: Iterable[PriorTreatment]) -> int:
    """Return how many different drugs these rows name: one taken twice, or spelt once more in capitals, counts once.

    Source: docs/endpoints.md, "n_prior_systemic".
    """
    return len(
        {
            (treatment.prior_drug, other.strip().lower() if (other := treatment.prior_drug_other) else "")
            for treatment in treatments
        }
    )


def thalidomide_treatments(treatments: Iterable[PriorTreatment]) -> list[PriorTreatment]:
    """Return the rows with thalidomide, whatever the route.

    Source: docs/endpoints.md, "prior_thalidomide".
    """
    return [treatment for treatment in treatments if treatment.prior_drug == "thalidomide"]


def events_behind(events: Iterable[AdverseEvent]) -> Evidence:
    """Return, for each safety outcome, the events that make it true; it is false when there is none.

    Source: docs/endpoints.md, "any_ae" to "lupus_flare".
    """
    behind: Evidence = {
        "any_ae": [],
        "serious_ae": [],
        "grade3_ae": [],
        "ae_discontinued": [],
        "ae_dose_reduced": [],
        "neuropathy": [],
        "thrombosis": [],
        "lupus_flare": [],
    }
    for event in events:
        row = EvidenceRow("adverse_event", event.instance)
        for name in outcomes_of_event(event):
            behind[name].append(row)
    return behind


def outcomes_of_event(event: AdverseEvent) -> list[str]:
    """Return the safety outcomes that one event makes true."""
    names = ["any_ae"]
    if event.ae_serious:
        names.append("serious_ae")
    if event.ae_grade in GRADES_FROM_3:
        names.append("grade3_ae")
    if event.ae_action in OUTCOME_OF_ACTION:
        names.append(OUTCOME_OF_ACTION[event.ae_action])
    if event.ae_special_interest in OUTCOME_OF_SPECIAL_INTEREST:
        names.append(OUTCOME_OF_SPECIAL_INTEREST[event.ae_special_interest])
    return names
