"""The tables of what comes out: jobs, and the stored endpoints."""

from exports.models.job import Job, Kind, State
from exports.models.outcome import CohortOutcome, PatientOutcome

__all__ = ["CohortOutcome", "Job", "Kind", "PatientOutcome", "State"]
