"""Why an entry was not saved: the exceptions of the entry service, the same for every door."""

from collections.abc import Mapping, Sequence
from typing import Any

from crf.reading import Problem
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
    """A complete form is changed, a value cleared or an entry deleted, and nothing says why."""


class Stale(Exception):
    """Somebody else changed the entry first. `current` is what is saved, `yours` the values that were sent."""

    def __init__(self, current: Entry, yours: Mapping[str, Any]) -> None:
        super().__init__(f"version {current.version}")
        self.current = current
        self.yours = yours
