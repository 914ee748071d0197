"""The page on the outcome of one patient: what was found, why, and the rows that decided it."""

from typing import Any, ClassVar

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from crf.forms import forms_by_name
from exports.endpoints.definitions import OUTCOMES
from exports.endpoints.outcome import EvidenceRow, OutcomeWithEvidence
from exports.endpoints.patients import chart_of
from exports.endpoints.row_words import words_of_rows
from exports.endpoints.rules import course_of, outcome_of
from exports.endpoints.words import LABELS, Said, bor_words, words_of
from exports.models import PatientOutcome
from registry.page_views import PageView
from registry.rights import Right, there

PARTS = (
    (
        gettext_noop("Treatment"),
        ("treated", "age_at_start", "on_treatment", "discontinued_for", "dose_reduced_for", "last_contact"),
    ),
    (gettext_noop("Response"), ("bor", "months_to_bor", "bor_after_adjustment")),
    (
        gettext_noop("After the response"),
        ("relapsed", "relapse_setting", "months_to_relapse_or_censor", "sustained_cr", "cr_months"),
    ),
    (
        gettext_noop("Safety"),
        (
            "any_ae",
            "serious_ae",
            "grade3_ae",
            "ae_discontinued",
            "ae_dose_reduced",
            "neuropathy",
            "thrombosis",
            "lupus_flare",
        ),
    ),
    (gettext_noop("Before lenalidomide"), ("n_prior_systemic", "prior_thalidomide")),
)


class PatientOutcomePage(PageView):
    """The outcome of one patient, told from the chart as it is now."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, record_id: str) -> HttpResponse:
        """Return the page."""
        chart = chart_of(record_id)
        if chart is None or not self.by.may(Right.READ, at=chart.patient.site):
            raise Http404
        course, outcome = course_of(chart), outcome_of(chart)
        said = words_of(chart, course=course, outcome=outcome)
        rows = words_of_rows(chart)
        shown = {
            "record_id": record_id,
            "site": chart.patient.site,
            "patient": _address("page-patient", record_id),
            "is_stored": _is_stored(outcome),
            "bor": outcome["responder"],
            "bor_words": bor_words(outcome["bor"]),
            "parts": [
                {
                    "title": _(title),
                    "outcomes": [_told(name, said[name], outcome, rows=rows) for name in names if name in said],
                }
                for title, names in PARTS
            ],
        }
        return render(request, "exports/outcome.html", shown)


def _is_stored(outcome: OutcomeWithEvidence) -> bool:
    """Return whether the figures were made with this outcome; not while they wait for a change of the chart."""
    stored = PatientOutcome.objects.filter(record_id=outcome["record_id"]).values_list("outcome", flat=True).first()
    fresh = {name: value for name, value in outcome.items() if name != "evidence"}
    return stored is not None and bool(msgspec.json.decode(stored) == msgspec.json.decode(msgspec.json.encode(fresh)))


def _told(name: str, said: Said, outcome: OutcomeWithEvidence, *, rows: dict[EvidenceRow, str]) -> dict[str, Any]:
    evidence = outcome["evidence"].get(name, [])
    return {
        "name": name,
        "label": _(LABELS[name]),
        "definition": _(OUTCOMES[name]),
        "value": said.value,
        "why": said.why,
        "rows": [_row(row, words=rows.get(row, ""), record_id=outcome["record_id"]) for row in evidence],
    }


def _row(row: EvidenceRow, *, words: str, record_id: str) -> dict[str, Any]:
    form = forms_by_name()[row.form]
    if not form.repeating:
        return {"title": _(form.title()), "words": words, "href": _address(f"page-entry-{row.form}", record_id)}
    title = _("%(form)s %(instance)d") % {"form": _(form.title()), "instance": row.instance}
    return {"title": title, "words": words, "href": _address(f"page-entry-{row.form}", record_id, row.instance)}


def _address(name: str, *arguments: object) -> str:
    """Return the address of a page, blank where there is no such page."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
