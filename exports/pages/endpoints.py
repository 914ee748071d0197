"""The pages on the endpoints: the table as published, and the patients behind each of its figures."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from exports.endpoints.behind import BEHIND, time_of, total_of
from exports.endpoints.cohort import Interval
from exports.endpoints.definitions import FIGURES
from exports.endpoints.outcome import Member
from exports.endpoints.patients import patients_behind
from exports.endpoints.published import (
    PUBLISHED,
    Line,
    half_up,
    interval_of,
    percent_limits,
)
from exports.endpoints.store import are_being_computed, is_stale
from exports.endpoints.version import RULES
from exports.endpoints.words import LABELS, bor_words, months, setting_words
from exports.models import CohortOutcome
from exports.pages.lists import is_part, page_number, see_other, state_of, unchanged
from exports.recompute import ask_for_computation
from registry.page_views import PageView
from registry.rights import Right, anywhere, there

SHOWN = 50
"""Patients on a page."""
CURVES = {
    "months_to_bor": gettext_noop("Time to the best response"),
    "months_to_relapse": gettext_noop("Time from the best response to relapse"),
    "cr_months": gettext_noop("Duration of the complete response"),
}
LIMITS = ("median", "low", "high")
WHO = {"counted": True, "others": False}
"""What `who` in an address may be: those counted, or the others of whom the figure is out of."""


class Endpoints(PageView):
    """The endpoint table: overall and by site, beside the published series, and how fresh it is."""

    needs: ClassVar = {"get": anywhere(Right.SEE_POOLED_ENDPOINTS)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the page; for htmx how fresh it is, and the table when it is another than the one shown."""
        stored = CohortOutcome.objects.first()
        shown = _freshness(stored)
        if is_part(request):
            if same := unchanged(request, shown["state"]):
                return same
            shown["is_part"] = True
            if request.GET.get("shown") == shown["version"]:
                return render(request, "exports/_freshness.html", shown)
        shown |= {**self._figures(stored), "rules": RULES.hex()[:12]}
        return render(request, "exports/_endpoints_anew.html" if is_part(request) else "exports/endpoints.html", shown)

    def _figures(self, stored: CohortOutcome | None) -> dict[str, Any]:
        summary = stored.summary if stored is not None else None
        if summary is None:
            return {"overall": None}
        mine = self.by.sites_with(Right.READ)
        cohorts = {"": summary["overall"], **summary["by_site"]}
        return {
            "overall": summary["overall"],
            "sites": list(summary["by_site"]),
            "lines": [_line(line, cohorts, mine=mine) for line in PUBLISHED],
            "curves": [_curve(name, cohorts, mine=mine) for name in CURVES],
        }


class RecomputeEndpoints(PageView):
    """Has the endpoints computed anew."""

    needs: ClassVar = {"post": anywhere(Right.SEE_POOLED_ENDPOINTS)}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Ask for a computation, unless one waits or runs."""
        if are_being_computed():
            messages.info(request, _("The endpoints are being computed already."))
        else:
            ask_for_computation(by=self.by)
        return see_other("page-endpoints")


class PatientsBehind(PageView):
    """The patients behind a figure of all sites together, as far as the person may see them."""

    needs: ClassVar = {"get": anywhere(Right.READ)}

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        """Return a page of those whom the figure counts, or of the others whom it is out of."""
        return self._page(request, key)

    def _page(self, request: HttpRequest, key: str, *, code: str | None = None) -> HttpResponse:
        visible = self.by.sites_with(Right.READ)
        stored = CohortOutcome.objects.first()
        summary = stored.summary if stored is not None else None
        who = request.GET.get("who", "counted")
        if key not in BEHIND or summary is None or who not in WHO or not visible or (code and code not in visible):
            raise Http404
        sites = frozenset({code}) if code else visible
        number = page_number(request)
        found = patients_behind(key, counted=WHO[who], sites=sites, at_most=SHOWN + 1, after=(number - 1) * SHOWN)
        shown = {
            **_behind(key, summary["by_site"].get(code) if code else summary["overall"]),
            **_elsewhere(key, summary, visible=sites, pooled=code is None),
            **_freshness(stored),
            "key": key,
            "site": code,
            "who": who,
            "patients": [_patient(key, member, counted=WHO[who]) for member in found[:SHOWN]],
            "later": number - 1,
            "earlier": number + 1 if len(found) > SHOWN else None,
            "kept": f"&who={who}",
        }
        return render(request, "exports/endpoint_patients.html", shown)


class PatientsBehindAt(PatientsBehind):
    """The patients behind a figure of one site."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, key: str, code: str) -> HttpResponse:  # type: ignore[override]
        """Return a page of those whom the figure counts, or of the others whom it is out of."""
        return self._page(request, key, code=code)


def _freshness(stored: CohortOutcome | None) -> dict[str, Any]:
    computed_at = stored.computed_at if stored is not None else None
    running, stale = are_being_computed(), is_stale()
    version = computed_at.isoformat() if computed_at else ""
    return {
        "computed_at": computed_at,
        "as_of": stored.data_as_of if stored is not None else None,
        "version": version,
        "running": running,
        "stale": stale,
        "state": state_of(version, running, stale),
    }


