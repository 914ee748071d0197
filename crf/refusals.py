"""Why an entry was not saved: the exceptions of the entry service, the same for every door."""

from collections.abc import Sequence

from crf.reading import Problem, Submission
from crf.storage import Entry


class Refused(Exception):
    """The submission breaks hard checks; nothing was saved. `problems` says what to mend."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(", ".join(sorted({problem.code for problem in problems})))
        self.problems = list(problems)


class NotFound(LookupError):
    """There is no such entry, or none that the caller may see: the two are not told apart."""


class NotAllowed(PermissionError):
    """The caller sees the patient but holds no right to do this there."""


class Locked(Exception):
    """The entry is locked."""


class ReasonNeeded(Exception):
    """A complete form is changed, a value cleared, an entry deleted or brought back, and nothing says why."""


class NotDeleted(Exception):
    """The entry that is to be brought back is there."""


class PatientDeleted(Exception):
    """The entry that is to be brought back is of a patient who is deleted."""


class Stale(Exception):
    """Somebody else changed the entry first. `current` is what is saved, `yours` what was sent, if anything was."""

    def __init__(self, current: Entry, yours: Submission | None = None) -> None:
        super().__init__(f"version {current.version}")
        self.current = current
        self.yours = yours
