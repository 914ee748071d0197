"""Adverse events."""

from typing import ClassVar

from crf.checks import Chart, Check, Row
from crf.fields import CheckboxField, DropdownField, NotesField, PartialDateField, RadioField, TextField, YesNoField
from crf.forms import RepeatingForm
from crf.partial_dates import certainly_before

SEVERE_FROM = 3
"""CTCAE grade from which an event is severe; severe events usually are serious as well."""


def ends_before_it_starts(event: Row, _chart: Chart) -> bool:
    """Return whether the end is before the start, whatever day of a partial date is meant."""
    return certainly_before(event["ae_end"], event["ae_start"])


def grade_5_and_fatal_disagree(event: Row, _chart: Chart) -> bool:
    """Return whether only one of grade 5 and a fatal outcome is recorded (CTCAE: grade 5 is death)."""
    grade, outcome = event["ae_grade"], event["ae_outcome"]
    return grade is not None and outcome is not None and (grade == "5") != (outcome == "fatal")


def serious_without_criteria(event: Row, _chart: Chart) -> bool:
    """Return whether a serious event names no criterion of ICH E2A."""
    return event["ae_serious"] is True and event["ae_serious_criteria"] is None


def stopped_the_drug_without_a_dosing_period_that_says_so(event: Row, chart: Chart) -> bool:
    """Return whether lenalidomide was discontinued for the event but no dosing period ended for one."""
    ended_for_one = any(dose["dose_stop_reason"] == "adverse_event" for dose in chart["dosing"])
    return event["ae_action"] == "discontinued" and not ended_for_one


def severe_but_not_serious(event: Row, _chart: Chart) -> bool:
    """Return whether an event of grade 3 or more is recorded as not serious."""
    return event["ae_serious"] is False and event["ae_grade"] is not None and int(event["ae_grade"]) >= SEVERE_FROM


class AdverseEvent(RepeatingForm):
    """One adverse event (SDTM domain AE; grades of CTCAE, seriousness of ICH E2A)."""

    order = 50

    ae_term = TextField("Adverse event, as reported", section="Event", required=True, sdtm="AE.AETERM")
    ae_category = DropdownField(
        "CTCAE system organ class",
        {
            "blood": "Blood and lymphatic system",
            "cardiac": "Cardiac",
            "congenital": "Congenital familial and genetic",
            "ear": "Ear and labyrinth",
            "endocrine": "Endocrine",
            "eye": "Eye",
            "gastrointestinal": "Gastrointestinal",
            "general": "General and administration site",
            "hepatobiliary": "Hepatobiliary",
            "immune": "Immune system",
            "infections": "Infections and infestations",
            "injury": "Injury and procedural complications",
            "investigations": "Investigations",
            "metabolism": "Metabolism and nutrition",
            "musculoskeletal": "Musculoskeletal and connective tissue",
            "neoplasms": "Neoplasms",
            "nervous": "Nervous system",
            "pregnancy": "Pregnancy and perinatal",
            "psychiatric": "Psychiatric",
            "renal": "Renal and urinary",
            "reproductive": "Reproductive system and breast",
            "respiratory": "Respiratory and mediastinal",
            "skin": "Skin and subcutaneous tissue",
            "social": "Social circumstances",
            "surgical": "Surgical and medical procedures",
            "vascular": "Vascular",
        },
        sdtm="AE.AESOC",
    )
    ae_grade = RadioField(
        "CTCAE grade",
        {"1": "Mild", "2": "Moderate", "3": "Severe", "4": "Life-threatening", "5": "Death"},
        required=True,
        sdtm="AE.AETOXGR",
    )
    ae_start = PartialDateField("Start", note="YYYY, YYYY-MM or YYYY-MM-DD", required=True, sdtm="AE.AESTDTC")
    ae_end = PartialDateField("End", note="Blank while ongoing", sdtm="AE.AEENDTC")
    ae_serious = YesNoField("Serious (ICH E2A)", section="Seriousness", required=True, sdtm="AE.AESER")
    ae_serious_criteria = CheckboxField(
        "Seriousness criteria",
        {
            "death": "Death",
            "life_threatening": "Life-threatening",
            "hospitalisation": "Hospitalisation",
            "disability": "Disability",
            "congenital_anomaly": "Congenital anomaly",
            "medically_important": "Medically important",
        },
        show_if="[ae_serious] = '1'",
        sdtm="AE.AESDTH AE.AESLIFE AE.AESHOSP AE.AESDISAB AE.AESCONG AE.AESMIE",
    )
    ae_related = RadioField(
        "Relation to lenalidomide",
        {
            "unrelated": "Unrelated",
            "unlikely": "Unlikely",
            "possible": "Possible",
            "probable": "Probable",
            "definite": "Definite",
        },
        section="Judgement",
        required=True,
        sdtm="AE.AEREL",
    )
    ae_action = DropdownField(
        "Action taken with lenalidomide",
        {
            "none": "None",
            "dose_reduced": "Dose reduced",
            "interrupted": "Interrupted",
            "discontinued": "Permanently discontinued",
            "not_applicable": "Not applicable",
            "unknown": "Unknown",
        },
        required=True,
        sdtm="AE.AEACN",
    )
    ae_outcome = DropdownField(
        "Outcome",
        {
            "recovered": "Recovered",
            "recovering": "Recovering",
            "not_recovered": "Not recovered",
            "sequelae": "Recovered with sequelae",
            "fatal": "Fatal",
            "unknown": "Unknown",
        },
        required=True,
        sdtm="AE.AEOUT",
    )
    ae_special_interest = DropdownField(
        "Event of special interest",
        {
            "none": "None",
            "peripheral_neuropathy": "Peripheral neuropathy",
            "venous_thrombosis": "Venous thrombosis",
            "arterial_thrombosis": "Arterial thrombosis",
            "lupus_flare": "Flare of systemic lupus",
            "cytopenia": "Cytopenia",
            "pregnancy": "Pregnancy",
            "malignancy": "Second malignancy",
            "other": "Other",
        },
        required=True,
        sdtm="SUPPAE.QVAL",
    )
    ae_notes = NotesField("Notes", identifier=True)

    hard_checks: ClassVar = [
        Check(
            code="end_before_start",
            at="ae_end",
            message="The event ends ({ae_end}) before it starts ({ae_start}). Correct one of the dates.",
            fails=ends_before_it_starts,
        ),
        Check(
            code="fatal_is_grade_5",
            at="ae_grade",
            message="The grade is {ae_grade} and the outcome {ae_outcome}. Grade 5 is death: "
            "enter grade 5 together with the outcome fatal, or neither.",
            fails=grade_5_and_fatal_disagree,
        ),
        Check(
            code="serious_without_criteria",
            at="ae_serious_criteria",
            message="The event is serious. Tick each criterion that makes it so.",
            fails=serious_without_criteria,
        ),
    ]
    soft_checks: ClassVar = [
        Check(
            code="stopped_without_dosing_period",
            at="ae_action",
            message="Lenalidomide was discontinued for this event, but no dosing period ended for an adverse event. "
            "Enter the last day of the dose and why it ended.",
            fails=stopped_the_drug_without_a_dosing_period_that_says_so,
            reads={"dosing": ("dose_stop_reason",)},
        ),
        Check(
            code="severe_but_not_serious",
            at="ae_serious",
            message="The grade is {ae_grade} but the event is not serious. Check both.",
            fails=severe_but_not_serious,
        ),
    ]

    class Meta:
        verbose_name = "adverse event"
