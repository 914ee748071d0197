"""The plain values the endpoint rules read: one patient's rows, in the dictionary's names.

Each reads from a JSON array with its fields in this order, so that a whole chart comes out of the database in one
piece (exports/endpoints/reading.py). Any value but `record_id`, `site` and `instance` may be None: a missing-data code
arrives here as None.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from msgspec import Struct


class PatientFacts(Struct, frozen=True, array_like=True, gc=False):
    """What the rules and the cohort summary need of the patient form."""

    record_id: str
    site: str
    birth_date: date | None
    sex: str | None
    cle_subtype: Sequence[str] | None
    last_contact_date: date | None


class PriorTreatment(Struct, frozen=True, array_like=True, gc=False):
    """One treatment before lenalidomide."""

    instance: int
    prior_drug: str | None
    prior_drug_other: str | None
    prior_route: str | None


class Dose(Struct, frozen=True, array_like=True, gc=False):
    """One period at a constant dose; `dose_mg` is the dose on a dosing day, in mg."""

    instance: int
    dose_start: date | None
    dose_end: date | None
    dose_mg: Decimal | None
    dose_schedule: str | None
    dose_reason: str | None
    dose_stop_reason: str | None


class Assessment(Struct, frozen=True, array_like=True, gc=False):
    """One visit; `lesion_clearance` is the share, in %, of the lesions present at the start that has cleared."""

    instance: int
    lesion_date: date | None
    lesion_clearance: Decimal | None
    lesion_new: bool | None


class AdverseEvent(Struct, frozen=True, array_like=True, gc=False):
    """One adverse event; `ae_grade` is the code "1" to "5"."""

    instance: int
    ae_grade: str | None
    ae_serious: bool | None
    ae_action: str | None
    ae_special_interest: str | None


class Chart(Struct, frozen=True, array_like=True, gc=False):
    """Everything the rules know of one patient; the rows of a form may come in any order."""

    patient: PatientFacts
    prior_treatments: Sequence[PriorTreatment]
    doses: Sequence[Dose]
    assessments: Sequence[Assessment]
    adverse_events: Sequence[AdverseEvent]
