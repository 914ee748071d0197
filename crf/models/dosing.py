"""Lenalidomide: the periods at a constant dose."""

from datetime import date
from decimal import Decimal
from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Q

from crf.checks import Chart, Check, Derived, Row
from crf.constraints import Period, SamePatient
from crf.derivations import index_date, mean_daily_dose
from crf.fields import DateField, DecimalField, DropdownField, RadioField
from crf.forms import RepeatingForm

USUAL_FIRST_DOSE_MG = Decimal(5)
USUAL_HIGHEST_DOSE_MG = Decimal(10)
OVERLAPPING = (
    "This patient already has a dose on some of these days. "
    "Enter the last day of the earlier period, or correct the dates of this one."
)


def ends_before_it_starts(dose: Row, _chart: Chart) -> bool:
    """Return whether the last day is before the first."""
    return bool(dose["dose_start"] and dose["dose_end"] and dose["dose_end"] < dose["dose_start"])


def overlaps_another_period(dose: Row, chart: Chart) -> bool:
    """Return whether a day of this period is also in another one of the patient."""
    start = dose["dose_start"]
    if start is None or ends_before_it_starts(dose, chart):
        return False
    end = dose["dose_end"] or date.max
    return any(
        other["instance"] != dose["instance"]
        and other["dose_start"] is not None
        and other["dose_start"] <= end
        and start <= (other["dose_end"] or date.max)
        for other in chart["dosing"]
    )


def dose_is_unusually_high(dose: Row, _chart: Chart) -> bool:
    """Return whether the dose is above 10 mg."""
    return bool(dose["dose_mg"] is not None and dose["dose_mg"] > USUAL_HIGHEST_DOSE_MG)


def first_dose_is_unusual(dose: Row, chart: Chart) -> bool:
    """Return whether this is the first dose and it is not 5 mg."""
    if dose["dose_start"] is None or not dose["dose_mg"]:
        return False
    first_dose = index_date((other["dose_start"], other["dose_mg"]) for other in chart["dosing"])
    is_the_first = first_dose is None or dose["dose_start"] <= first_dose
    return is_the_first and bool(dose["dose_mg"] != USUAL_FIRST_DOSE_MG)


def no_antithrombotic(dose: Row, _chart: Chart) -> bool:
    """Return whether lenalidomide was taken without an antithrombotic."""
    return dose["antithrombotic"] == "none" and bool(dose["dose_mg"])


def mean_dose_mg_a_day(dose: Row, _chart: Chart) -> Decimal | None:
    """Return the dose in mg a day, averaged over the schedule."""
    return mean_daily_dose(dose_mg=dose["dose_mg"], dose_schedule=dose["dose_schedule"])


class Dosing(RepeatingForm):
    """One period at a constant dose of lenalidomide (SDTM domain EX)."""

    order = 30

    dose_start = DateField(
        "First day at this dose",
        section="One row for each period at a constant dose",
        min="2000-01-01",
        required=True,
        sdtm="EX.EXSTDTC",
    )
    dose_end = DateField("Last day at this dose", note="Blank while ongoing", min="2000-01-01", sdtm="EX.EXENDTC")
    dose_mg = DecimalField(
        "Lenalidomide dose on a dosing day",
        note="mg; 0 while interrupted",
        unit="mg",
        places=2,
        max=25,
        required=True,
        sdtm="EX.EXDOSE",
    )
    dose_schedule = RadioField(
        "Schedule",
        {
            "daily": "Every day",
            "alternate_days": "Every other day",
            "d21_28": "21 days of 28",
            "other": "Other",
        },
        required=True,
        sdtm="EX.EXDOSFRQ",
    )
    dose_reason = DropdownField(
        "Why this period began",
        {
            "initiation": "Initiation",
            "insufficient_response": "Insufficient response",
            "loss_of_response": "Loss of response",
            "adverse_event": "Adverse event",
            "sustained_response": "Sustained response",
            "resumption": "Resumption",
            "patient_decision": "Patient decision",
            "other": "Other",
        },
        required=True,
        sdtm="EX.EXADJ",
    )
    dose_stop_reason = DropdownField(
        "Why this period ended",
        {
            "dose_change": "Dose change",
            "adverse_event": "Adverse event",
            "sustained_response": "Sustained response",
            "inefficacy": "Inefficacy",
            "pregnancy": "Pregnancy",
            "patient_decision": "Patient decision",
            "lost": "Lost to follow-up",
            "other": "Other",
        },
        show_if="[dose_end] <> ''",
        sdtm="DS.DSDECOD",
    )
    antithrombotic = DropdownField(
        "Antithrombotic taken with it",
        {
            "aspirin": "Acetylsalicylic acid",
            "clopidogrel": "Clopidogrel",
            "anticoagulant": "Anticoagulant",
            "other": "Other",
            "none": "None",
        },
        required=True,
        sdtm="CM.CMTRT",
    )

    hard_checks: ClassVar = [
        Check(
            code="end_before_start",
            at="dose_end",
            message="The period ends ({dose_end}) before it starts ({dose_start}). Correct one of the dates.",
            fails=ends_before_it_starts,
        ),
        Check(
            code="overlapping_period",
            at="dose_start",
            message=OVERLAPPING,
            fails=overlaps_another_period,
            reads={"dosing": ("dose_start", "dose_end")},
        ),
    ]
    soft_checks: ClassVar = [
        Check(
            code="dose_over_10_mg",
            at="dose_mg",
            message="The dose is {dose_mg} mg, above the 10 mg of this study. Check it against the prescription.",
            fails=dose_is_unusually_high,
        ),
        Check(
            code="first_dose_not_5_mg",
            at="dose_mg",
            message="The first dose is {dose_mg} mg; it usually is 5 mg. Check it against the prescription.",
            fails=first_dose_is_unusual,
            reads={"dosing": ("dose_start", "dose_mg")},
        ),
        Check(
            code="no_antithrombotic",
            at="antithrombotic",
            message="No antithrombotic was taken with lenalidomide. Check the prescription.",
            fails=no_antithrombotic,
        ),
    ]

    derived: ClassVar = [
        Derived(
            name="mean_daily_dose", label="Mean daily dose", at="dose_schedule", value=mean_dose_mg_a_day, unit="mg"
        ),
    ]

    class Meta:
        verbose_name = "dosing"
        constraints = [
            models.CheckConstraint(
                name="dose_ends_after_it_starts",
                condition=Q(dose_end__isnull=True) | Q(dose_start__isnull=True) | Q(dose_end__gte=F("dose_start")),
                violation_error_code="end_before_start",
            ),
            ExclusionConstraint(
                name="dosing_periods_do_not_overlap",
                expressions=[
                    (SamePatient("patient"), RangeOperators.EQUAL),
                    (Period("dose_start", "dose_end", RangeBoundary(inclusive_upper=True)), RangeOperators.OVERLAPS),
                ],
                condition=Q(deleted_at__isnull=True, dose_start__isnull=False),
                violation_error_code="overlapping_period",
                violation_error_message=OVERLAPPING,
            ),
        ]