def _line(line: Line, cohorts: Mapping[str, Any], *, mine: frozenset[str]) -> dict[str, Any]:
    """Return a line of the table: for each cohort (blank: overall) the figure, its interval, and whether it opens."""
    cells = [
        {
            "site": site,
            "text": line.printed(summary),
            "interval": _limits(interval_of(line.key, summary=summary)),
            "opens": total_of(line.key, summary=summary) > 0 and (not site or site in mine),
        }
        for site, summary in cohorts.items()
    ]
    return {
        "key": line.key,
        "label": _(line.label),
        "definition": _(FIGURES[line.key]),
        "is_part": line.label.startswith("..."),
        "published": line.published_text,
        "differs": cells[0]["text"] != line.published_text,
        "cells": cells,
    }


def _limits(interval: Interval | None) -> str:
    return "" if interval is None or interval["low"] is None else percent_limits(interval)


def _curve(name: str, cohorts: Mapping[str, Any], *, mine: frozenset[str]) -> dict[str, Any]:
    key = f"kaplan_meier.{name}"
    return {
        "key": key,
        "label": _(CURVES[name]),
        "definition": _(FIGURES[key]),
        "at_risk": cohorts[""]["kaplan_meier"][name]["at_risk"],
        "cells": [
            {"site": site, "opens": not site or site in mine, **_survival(summary["kaplan_meier"][name])}
            for site, summary in cohorts.items()
        ],
    }


def _survival(curve: Mapping[str, Any]) -> dict[str, Any]:
    told = {part: None if curve[part] is None else half_up(curve[part], decimals=1) for part in LIMITS}
    return {"n": curve["n"], "events": curve["events"], **told}


def _behind(key: str, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a figure is, of which cohort, and how many patients it counts."""
    if summary is None:
        raise Http404
    line, of = _line_of(key), BEHIND[key].of
    return {
        "label": _figure_label(key),
        "definition": _(FIGURES[key]),
        "of_label": _figure_label(of) if of else "",
        "text": line.printed(summary) if line else "",  # type: ignore[arg-type]  # a summary as it was stored
        "interval": _limits(interval_of(key, summary=summary)),
        "n": total_of(key, summary=summary),
        "of": total_of(of, summary=summary) if of else total_of(key, summary=summary),
        "measure": _measure(key),
    }


def _line_of(key: str) -> Line | None:
    return next((line for line in PUBLISHED if line.key == key), None)


def _figure_label(key: str) -> str:
    """Return what the tables call a figure; one that stands in neither is called by its definition."""
    line, curve = _line_of(key), CURVES.get(key.removeprefix("kaplan_meier."))
    if line is not None:
        return _(line.label).removeprefix("... ")
    return _(curve) if curve else _(FIGURES[key])


def _elsewhere(key: str, summary: Mapping[str, Any], *, visible: frozenset[str], pooled: bool) -> dict[str, Any]:
    """Return how many of those behind a figure are at the sites that the person sees, and how many are at others.

    Both follow from the figures by site, which everybody may see who sees the pooled ones.
    """
    of = BEHIND[key].of or key
    here = [cohort for site, cohort in summary["by_site"].items() if site in visible]
    n = sum(total_of(key, summary=cohort) for cohort in here)
    all_of = sum(total_of(of, summary=cohort) for cohort in here)
    overall = summary["overall"]
    return {
        "n_here": n,
        "others_here": all_of - n,
        "n_elsewhere": total_of(key, summary=overall) - n if pooled else 0,
        "others_elsewhere": total_of(of, summary=overall) - all_of - total_of(key, summary=overall) + n
        if pooled
        else 0,
        "sites_here": sorted(visible & summary["by_site"].keys()),
    }


def _measure(key: str) -> str:
    """Return the name of what a figure measures of a patient, blank for a count."""
    behind = BEHIND[key]
    if behind.event is not None:
        return _("Time")
    return _(LABELS[behind.measure]) if behind.measure else ""


def _patient(key: str, member: Member, *, counted: bool) -> dict[str, Any]:
    outcome = member.outcome
    return {
        "record_id": outcome["record_id"],
        "site": outcome["site"],
        "measured": _measured(key, member) if counted else "",
        "bor": bor_words(outcome["bor"]),
        "months_to_bor": _one_decimal(outcome["months_to_bor"]),
        "relapse": _relapse(outcome["relapsed"], outcome["relapse_setting"]),
        "on_treatment": outcome["on_treatment"],
        "decided_by": BEHIND[key].decided_by,
    }


def _measured(key: str, member: Member) -> str:
    behind = BEHIND[key]
    if behind.event is not None:
        time, ended = time_of(key, member)
        return months(time) if ended else _("%(time)s, censored") % {"time": months(time)}
    if behind.measure is None:
        return ""
    value = member.outcome[behind.measure]  # type: ignore[literal-required]  # of the table in behind.py
    return months(value) if isinstance(value, float) else str(value)


def _relapse(relapsed: bool | None, setting: str | None) -> str:
    if relapsed is None:
        return ""
    return setting_words(setting) if relapsed else _("No")


def _one_decimal(value: float | None) -> str:
    return "" if value is None else half_up(value, decimals=1)
