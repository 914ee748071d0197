"""The rows behind an outcome in words: what a dosing period, an assessment or an event says, on one line.

From the plain values of a chart, in the language of whoever reads. No identifier is among them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from crf.derivations import visit_response
from crf.forms import forms_by_name
from exports.endpoints.chart import AdverseEvent, Assessment, Chart, Dose, PriorTreatment
from exports.endpoints.outcome import EvidenceRow


def label_of(form: str, variable: str, code: str | None) -> str:
    """Return the label of a code, in words that say so when none is recorded."""
    if code is None:
        return _("not recorded")
    return _(forms_by_name()[form].variables()[variable].codes[code])


def number(value: Decimal | float) -> str:
    """Return a number as people write it, without zeros at its end."""
    return f"{float(value):g}"


def day(value: date | None) -> str:
    """Return a day as ISO 8601."""
    return _("no date") if value is None else value.isoformat()


def dose_words(dose: Dose) -> str:
    """Say one period at a constant dose."""
    told = {
        "mg": _("dose not recorded") if dose.dose_mg is None else _("%(mg)s mg") % {"mg": number(dose.dose_mg)},
        "schedule": label_of("dosing", "dose_schedule", dose.dose_schedule).lower(),
        "start": day(dose.dose_start),
        "end": day(dose.dose_end),
    }
    if dose.dose_end is None:
        return _("%(mg)s, %(schedule)s, from %(start)s on") % told
    return _("%(mg)s, %(schedule)s, %(start)s to %(end)s") % told


def clearance_words(assessment: Assessment) -> str:
    """Say what one assessment found, without its day."""
    if assessment.lesion_clearance is None:
        cleared = _("clearance not recorded")
    else:
        cleared = _("%(percent)s %% clearance") % {"percent": number(assessment.lesion_clearance)}
    return _("%(cleared)s, %(new)s") % {"cleared": cleared, "new": new_lesions_words(assessment)}


def new_lesions_words(assessment: Assessment) -> str:
    """Say whether there were new lesions."""
    if assessment.lesion_new is None:
        return _("new lesions not recorded")
    return _("new lesions") if assessment.lesion_new else _("no new lesions")


def assessment_words(assessment: Assessment) -> str:
    """Say one assessment, with the response that it shows when it is evaluable."""
    told = {"day": day(assessment.lesion_date), "found": clearance_words(assessment)}
    if assessment.lesion_clearance is None or assessment.lesion_new is None:
        return _("%(day)s: %(found)s") % told
    response = visit_response(clearance=assessment.lesion_clearance, new_lesions=assessment.lesion_new)
    return _("%(day)s: %(found)s (%(response)s)") % {**told, "response": response}


def prior_words(treatment: PriorTreatment) -> str:
    """Say one treatment before lenalidomide."""
    told = {
        "drug": label_of("prior_treatment", "prior_drug", treatment.prior_drug),
        "route": label_of("prior_treatment", "prior_route", treatment.prior_route).lower(),
    }
    return _("%(drug)s, %(route)s") % told


def event_words(event: AdverseEvent) -> str:
    """Say one adverse event: its grade, whether it was serious, what was done."""
    told = [
        _("grade %(grade)s") % {"grade": event.ae_grade or _("not recorded")},
        *([_("serious")] if event.ae_serious else []),
        _("lenalidomide: %(action)s") % {"action": label_of("adverse_event", "ae_action", event.ae_action).lower()},
    ]
    if event.ae_special_interest not in (None, "none"):
        told.append(label_of("adverse_event", "ae_special_interest", event.ae_special_interest).lower())
    return ", ".join(told)


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "prior_treatment": prior_words,
    "dosing": dose_words,
    "lesion_assessment": assessment_words,
    "adverse_event": event_words,
}


def words_of_rows(chart: Chart) -> dict[EvidenceRow, str]:
    """Return the words of every row of a chart that can be evidence; of the patient form there are none."""
    forms: Mapping[str, Sequence[Any]] = {
        "prior_treatment": chart.prior_treatments,
        "dosing": chart.doses,
        "lesion_assessment": chart.assessments,
        "adverse_event": chart.adverse_events,
    }
    return {EvidenceRow(form, row.instance): _WORDS[form](row) for form, rows in forms.items() for row in rows}
