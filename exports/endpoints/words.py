"""The outcomes of one patient in words: what was found, and why it is so.

For people who question a figure. The rules are elsewhere (rules.py and what it calls): here their results are told,
in the language of whoever reads, from the same chart.

Source: docs/endpoints.md, "Per patient".
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct

from exports.endpoints.chart import Assessment, Chart
from exports.endpoints.outcome import OutcomeWithEvidence
from exports.endpoints.published import half_up
from exports.endpoints.response import BOR_WINDOW, Responses, Visit
from exports.endpoints.row_words import clearance_words, label_of, number
from exports.endpoints.rules import Course
from exports.endpoints.treatment import Treatment, first_reduction, period_in_force

LABELS: Mapping[str, str] = {
    "treated": gettext_noop("Treated with lenalidomide"),
    "age_at_start": gettext_noop("Age at first dose"),
    "last_contact": gettext_noop("Last news"),
    "on_treatment": gettext_noop("Still treated at last news"),
    "discontinued_for": gettext_noop("Reason for stopping"),
    "dose_reduced_for": gettext_noop("Reason for the first dose reduction"),
    "n_prior_systemic": gettext_noop("Prior systemic treatments"),
    "prior_thalidomide": gettext_noop("Prior thalidomide"),
    "bor": gettext_noop("Best overall response"),
    "months_to_bor": gettext_noop("Time to the best response"),
    "bor_after_adjustment": gettext_noop("Reached after the dose was adjusted"),
    "relapsed": gettext_noop("Relapse"),
    "relapse_setting": gettext_noop("When the relapse came"),
    "months_to_relapse_or_censor": gettext_noop("Time without relapse"),
    "sustained_cr": gettext_noop("Sustained complete response"),
    "cr_months": gettext_noop("Duration of the complete response"),
    "any_ae": gettext_noop("Any adverse event"),
    "serious_ae": gettext_noop("Serious adverse event"),
    "grade3_ae": gettext_noop("Adverse event of grade 3 or more"),
    "ae_discontinued": gettext_noop("Discontinued for an adverse event"),
    "ae_dose_reduced": gettext_noop("Dose reduced for an adverse event"),
    "neuropathy": gettext_noop("Peripheral neuropathy"),
    "thrombosis": gettext_noop("Thrombosis"),
    "lupus_flare": gettext_noop("Flare of systemic lupus"),
}
"""What the outcomes are called, by name, those that say the same as another left out."""
RESPONSES: Mapping[str, str] = {
    "CR": gettext_noop("Complete response"),
    "PR": gettext_noop("Partial response"),
    "NR": gettext_noop("No response"),
    "NE": gettext_noop("Not evaluable"),
}
SETTINGS: Mapping[str, str] = {
    "after_discontinuation": gettext_noop("After the end of treatment"),
    "after_dose_reduction": gettext_noop("After a dose reduction"),
    "on_stable_dose": gettext_noop("On a stable dose"),
}


class Said(NamedTuple):
    """An outcome in words: the value, and why it is so; where its rule does not apply the value is blank."""

    value: str
    why: str


class Case(Struct, frozen=True):
    """A treated patient as the words need them."""

    chart: Chart
    treatment: Treatment
    responses: Responses
    outcome: OutcomeWithEvidence

    def assessment(self, visit: Visit) -> Assessment:
        """Return the row of an evaluable assessment."""
        return next(row for row in self.chart.assessments if row.instance == visit.instance)

    def told(self, visit: Visit) -> str:
        """Say an evaluable assessment: "97 % clearance, no new lesions on 2019-05-02 (assessment 4)"."""
        return _("%(found)s on %(day)s (assessment %(instance)d)") % {
            "found": clearance_words(self.assessment(visit)),
            "day": visit.day.isoformat(),
            "instance": visit.instance,
        }


def months(value: float) -> str:
    """Print a time in months with one decimal."""
    return _("%(months)s months") % {"months": half_up(value, decimals=1)}


def words_of(chart: Chart, *, course: Course | None, outcome: OutcomeWithEvidence) -> dict[str, Said]:
    """Return every outcome of `LABELS` in words; of a patient who was never treated only that."""
    if course is None:
        why = _("There is no dosing period with a dose above 0: enrolled, and in no other figure.")
        return {"treated": Said(_("No"), why)}
    case = Case(chart, course.treatment, course.responses, outcome)
    return {name: say(case) for name, say in _SAY.items()} | {name: _event(case, name) for name in _EVENTS}


def bor_words(bor: str | None) -> str:
    """Return the words of a best overall response, or that the patient was not treated."""
    return _("Not treated") if bor is None else _(RESPONSES[bor])


def setting_words(setting: str | None) -> str:
    """Return the words of the setting of a relapse, blank without one."""
    return "" if setting is None else _(SETTINGS[setting])


def _yes_no(value: object) -> str:
    return _("Yes") if value else _("No")


def _treated(case: Case) -> Said:
    first = case.treatment.active[0]
    told = {"mg": number(first.mean_mg), "start": first.start.isoformat(), "instance": first.instance}
    return Said(_("Yes"), _("First dose on %(start)s: %(mg)s mg a day on average (dosing %(instance)d).") % told)


def _age(case: Case) -> Said:
    age = case.outcome["age_at_start"]
    if age is None:
        return _does_not_apply(_("No birth date is recorded."))
    told = {"start": case.treatment.active[0].start.isoformat()}
    return Said(str(age), _("Completed years on the day of the first dose, %(start)s.") % told)


def _last_contact(case: Case) -> Said:
    if case.chart.patient.last_contact_date is not None:
        return Said(str(case.outcome["last_contact"]), _("As recorded in the patient form."))
    why = _("No date of last news is recorded: this is the latest day of an assessment or a dosing period.")
    return Said(str(case.outcome["last_contact"]), why)


def _on_treatment(case: Case) -> Said:
    last, contact = case.treatment.active[-1], case.treatment.last_contact
    told = {"instance": last.instance, "end": str(last.end), "contact": contact.isoformat()}
    if last.end is None:
        return Said(_("Yes"), _("The last period with a dose (dosing %(instance)d) has no last day.") % told)
    if case.treatment.end is None:
        why = _("Dosing %(instance)d ended on %(end)s, which is not before the last news on %(contact)s.")
        return Said(_("Yes"), why % told)
    why = _("The last period with a dose (dosing %(instance)d) ended on %(end)s, before the last news on %(contact)s.")
    return Said(_("No"), why % told)


def _discontinued_for(case: Case) -> Said:
    if case.treatment.end is None:
        return _does_not_apply(_("Still treated at last news."))
    last = case.treatment.active[-1]
    why = _("As recorded where the last period with a dose ended (dosing %(instance)d).")
    return Said(label_of("dosing", "dose_stop_reason", last.stop_reason), why % {"instance": last.instance})


def _dose_reduced_for(case: Case) -> Said:
    reduction = first_reduction(case.treatment.active)
    if reduction is None:
        return _does_not_apply(_("The dose was never reduced."))
    before, after = reduction
    told = {
        "before": number(before.mean_mg),
        "after": number(after.mean_mg),
        "start": after.start.isoformat(),
        "instance": after.instance,
    }
    why = _("From %(before)s to %(after)s mg a day on average on %(start)s (dosing %(instance)d).")
    return Said(label_of("dosing", "dose_reason", after.reason), why % told)


def _prior(case: Case) -> Said:
    why = _("Different drugs, oral or injected, before lenalidomide; one taken twice counts once.")
    return Said(str(case.outcome["n_prior_systemic"]), why)


def _thalidomide(case: Case) -> Said:
    had = case.outcome["prior_thalidomide"]
    why = _("Among the prior treatments.") if had else _("No prior treatment is thalidomide.")
    return Said(_yes_no(had), why)


def _bor(case: Case) -> Said:
    responses = case.responses
    value = bor_words(responses.bor)
    if responses.best is not None:
        why = {
            "CR": _("%(told)s: above 95 %%, the first assessment to reach it."),
            "PR": _("%(told)s: 50 %% or more, the first assessment to reach it; none was complete%(window)s."),
        }[responses.bor]
        return Said(value, why % {"told": case.told(responses.best), "window": _window(case)})
    told = {"n": len(responses.in_window), "window": _window(case), "start": case.treatment.active[0].start.isoformat()}
    if responses.bor == "NR":
        why = _("None of %(n)d evaluable assessments%(window)s has 50 %% clearance or more without new lesions.")
    else:
        why = _("No assessment after %(start)s%(window)s has both clearance and new lesions recorded.")
    return Said(value, why % told)


def _window(case: Case) -> str:
    """Say up to when assessments count for the best response; nothing while the patient is treated."""
    if case.treatment.end is None:
        return ""
    last_day = case.treatment.end + BOR_WINDOW
    return _(" up to %(day)s, 30 days after the end of treatment") % {"day": last_day.isoformat()}


def _months_to_bor(case: Case) -> Said:
    best, time = case.responses.best, case.outcome["months_to_bor"]
    if best is None or time is None:
        return _no_response()
    told = {"start": case.treatment.active[0].start.isoformat(), "day": best.day.isoformat()}
    return Said(months(time), _("From the first dose on %(start)s to %(day)s.") % told)


def _after_adjustment(case: Case) -> Said:
    best = case.responses.best
    if best is None:
        return _no_response()
    told = {
        "first": number(case.treatment.active[0].mean_mg),
        "then": _dose_on(case, best),
        "day": best.day.isoformat(),
    }
    why = _("First dose %(first)s mg a day on average, %(then)s mg in force on %(day)s.") % told
    return Said(_yes_no(case.outcome["bor_after_adjustment"]), why)


def _dose_on(case: Case, visit: Visit) -> str:
    period = period_in_force(case.treatment.periods, day=visit.day)
    return number(period.mean_mg) if period else "0"


def _relapsed(case: Case) -> Said:
    responses = case.responses
    if responses.best is None:
        return _no_response()
    if responses.relapse is not None:
        why = _("%(told)s: new lesions, or less than 50 %%, after the best response.")
        return Said(_("Yes"), why % {"told": case.told(responses.relapse)})
    if not responses.later:
        return Said(_("No"), _("There is no evaluable assessment after the best response."))
    why = _("None of %(n)d later evaluable assessments has new lesions or less than 50 %% clearance.")
    return Said(_("No"), why % {"n": len(responses.later)})


def _relapse_setting(case: Case) -> Said:
    relapse, best, setting = case.responses.relapse, case.responses.best, case.outcome["relapse_setting"]
    if relapse is None or best is None or setting is None:
        return _does_not_apply(_("There is no relapse."))
    told = {
        "day": relapse.day.isoformat(),
        "end": str(case.treatment.end),
        "then": _dose_on(case, relapse),
        "best": _dose_on(case, best),
    }
    if setting == "after_discontinuation":
        why = _("The relapse on %(day)s is after the end of treatment on %(end)s.")
    else:
        why = _("%(then)s mg a day on average on %(day)s, %(best)s mg at the best response.")
    return Said(setting_words(setting), why % told)


def _months_without_relapse(case: Case) -> Said:
    responses, time = case.responses, case.outcome["months_to_relapse_or_censor"]
    if responses.best is None or responses.last is None or time is None:
        return _no_response()
    return Said(months(time), _until(responses.best, responses.relapse, responses.last, event=_("relapse")))


def _until(best: Visit, end: Visit | None, last: Visit, *, event: str) -> str:
    if end is not None:
        told = {"best": best.day.isoformat(), "end": end.day.isoformat(), "event": event}
        return _("From %(best)s to the %(event)s on %(end)s.") % told
    told = {"best": best.day.isoformat(), "last": last.day.isoformat(), "event": event}
    return _("From %(best)s to the last evaluable assessment on %(last)s, without %(event)s (censored).") % told


def _sustained_cr(case: Case) -> Said:
    responses = case.responses
    if responses.bor != "CR":
        return Said(_("No"), _("The best overall response is not complete."))
    if responses.cr_end is not None:
        why = _("Lost: %(told)s, the first assessment after it that is not complete.")
        return Said(_("No"), why % {"told": case.told(responses.cr_end)})
    why = _("Each of %(n)d later evaluable assessments is complete.") % {"n": len(responses.later)}
    return Said(_("Yes"), why if responses.later else _("There is no later evaluable assessment."))


def _cr_months(case: Case) -> Said:
    responses, time = case.responses, case.outcome["cr_months"]
    if responses.best is None or responses.last is None or time is None:
        return _does_not_apply(_("The best overall response is not complete."))
    return Said(months(time), _until(responses.best, responses.cr_end, responses.last, event=_("loss")))


def _does_not_apply(why: str) -> Said:
    return Said("", why)


def _no_response() -> Said:
    return _does_not_apply(_("There is no response."))


_SAY: Mapping[str, Callable[[Case], Said]] = {
    "treated": _treated,
    "age_at_start": _age,
    "last_contact": _last_contact,
    "on_treatment": _on_treatment,
    "discontinued_for": _discontinued_for,
    "dose_reduced_for": _dose_reduced_for,
    "n_prior_systemic": _prior,
    "prior_thalidomide": _thalidomide,
    "bor": _bor,
    "months_to_bor": _months_to_bor,
    "bor_after_adjustment": _after_adjustment,
    "relapsed": _relapsed,
    "relapse_setting": _relapse_setting,
    "months_to_relapse_or_censor": _months_without_relapse,
    "sustained_cr": _sustained_cr,
    "cr_months": _cr_months,
}
_EVENTS = (
    "any_ae",
    "serious_ae",
    "grade3_ae",
    "ae_discontinued",
    "ae_dose_reduced",
    "neuropathy",
    "thrombosis",
    "lupus_flare",
)


def _event(case: Case, name: str) -> Said:
    """Say an outcome that adverse events decide; which they are is told by the rows behind it."""
    n, of = len(case.outcome["evidence"][name]), len(case.chart.adverse_events)
    if of == 0:
        return Said(_("No"), _("No adverse event is recorded."))
    told = {"n": n, "of": of}
    if n == 0:
        return Said(_("No"), _("None of the adverse events recorded (%(of)d).") % told)
    return Said(_("Yes"), _("%(n)d of %(of)d adverse events recorded.") % told)
