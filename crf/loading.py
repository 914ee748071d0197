"""A folder of CSV files, one a form, loaded through the entry service: all or nothing.

The format is that of docs/cohort19: columns named like the variables, `site` in the patient form,
`redcap_repeat_instance` in repeating ones, and optionally `status` and `missing` ("variable=REASON|...").
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from crf.entry import create_entries
from crf.fields import MAX_NOTES
from crf.forms import Form, all_forms
from crf.reading import BESIDE_THE_VARIABLES, Submission, read_cells, unknown_field
from registry.rights import Caller

INSTANCE = "redcap_repeat_instance"


@dataclass(frozen=True)
class FileProblem:
    """One thing wrong with a file: where it is, a stable code, and words."""

    file: str
    line: int | None
    column: str | None
    code: str
    message: str

    def __str__(self) -> str:
        place = [self.file]
        if self.line is not None:
            place.append(_("line %(line)d") % {"line": self.line})
        if self.column is not None:
            place.append(_("column %(column)s") % {"column": self.column})
        return f"{', '.join(place)}: {self.message} [{self.code}]"


class NotLoaded(Exception):
    """The files cannot be loaded as they are; nothing was saved. `problems` says what to mend."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__(", ".join(sorted({problem.code for problem in problems})))
        self.problems = list(problems)


@dataclass(frozen=True)
class Loaded:
    """What was loaded: entries by form name, and how often each soft check warned."""

    entries: Mapping[str, int]
    warnings: Mapping[str, int]


def load_folder(folder: Path, *, by: Caller) -> Loaded:
    """Save every row of the files of `folder`, in the transaction of the caller.

    Raises NotLoaded with every problem of every row; then the caller's transaction must be undone.
    """
    found = list(read_folder(folder))
    problems = [problem for problem in found if isinstance(problem, FileProblem)]
    if problems:
        raise NotLoaded(problems)
    submissions = [submission for submission in found if isinstance(submission, Submission)]
    results = create_entries(submissions, by=by, atomic=False)
    refused = [
        FileProblem(
            f"{submission.form.form_name()}.csv", submission.row, _column(problem.field), problem.code, problem.message
        )
        for submission, result in zip(submissions, results, strict=True)
        for problem in result.problems
    ]
    if refused:
        raise NotLoaded(refused)
    entries = Counter(submission.form.form_name() for submission in submissions)
    warned = Counter(found.code for result in results if result.entry for found in result.entry.warnings)
    return Loaded(entries=entries, warnings=warned)


def read_folder(folder: Path) -> Iterator[Submission | FileProblem]:
    """Yield a submission for each row of the files, form by form, and the problems of files that cannot be read."""
    known = {f"{form.form_name()}.csv": form for form in all_forms()}
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    files = {path.name: path for path in found if path.suffix.lower() == ".csv" and path.is_file()}
    if not files:
        message = _("There is no CSV file here. Give the folder that holds %(names)s.")
        yield FileProblem(str(folder), None, None, "no_files", message % {"names": ", ".join(known)})
    for name in files.keys() - known.keys():
        message = _("There is no form of this name. Name the file after one of: %(names)s.")
        yield FileProblem(name, None, None, "unknown_form", message % {"names": ", ".join(known)})
    for name, form in known.items():
        if name in files:
            yield from _read_file(files[name], form)


def _read_file(path: Path, form: type[Form]) -> Iterator[Submission | FileProblem]:
    csv.field_size_limit(4 * MAX_NOTES)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = next(reader, [])
            problems = list(_header_problems(path.name, form, columns))
            yield from problems
            if problems:
                return
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    yield _read_row(path.name, line, form, columns, cells)
                line = reader.line_num + 1
    except UnicodeDecodeError:
        yield FileProblem(path.name, None, None, "not_utf8", _("The file is not in UTF-8. Save it as CSV UTF-8."))
    except csv.Error as error:
        yield FileProblem(path.name, line, None, "not_csv", _("The row cannot be read: %(why)s.") % {"why": error})


def _header_problems(file: str, form: type[Form], columns: Sequence[str]) -> Iterator[FileProblem]:
    allowed = {*form.variables(), *BESIDE_THE_VARIABLES, "record_id", INSTANCE if form.repeating else "site"}
    if "record_id" not in columns:
        yield FileProblem(file, 1, "record_id", "missing_column", _("The column record_id is missing. Add it."))
    for column, times in Counter(columns).items():
        if times > 1:
            yield FileProblem(file, 1, column, "repeated_column", _("The column stands twice. Remove one."))
        if column not in allowed:
            yield FileProblem(file, 1, column, "unknown_field", unknown_field(form, column))


def _read_row(
    file: str, line: int, form: type[Form], columns: Sequence[str], cells: Sequence[str]
) -> Submission | FileProblem:
    if len(cells) != len(columns):
        message = _("The row has %(cells)d cells, the header %(columns)d. Check the commas and quotes.")
        counts = {"cells": len(cells), "columns": len(columns)}
        return FileProblem(file, line, None, "wrong_cell_count", message % counts)
    row = dict(zip(columns, cells, strict=True))
    record_id = row.pop("record_id").strip() if form.repeating else None
    instance = row.pop(INSTANCE, "").strip()
    submission = read_cells(form, row)
    submission.row, submission.record_id = line, record_id
    if instance.isascii() and instance.isdecimal() and len(instance) < 6:
        submission.instance = int(instance)
    elif instance:
        submission.refuse("instance", "not_an_integer", _("Write the number of the instance in digits, from 1."))
    return submission


def _column(field: str | None) -> str | None:
    return INSTANCE if field == "instance" else field
