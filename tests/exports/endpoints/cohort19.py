"""The nineteen cases of docs/cohort19, read by hand: CSV files in, members of the cohort out."""

import csv
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

from exports.endpoints.chart import AdverseEvent, Assessment, Chart, Dose, PatientFacts, PriorTreatment
from exports.endpoints.outcome import Member
from tests.exports.endpoints.charts import member_of

FOLDER = Path(__file__).parents[3] / "docs" / "cohort19"
Row = dict[str, str]
BOOLEANS = {"1": True, "0": False, "": None}


def members_of_cohort19() -> list[Member]:
    return [member_of(chart) for chart in charts_of_cohort19()]


def charts_of_cohort19() -> list[Chart]:
    priors, doses, visits, events = map(by_patient, ("prior_treatment", "dosing", "lesion_assessment", "adverse_event"))
    return [
        Chart(
            patient_facts(row),
            [prior_treatment(prior) for prior in priors[row["record_id"]]],
            [dose(period) for period in doses[row["record_id"]]],
            [assessment(visit) for visit in visits[row["record_id"]]],
            [adverse_event(event) for event in events[row["record_id"]]],
        )
        for row in read("patient")
    ]


def read(form: str) -> list[Row]:
    with (FOLDER / f"{form}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_patient(form: str) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in read(form):
        found[row["record_id"]].append(row)
    return found


def day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def patient_facts(row: Row) -> PatientFacts:
    return PatientFacts(
        row["record_id"],
        row["site"],
        day(row["birth_date"]),
        row["sex"],
        row["cle_subtype"].split("|"),
        day(row["last_contact_date"]),
    )


def prior_treatment(row: Row) -> PriorTreatment:
    return PriorTreatment(
        int(row["redcap_repeat_instance"]), row["prior_drug"], row.get("prior_drug_other"), row["prior_route"]
    )


def dose(row: Row) -> Dose:
    return Dose(
        int(row["redcap_repeat_instance"]),
        day(row["dose_start"]),
        day(row["dose_end"]),
        number(row["dose_mg"]),
        row["dose_schedule"],
        row["dose_reason"],
        row["dose_stop_reason"] or None,
    )


def assessment(row: Row) -> Assessment:
    return Assessment(
        int(row["redcap_repeat_instance"]),
        day(row["lesion_date"]),
        number(row["lesion_clearance"]),
        BOOLEANS[row["lesion_new"]],
    )


def adverse_event(row: Row) -> AdverseEvent:
    return AdverseEvent(
        int(row["redcap_repeat_instance"]),
        row["ae_grade"],
        BOOLEANS[row["ae_serious"]],
        row["ae_action"],
        row["ae_special_interest"],
    )
