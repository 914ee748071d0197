from exports.endpoints.outcome import OUTCOME_NAMES, EvidenceRow, evidence_of_json, json_of_evidence
from tests.exports.endpoints.charts import event, outcome


def test_evidence_is_stored_as_arrays_without_the_outcomes_that_no_row_decided():
    evidence = {name: [] for name in OUTCOME_NAMES} | {"bor": [EvidenceRow("dosing", 1), EvidenceRow("dosing", 3)]}

    assert json_of_evidence(evidence) == '{"bor":[["dosing",1],["dosing",3]]}'


def test_stored_evidence_reads_as_it_was_with_every_outcome_in_order():
    evidence = outcome(events=[event(instance=2, serious=True), event(instance=3)])["evidence"]

    found = evidence_of_json(json_of_evidence(evidence))

    assert found == evidence
    assert tuple(found) == OUTCOME_NAMES
    assert (found["thrombosis"], len(found["any_ae"])) == ([], 2)
