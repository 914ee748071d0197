"""One patient's result: the names of docs/endpoints.md as keys, ready for JSON."""

from typing import Literal, TypedDict

from msgspec import Struct, json

Response = Literal["CR", "PR", "NR"]
BestResponse = Literal["CR", "PR", "NR", "NE"]
RelapseSetting = Literal["after_discontinuation", "after_dose_reduction", "on_stable_dose"]


class EvidenceRow(Struct, frozen=True, array_like=True, gc=False):
    """One row of one form; the patient form has the single instance 1. As JSON an array: ["dosing", 2]."""

    form: str
    instance: int


Evidence = dict[str, list[EvidenceRow]]


class Outcome(TypedDict):
    """The outcomes of one patient; null where a rule does not apply, and everywhere but `treated` if untreated.

    Dates are ISO 8601 strings, ages completed years, months unrounded (30.4375 days each).
    """

    record_id: str
    site: str
    treated: bool
    index_date: str | None
    age_at_start: int | None
    last_contact: str | None
    treatment_end: str | None
    on_treatment: bool | None
    discontinued_for: str | None
    dose_reduced_for: str | None
    n_prior_systemic: int | None
    prior_thalidomide: bool | None
    bor: BestResponse | None
    responder: bool | None
    bor_date: str | None
    months_to_bor: float | None
    bor_after_adjustment: bool | None
    relapsed: bool | None
    relapse_date: str | None
    relapse_setting: RelapseSetting | None
    months_to_relapse_or_censor: float | None
    cr_lost: bool | None
    cr_months: float | None
    sustained_cr: bool | None
    any_ae: bool | None
    serious_ae: bool | None
    grade3_ae: bool | None
    ae_discontinued: bool | None
    ae_dose_reduced: bool | None
    neuropathy: bool | None
    thrombosis: bool | None
    lupus_flare: bool | None


class OutcomeWithEvidence(Outcome):
    """The outcomes of one patient, and for every name from `treated` to `lupus_flare` the rows that decided it.

    The list is empty when no row did.
    """

    evidence: Evidence


OUTCOME_NAMES = tuple(name for name in Outcome.__annotations__ if name not in ("record_id", "site"))

_encode = json.Encoder().encode
_decode = json.Decoder(Evidence).decode


def json_of_evidence(evidence: Evidence) -> str:
    """Return evidence as it is stored: half as long without the names that no row decided and those of the keys."""
    return _encode({name: rows for name, rows in evidence.items() if rows}).decode()


def evidence_of_json(text: str) -> Evidence:
    """Return stored evidence with every name, in the order of the outcomes."""
    stored = _decode(text)
    return {name: stored.get(name, []) for name in OUTCOME_NAMES}


class Member(Struct, frozen=True, gc=False):
    """One patient as the cohort summary sees them: the outcome, and what it needs that is no outcome.

    `months_to_last_evaluable` runs from the index date to the last evaluable assessment that counts for the BOR: 0 when
    there is none, None if untreated. It is where the time to BOR of a patient without a response is censored.
    """

    outcome: Outcome
    sex: str | None
    discoid: bool
    months_to_last_evaluable: float | None
