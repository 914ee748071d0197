"""The patient form: identity, disease, risk and follow-up; saving it enrols a patient."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Concat

from crf.checks import Chart, Check, Derived, Row
from crf.derivations import completed_years, index_date
from crf.fields import (
    CheckboxField,
    DateField,
    DropdownField,
    NotesField,
    PartialDateField,
    RadioField,
    TextField,
    YesNoField,
)
from crf.forms import Form

ADULT_FROM = 18
"""Completed years at the first dose from which the cohort's patients count as adults."""
CHILDBEARING_BELOW = 50
"""Completed years at the first dose below which a woman's child-bearing potential must be recorded."""

FEMALE = "[sex] = 'F'"
CAN_BECOME_PREGNANT = "[sex] = 'F' and [childbearing_potential] = '1'"
DOSES = {"dosing": ("dose_start", "dose_mg")}


def age_at_first_dose(patient: Row, chart: Chart) -> int | None:
    """Return the completed years at the index date, None without a birth date or a dose."""
    first_dose = index_date((dose["dose_start"], dose["dose_mg"]) for dose in chart["dosing"])
    if first_dose is None or patient["birth_date"] is None:
        return None
    return completed_years(birth_date=patient["birth_date"], on=first_dose)


def last_contact_is_before_the_last_visit(patient: Row, chart: Chart) -> bool:
    """Return whether an assessment is dated after the last news of the patient."""
    contact = patient["last_contact_date"]
    visits = [visit["lesion_date"] for visit in chart["lesion_assessment"] if visit["lesion_date"] is not None]
    return contact is not None and bool(visits) and contact < max(visits)


def childbearing_potential_is_not_recorded(patient: Row, chart: Chart) -> bool:
    """Return whether a woman under 50 at the first dose has nothing recorded on child-bearing potential."""
    age = age_at_first_dose(patient, chart)
    recorded = patient["childbearing_potential"] is not None
    return patient["sex"] == "F" and not recorded and age is not None and age < CHILDBEARING_BELOW


def was_a_minor_at_the_first_dose(patient: Row, chart: Chart) -> bool:
    """Return whether the patient was under 18 at the first dose."""
    age = age_at_first_dose(patient, chart)
    return age is not None and age < ADULT_FROM


