"""The response of the lesions: visits, best overall response (BOR), relapse and loss of a complete response (CR).

Source of every rule here: docs/endpoints.md, "Per patient".
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from operator import attrgetter

from msgspec import Struct

from crf.derivations import Response, visit_response
from exports.endpoints.chart import Assessment
from exports.endpoints.outcome import BestResponse, EvidenceRow, RelapseSetting
from exports.endpoints.treatment import Treatment, dose_in_force

BOR_WINDOW = timedelta(days=30)  # after the end of the treatment
BEST_FIRST: tuple[Response, ...] = ("CR", "PR", "NR")

in_order = attrgetter("day", "instance")


class Visit(Struct, frozen=True, gc=False):
    """One evaluable assessment and its response; `row` is its name as evidence."""

    instance: int
    day: date
    response: Response
    row: EvidenceRow


class Responses(Struct, frozen=True, gc=False):
    """What the evaluable assessments of one patient come to.

    `in_window` are those that count for the BOR. For a responder `best` is the BOR assessment, `later` all evaluable
    assessments after it, in the window or not, `relapse` the first relapse among them and `last` the last evaluable
    assessment. For a BOR of CR `cr_end` is the first later assessment that is not CR. None where that does not apply.
    """

    in_window: list[Visit]
    bor: BestResponse
    best: Visit | None = None
    later: Sequence[Visit] = ()
    last: Visit | None = None
    relapse: Visit | None = None
    cr_end: Visit | None = None


def evaluable_visits(assessments: Iterable[Assessment], *, index_date: date) -> list[Visit]:
    """Return the evaluable assessments by day, then instance; one on the index date is baseline, not evaluable.

    Source: docs/endpoints.md, "evaluable assessment".
    """
    visits = []
    for assessment in assessments:
        day, clearance, new = assessment.lesion_date, assessment.lesion_clearance, assessment.lesion_new
        if day is not None and day > index_date and clearance is not None and new is not None:
            row = EvidenceRow("lesion_assessment", assessment.instance)
            response = visit_response(clearance=clearance, new_lesions=new)
            visits.append(Visit(assessment.instance, day, response, row))
    return sorted(visits, key=in_order)


def responses_of(assessments: Iterable[Assessment], *, treatment: Treatment) -> Responses:
    """Return the BOR, the assessment that reached it first and what became of it.

    Source: docs/endpoints.md, "bor" to "cr_lost".
    """
    visits = evaluable_visits(assessments, index_date=treatment.active[0].start)
    in_window = visits_in_window(visits, treatment_end=treatment.end)
    bor = best_response(in_window)
    if bor not in ("CR", "PR"):
        return Responses(in_window, bor)
    # The window is the beginning of the visits: a position in one is the same position in the other.
    position = [visit.response for visit in in_window].index(bor)
    later = visits[position + 1 :]
    cr_end = end_of_cr(later) if bor == "CR" else None
    return Responses(in_window, bor, visits[position], later, visits[-1], relapse_of(later), cr_end)


def visits_in_window(visits: list[Visit], *, treatment_end: date | None) -> list[Visit]:
    """Return the visits that count for the BOR: up to 30 days after the end of the treatment, or all while treated."""
    if treatment_end is None:
        return visits
    last_day = treatment_end + BOR_WINDOW
    return [visit for visit in visits if visit.day <= last_day]


def best_response(visits: Sequence[Visit]) -> BestResponse:
    """Return the best of the responses, NE (not evaluable) when there is none.

    Source: docs/endpoints.md, "bor".
    """
    reached = {visit.response for visit in visits}
    for response in BEST_FIRST:
        if response in reached:
            return response
    return "NE"


def relapse_of(later: Sequence[Visit]) -> Visit | None:
    """Return the first visit after the BOR with new lesions or less than 50 % cleared, which is what NR means.

    Source: docs/endpoints.md, "relapse".
    """
    return next((visit for visit in later if visit.response == "NR"), None)


def end_of_cr(later: Sequence[Visit]) -> Visit | None:
    """Return the first visit after the BOR, for a BOR of CR, that is not CR; None while none was seen.

    Source: docs/endpoints.md, "cr_lost".
    """
    return next((visit for visit in later if visit.response != "CR"), None)


def relapse_setting(relapse: Visit, *, best: Visit, treatment: Treatment) -> RelapseSetting:
    """Return the treatment under which the relapse came; a stopped drug goes before a reduced dose.

    Source: docs/endpoints.md, "relapse_setting".
    """
    if treatment.end is not None and relapse.day > treatment.end:
        return "after_discontinuation"
    at_relapse = dose_in_force(treatment.periods, day=relapse.day)
    if at_relapse < dose_in_force(treatment.periods, day=best.day):
        return "after_dose_reduction"
    return "on_stable_dose"


def bor_after_adjustment(best: Visit, *, treatment: Treatment) -> bool:
    """Return whether the dose in force at the BOR differs from the first active dose.

    Source: docs/endpoints.md, "bor_after_adjustment".
    """
    return dose_in_force(treatment.periods, day=best.day) != treatment.active[0].mean_mg
