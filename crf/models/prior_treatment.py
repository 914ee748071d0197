"""Treatments before lenalidomide."""

from typing import ClassVar

from crf.checks import Chart, Check, Row
from crf.derivations import index_date
from crf.fields import DropdownField, PartialDateField, RadioField, TextField, YesNoField
from crf.forms import RepeatingForm
from crf.partial_dates import certainly_before


def ends_before_it_starts(treatment: Row, _chart: Chart) -> bool:
    """Return whether the end is before the start, whatever day of a partial date is meant."""
    return certainly_before(treatment["prior_end"], treatment["prior_start"])


def thalidomide_ended_after_lenalidomide_began(treatment: Row, chart: Chart) -> bool:
    """Return whether thalidomide certainly ended after the index date."""
    first_dose = index_date((dose["dose_start"], dose["dose_mg"]) for dose in chart["dosing"])
    end = treatment["prior_end"]
    on_thalidomide = treatment["prior_drug"] == "thalidomide"
    return on_thalidomide and first_dose is not None and end is not None and end.earliest > first_dose


class PriorTreatment(RepeatingForm):
    """One treatment of the lupus before lenalidomide (SDTM domain CM)."""

    order = 20

    prior_drug = DropdownField(
        "Treatment",
        {
            "hydroxychloroquine": "Hydroxychloroquine",
            "chloroquine": "Chloroquine",
            "mepacrine": "Mepacrine",
            "thalidomide": "Thalidomide",
            "methotrexate": "Methotrexate",
            "mycophenolate": "Mycophenolate",
            "azathioprine": "Azathioprine",
            "ciclosporin": "Ciclosporin",
            "dapsone": "Dapsone",
            "acitretin": "Acitretin",
            "isotretinoin": "Isotretinoin",
            "prednisone": "Systemic corticosteroid",
            "ivig": "Intravenous immunoglobulin",
            "belimumab": "Belimumab",
            "rituximab": "Rituximab",
            "anifrolumab": "Anifrolumab",
            "topical_steroid": "Topical corticosteroid",
            "topical_tacrolimus": "Topical tacrolimus",
            "phototherapy": "Phototherapy",
            "other": "Other",
        },
        section="Treatment before lenalidomide",
        required=True,
        sdtm="CM.CMTRT",
    )
    prior_drug_other = TextField("Other treatment", show_if="[prior_drug] = 'other'", sdtm="CM.CMTRT")
    prior_route = RadioField(
        "Route",
        {
            "oral": "Oral",
            "intravenous": "Intravenous",
            "subcutaneous": "Subcutaneous",
            "intramuscular": "Intramuscular",
            "topical": "Topical",
            "light": "Phototherapy",
        },
        note="Oral and injected routes count as systemic",
        required=True,
        sdtm="CM.CMROUTE",
    )
    prior_dose = TextField("Dose", sdtm="CM.CMDOSTXT")
    prior_start = PartialDateField("Start", note="YYYY, YYYY-MM or YYYY-MM-DD", sdtm="CM.CMSTDTC")
    prior_end = PartialDateField("End", note="Blank while ongoing", sdtm="CM.CMENDTC")
    prior_response = RadioField(
        "Best response",
        {"complete": "Complete", "partial": "Partial", "none": "None", "unknown": "Unknown"},
        sdtm="SUPPCM.QVAL",
    )
    prior_stop_reason = RadioField(
        "Reason for stopping",
        {
            "inefficacy": "Inefficacy",
            "loss_of_response": "Loss of response",
            "adverse_event": "Adverse event",
            "remission": "Remission",
            "patient_decision": "Patient decision",
            "other": "Other",
            "unknown": "Unknown",
            "ongoing": "Ongoing",
        },
        sdtm="SUPPCM.QVAL",
    )
    prior_neuropathy = YesNoField(
        "Neuropathy under thalidomide", show_if="[prior_drug] = 'thalidomide'", sdtm="SUPPCM.QVAL"
    )

    hard_checks: ClassVar = [
        Check(
            code="end_before_start",
            at="prior_end",
            message="The treatment ends ({prior_end}) before it starts ({prior_start}). Correct one of the dates.",
            fails=ends_before_it_starts,
        ),
    ]
    soft_checks: ClassVar = [
        Check(
            code="thalidomide_after_lenalidomide",
            at="prior_end",
            message="Thalidomide ended on {prior_end}, after lenalidomide began. Check both dates.",
            fails=thalidomide_ended_after_lenalidomide_began,
            reads={"dosing": ("dose_start", "dose_mg")},
        ),
    ]

    class Meta:
        verbose_name = "prior treatment"
