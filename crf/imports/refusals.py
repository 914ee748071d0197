"""Why a file is not taken, or an import not applied or undone."""

from collections.abc import Sequence

from crf.reading import Problem


class FileRefused(ValueError):
    """The file cannot be read as data: a stable code, and what to do about it. Nothing of it is kept."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


class AlreadyApplied(Exception):
    """This very file was applied at the site, and is in force."""


class NotInThisState(Exception):
    """The import was applied, undone or thrown away already."""


class PreviewChanged(Exception):
    """The data have changed since the preview was made; the new preview is kept."""


class CannotApply(Exception):
    """The preview has entries that are refused or in conflict, or nothing to apply."""


class CannotUndo(Exception):
    """Later changes, or the checks, stand against undoing. `problems` says which."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(", ".join(sorted({problem.code for problem in problems})))
        self.problems = list(problems)