class Patient(Form):
    """One patient of the cohort (SDTM domains DM, MH, SU, RP)."""

    order = 10

    number = models.PositiveIntegerField()
    """The number in the record id, counted at each site: MTP-007 is 7."""

    record_id = TextField(
        "Patient study identifier",
        section="Identity",
        note="SITE-NNN; given by the registry when left blank",
        required=True,
        sdtm="DM.SUBJID",
        null=False,
    )
    birth_date = DateField("Date of birth", min="1900-01-01", identifier=True, required=True, sdtm="DM.BRTHDTC")
    sex = RadioField("Sex", {"M": "Male", "F": "Female", "U": "Unknown"}, required=True, sdtm="DM.SEX")
    race = DropdownField(
        "Race",
        {
            "WHITE": "White",
            "BLACK": "Black or African American",
            "ASIAN": "Asian",
            "OTHER": "Other",
            "UNKNOWN": "Not recorded",
        },
        sdtm="DM.RACE",
    )
    cle_subtype = CheckboxField(
        "Subtypes of cutaneous lupus erythematosus",
        {
            "acle": "Acute",
            "scle": "Subacute",
            "dle": "Chronic discoid",
            "lep": "Panniculitis (profundus)",
            "chle": "Chilblain",
            "let": "Tumidus",
            "other": "Other",
        },
        section="Disease",
        required=True,
        sdtm="MH.MHTERM",
    )
    cle_subtype_other = TextField("Other subtype", show_if="[cle_subtype(other)] = '1'", sdtm="MH.MHTERM")
    diagnosis_date = PartialDateField(
        "Date of first diagnosis of cutaneous lupus", note="YYYY, YYYY-MM or YYYY-MM-DD", sdtm="MH.MHSTDTC"
    )
    systemic_lupus = YesNoField(
        "Meets the EULAR/ACR 2019 criteria for systemic lupus", required=True, sdtm="MH.MHOCCUR"
    )
    smoking_status = RadioField(
        "Tobacco",
        {"never": "Never", "former": "Former", "current": "Current", "unknown": "Unknown"},
        sdtm="SU.SUOCCUR",
    )
    neuropathy_history = YesNoField(
        "Peripheral neuropathy before lenalidomide", section="Risk", required=True, sdtm="MH.MHOCCUR"
    )
    neuropathy_cause = RadioField(
        "Cause of that neuropathy",
        {"thalidomide": "Thalidomide", "other": "Other", "unknown": "Unknown"},
        show_if="[neuropathy_history] = '1'",
        sdtm="SUPPMH.QVAL",
    )
    thrombosis_history = YesNoField(
        "Venous or arterial thrombosis before lenalidomide", required=True, sdtm="MH.MHOCCUR"
    )
    antiphospholipid = RadioField(
        "Antiphospholipid antibodies",
        {"positive": "Positive", "negative": "Negative", "not_done": "Not done"},
        sdtm="LB.LBORRES",
    )
    childbearing_potential = YesNoField("Of child-bearing potential", show_if=FEMALE, sdtm="RP.RPORRES")
    pregnancy_prevention = YesNoField(
        "Enrolled in the pregnancy prevention programme", show_if=CAN_BECOME_PREGNANT, sdtm="RP.RPORRES"
    )
    pregnancy_test_date = DateField(
        "Pregnancy test before the first dose", min="2000-01-01", show_if=CAN_BECOME_PREGNANT, sdtm="LB.LBDTC"
    )
    non_opposition_date = DateField(
        "Date the patient was informed and did not object",
        section="Follow-up",
        min="2000-01-01",
        required=True,
        sdtm="DS.DSSTDTC",
    )
    last_contact_date = DateField("Date of last news", min="2000-01-01", sdtm="DS.DSSTDTC")
    vital_status = RadioField(
        "Status at last news", {"alive": "Alive", "dead": "Dead", "lost": "Lost to follow-up"}, sdtm="DS.DSDECOD"
    )
    patient_notes = NotesField("Notes", identifier=True)

    soft_checks: ClassVar = [
        Check(
            code="last_contact_before_last_visit",
            at="last_contact_date",
            message="The date of last news is {last_contact_date}, but there is a later assessment. "
            "Correct it, or the date of the assessment.",
            fails=last_contact_is_before_the_last_visit,
            reads={"lesion_assessment": ("lesion_date",)},
        ),
        Check(
            code="childbearing_potential_not_recorded",
            at="childbearing_potential",
            message="She was under 50 at the first dose. Record whether she is of child-bearing potential.",
            fails=childbearing_potential_is_not_recorded,
            reads=DOSES,
        ),
        Check(
            code="minor_at_first_dose",
            at="birth_date",
            message="The patient was under 18 at the first dose. Check the date of birth and the first dose.",
            fails=was_a_minor_at_the_first_dose,
            reads=DOSES,
        ),
    ]

    derived: ClassVar = [
        Derived(
            name="age_at_first_dose",
            label="Age at the first dose",
            at="birth_date",
            value=age_at_first_dose,
            unit="years",
            reads=DOSES,
        ),
    ]

    class Meta:
        verbose_name = "patient"
        constraints = [
            models.CheckConstraint(
                name="record_id_starts_with_its_site",
                condition=Q(record_id__startswith=Concat(models.F("site"), models.Value("-"))),
            ),
            models.UniqueConstraint(
                fields=["record_id"], name="record_id_is_unique", violation_error_code="record_exists"
            ),
            models.UniqueConstraint(fields=["record_id", "site"], name="patient_is_at_one_site"),
            models.UniqueConstraint(
                fields=["site", "number"], name="patient_number_is_given_once", violation_error_code="record_exists"
            ),
            models.CheckConstraint(name="patient_form_does_not_repeat", condition=Q(instance=1)),
        ]

    def __str__(self) -> str:
        return str(self.record_id)
