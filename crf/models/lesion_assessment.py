"""Assessments of the skin lesions."""

from typing import ClassVar

from django.utils.translation import gettext_noop

from crf.checks import Chart, Check, Derived, Row
from crf.derivations import index_date, months_between, visit_response
from crf.fields import (
    DateField,
    DecimalField,
    FileField,
    IntegerField,
    NotesField,
    RadioField,
    TextField,
    YesNoField,
)
from crf.forms import RepeatingForm

AGREES_WITH = {"CR": {"CR"}, "PR": {"PR"}, "NR": {"SD", "PD"}}
"""The investigator's judgements that agree with each computed visit response."""

IN_WORDS = {
    "CR": gettext_noop("Complete (CR)"),
    "PR": gettext_noop("Partial (PR)"),
    "NR": gettext_noop("None (NR)"),
}
"""The computed visit responses."""
DOSES = {"dosing": ("dose_start", "dose_mg")}


def baseline_clearance_is_not_0(assessment: Row, chart: Chart) -> bool:
    """Return whether clearance is recorded up to the index date, when nothing can have cleared yet."""
    first_dose = index_date((dose["dose_start"], dose["dose_mg"]) for dose in chart["dosing"])
    on = assessment["lesion_date"]
    return first_dose is not None and on is not None and on <= first_dose and bool(assessment["lesion_clearance"])


def judgement_differs_from_the_computed_response(assessment: Row, _chart: Chart) -> bool:
    """Return whether the investigator's response is not the one that clearance and new lesions give."""
    judged, clearance, new = (assessment[name] for name in ("lesion_response", "lesion_clearance", "lesion_new"))
    if judged is None or clearance is None or new is None:
        return False
    return judged not in AGREES_WITH[visit_response(clearance=clearance, new_lesions=new)]


def computed_response(assessment: Row, _chart: Chart) -> str | None:
    """Return the visit response in words, None without clearance or new lesions."""
    clearance, new = assessment["lesion_clearance"], assessment["lesion_new"]
    if clearance is None or new is None:
        return None
    return IN_WORDS[visit_response(clearance=clearance, new_lesions=new)]


def months_since_the_first_dose(assessment: Row, chart: Chart) -> float | None:
    """Return the time from the index date to the assessment in months, below 0 before the first dose."""
    first_dose = index_date((dose["dose_start"], dose["dose_mg"]) for dose in chart["dosing"])
    on = assessment["lesion_date"]
    return None if first_dose is None or on is None else months_between(first_dose, on)


class LesionAssessment(RepeatingForm):
    """The lesions at one visit (SDTM domains RS, QS)."""

    order = 40

    lesion_date = DateField("Date of assessment", section="Lesions", min="2000-01-01", required=True, sdtm="RS.RSDTC")
    lesion_clearance = DecimalField(
        "Clearance of the lesions present at the start",
        note="% cleared since the start; 0 at baseline",
        unit="%",
        places=1,
        max=100,
        sdtm="RS.RSORRES",
    )
    lesion_new = YesNoField("New lesions since the last assessment", sdtm="RS.RSORRES")
    clasi_activity = IntegerField("CLASI activity score", section="CLASI", min=0, max=70, sdtm="QS.QSORRES")
    clasi_damage = IntegerField("CLASI damage score", min=0, max=56, sdtm="QS.QSORRES")
    lesion_response = RadioField(
        "Response as judged by the investigator",
        {
            "CR": "Complete",
            "PR": "Partial",
            "SD": "Stable disease",
            "PD": "Progressive disease",
            "NE": "Not evaluable",
        },
        section="Judgement",
        sdtm="RS.RSSTRESC",
    )
    lesion_not_evaluable = TextField(
        "Why it could not be evaluated", show_if="[lesion_response] = 'NE'", sdtm="RS.RSREASND"
    )
    systemic_flare = YesNoField("Flare of systemic lupus", sdtm="CE.CEOCCUR")
    lesion_photo = FileField(
        "Photograph",
        note="JPEG or PNG",
        identifier=True,
        taken_on="lesion_date",
        shown_with=["lesion_clearance", "lesion_response"],
    )
    lesion_notes = NotesField("Notes", identifier=True)

    soft_checks: ClassVar = [
        Check(
            code="baseline_clearance_not_0",
            at="lesion_clearance",
            message="Clearance is {lesion_clearance} % on {lesion_date}, before any dose could act. "
            "At baseline it is 0: check the clearance and the date.",
            fails=baseline_clearance_is_not_0,
            reads=DOSES,
        ),
        Check(
            code="response_differs_from_computed",
            at="lesion_response",
            message="The response is {lesion_response}, but a clearance of {lesion_clearance} % and the new lesions "
            "recorded give another. Check the three.",
            fails=judgement_differs_from_the_computed_response,
        ),
    ]

    derived: ClassVar = [
        Derived(
            name="months_since_first_dose",
            label="Since the first dose",
            at="lesion_date",
            value=months_since_the_first_dose,
            unit="months",
            reads=DOSES,
        ),
        Derived(name="visit_response", label="Computed response", at="lesion_new", value=computed_response),
    ]

    class Meta:
        verbose_name = "lesion assessment"
