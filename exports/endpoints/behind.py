"""Who is behind each figure of a cohort: the patients it counts or is taken over, and those it is out of.

Says of one patient what cohort.py counts over many. As data, not as functions, so that the database can look for the
patients too (patients.py); tests hold the three together, figure by figure.

Source: docs/endpoints.md, "Cohort".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from exports.endpoints.outcome import Member

OF_THE_MEMBER = ("sex", "discoid")
"""What is known of a member of the cohort beside the outcome."""


class Tell(Struct, frozen=True):
    """That an outcome, or what is known beside it, has this value; with `holds` false, that it has another."""

    name: str
    value: str | bool | None
    holds: bool = True


class Behind(Struct, frozen=True, kw_only=True):
    """A figure seen from one patient.

    Counted is who is behind the figure `of` and of whom, in each of the groups `tells`, one is true. A figure with a
    `measure` is taken over those who have it; a curve ends with the event where `event` is true and is censored
    elsewhere. `decided_by` is the outcome of the patient (docs/endpoints.md, "Per patient") that says most of it.
    """

    of: str | None
    tells: tuple[tuple[Tell, ...], ...] = ()
    measure: str | None = None
    event: Tell | None = None
    decided_by: str


def groups_of(key: str) -> tuple[tuple[Tell, ...], ...]:
    """Return all groups of tells of a figure, those of the figures that it is of first. Raises KeyError."""
    behind = BEHIND[key]
    measured = ((Tell(behind.measure, None, holds=False),),) if behind.measure else ()
    return (groups_of(behind.of) if behind.of else ()) + behind.tells + measured


def is_in(key: str, member: Member) -> bool:
    """Return whether a patient is counted in a figure. Raises KeyError for an unknown one."""
    return all(any(is_true(tell, member) for tell in group) for group in groups_of(key))


def is_true(tell: Tell, member: Member) -> bool:
    """Return whether it is so of a patient."""
    source: Mapping[str, Any] = {"sex": member.sex, "discoid": member.discoid, **member.outcome}
    return bool((source[tell.name] == tell.value) is tell.holds)


def time_of(key: str, member: Member) -> tuple[float, bool]:
    """Return the months that a patient gives to a curve, and whether they end with the event.

    Until the best response, who has none is censored at the last evaluable assessment that counts for it, or at once.
    """
    behind = BEHIND[key]
    if behind.event is None:
        raise KeyError(key)
    months = member.outcome[behind.decided_by]  # type: ignore[literal-required]  # of the table below
    return (member.months_to_last_evaluable or 0.0) if months is None else months, is_true(behind.event, member)


def total_of(key: str, *, summary: Mapping[str, Any]) -> int:
    """Return how many patients a figure of a summary counts, or is taken over."""
    name, _dot, part = key.partition(".")
    figure = summary[name][part] if part else summary[name]
    return int(figure["n"] if isinstance(figure, Mapping) else figure)


def _is(outcome: str, *values: str, of: str = "treated") -> Behind:
    """Return the figure of those whose outcome is one of these values."""
    return Behind(of=of, tells=(tuple(Tell(outcome, value) for value in values),), decided_by=outcome)


def _true(outcome: str, *, of: str = "treated") -> Behind:
    return Behind(of=of, tells=((Tell(outcome, True),),), decided_by=outcome)


def _known(name: str, value: str | bool) -> Behind:
    return Behind(of="treated", tells=((Tell(name, value),),), decided_by="treated")


def _measured(outcome: str, *, of: str) -> Behind:
    return Behind(of=of, measure=outcome, decided_by=outcome)


def _for(reason: str) -> tuple[Tell, Tell]:
    return Tell("dose_reduced_for", reason), Tell("discontinued_for", reason)


def _changed(*groups: tuple[Tell, ...]) -> Behind:
    no_relapse = (Tell("relapsed", True, holds=False),)
    return Behind(of="responders", tells=(no_relapse, *groups), decided_by="dose_reduced_for")


BEHIND: Mapping[str, Behind] = {
    "enrolled": Behind(of=None, decided_by="treated"),
    "treated": _true("treated", of="enrolled"),
    "male": _known("sex", "M"),
    "female": _known("sex", "F"),
    "discoid": _known("discoid", True),
    "age": _measured("age_at_start", of="treated"),
    "prior": _measured("n_prior_systemic", of="treated"),
    "prior_thalidomide": _true("prior_thalidomide"),
    "cr": _is("bor", "CR"),
    "pr": _is("bor", "PR"),
    "nr": _is("bor", "NR"),
    "ne": _is("bor", "NE"),
    "responders": _is("bor", "CR", "PR"),
    "months_to_bor": _measured("months_to_bor", of="responders"),
    "months_to_bor_cr": _measured("months_to_bor", of="cr"),
    "months_to_bor_pr": _measured("months_to_bor", of="pr"),
    "cr_months": _measured("cr_months", of="cr"),
    "sustained_cr": _true("sustained_cr", of="cr"),
    "responders_on_treatment": _true("on_treatment", of="responders"),
    "relapsed": _true("relapsed", of="responders"),
    "relapsed_after_dose_reduction": _is("relapse_setting", "after_dose_reduction", of="relapsed"),
    "any_ae": _true("any_ae"),
    "serious_ae": _true("serious_ae"),
    "ae_discontinued": _true("ae_discontinued"),
    "ae_dose_reduced": _true("ae_dose_reduced"),
    "neuropathy": _true("neuropathy"),
    "thrombosis": _true("thrombosis"),
    "lupus_flare": _true("lupus_flare"),
    "changed_without_relapse": _changed(_for("adverse_event") + _for("sustained_response")),
    "changed_without_relapse_for.adverse_event": _changed(_for("adverse_event")),
    "changed_without_relapse_for.sustained_response": _changed(
        _for("sustained_response"),
        (Tell("dose_reduced_for", "adverse_event", holds=False),),
        (Tell("discontinued_for", "adverse_event", holds=False),),
    ),
    "kaplan_meier.months_to_bor": Behind(
        of="treated", event=Tell("months_to_bor", None, holds=False), decided_by="months_to_bor"
    ),
    "kaplan_meier.months_to_relapse": Behind(
        of="responders", event=Tell("relapsed", True), decided_by="months_to_relapse_or_censor"
    ),
    "kaplan_meier.cr_months": Behind(of="cr", event=Tell("cr_lost", True), decided_by="cr_months"),
}
"""By name of the figure, as in `definitions.FIGURES`."""
