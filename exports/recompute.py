"""The computations of the endpoints: asked for, after changes, and every night."""

import logging

from exports.endpoints.store import is_stale, recompute_all, recompute_changed, summarise
from exports.jobs import Work, as_the_machine, enqueue, read_anew, run, runs
from exports.models import Job, Kind
from registry.rights import Caller, Right

logger = logging.getLogger(__name__)

MOST_NAMED = 100
"""Record ids that the log and the row of a nightly check name; a longer list helps nobody."""


@runs(Kind.ENDPOINTS)
def recompute(work: Work) -> None:
    """Compute the endpoints of every patient and the summary; note what had been missed.

    Each part is one transaction that can be broken off and done again, so that nothing has to be handed over.
    """
    found = recompute_all(report=work.report)
    rows = {"outcomes": {"computed": found.patients, "changed": len(found.changed), "missed": len(found.missed)}}
    work.report(100, rows=rows)
    if found.missed:
        named = ", ".join(found.missed[:MOST_NAMED])
        logger.warning("%d outcomes were not what their charts give: %s", len(found.missed), named)


def recompute_stale() -> int:
    """Compute the endpoints of the patients whose charts changed, and the summary; return how many patients.

    Costs one question to the database when nothing changed.
    """
    if not is_stale():
        return 0
    patients = 0
    while some := recompute_changed():
        patients += some
    summarise()
    return patients


def ask_for_computation(*, by: Caller) -> Job:
    """Save the job of a new computation that a person asks for."""
    return enqueue(Kind.ENDPOINTS, parameters={"reason": "asked for"}, by=by, sites=by.sites_with(Right.READ))


def nightly_check() -> Job:
    """Compute everything anew, and compare; what was missed is corrected, and counted on the row of the job."""
    with as_the_machine() as by:
        job = enqueue(Kind.ENDPOINTS, parameters={"reason": "nightly check"}, by=by, sites=by.sites, doorbell=False)
    run(job.pk)
    read_anew(job)
    return job
