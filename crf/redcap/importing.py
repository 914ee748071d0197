"""Record import: rows become drafts, one for each entry, and all of them are saved or none."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from django.http import HttpResponse

from crf.batch import MAX_INSTANCE
from crf.batch import RECORD_ID as SITE_AND_NUMBER
from crf.fields import CheckboxField, DateField, FileField, PartialDateField, TextField
from crf.forms import Form, MissingReason, Status, all_forms, forms_by_name, patient_form
from crf.numbering import following, next_record_id
from crf.reading import Problem, Submission, read_cells
from crf.redcap.calls import Call
from crf.redcap.columns import GROUP, INSTANCE, INSTRUMENT, RECORD_ID, checkbox_columns, status_name
from crf.redcap.contents import Need, answers
from crf.redcap.errors import XML_PREFIX, ApiError, Quadruple, named, values_refused
from crf.redcap.groups import group_of, site_named
from crf.redcap.import_rows import Cells, read_rows
from crf.redcap.tables import answer
from crf.storage import Entry
from crf.upsert import NothingSaved, upsert_entries
from registry.encoding import encode_json
from registry.rights import Right

NEW = "new"
LONGEST_ID = 100
NOT_IN_AN_ID = re.compile(r"[+&#'\r\n]")
IGNORED = frozenset({"redcap_event_name", "redcap_survey_identifier"})
SYSTEM = frozenset({RECORD_ID, INSTRUMENT, INSTANCE, GROUP})
DAY_LAST = {"MDY": r"\3-\1-\2", "DMY": r"\3-\2-\1"}
WITH_YEAR_LAST = re.compile(r"(\d{2})[-/.](\d{2})[-/.](\d{4})", re.ASCII)
REASONS = frozenset(MissingReason.values)
STATUSES: Mapping[str, Status] = {str(status.value): status for status in Status}


@dataclass
class Target:
    """One entry that rows of the data are about: a draft for the entry service.

    `cells` are those of its own form; in `overwrite` mode blank ones clear. `year_last` says how dates are written.
    """

    form: type[Form]
    record_id: str
    instance: int | None
    overwrite: bool
    year_last: str = ""
    site: str | None = None
    cells: Cells = field(default_factory=dict)

    def against(self, current: Entry | None) -> Submission:
        """Return the submission: what the cells say, given what is saved."""
        plain, boxes = self._sorted_out()
        reasons = dict(self._reasons_in_texts(plain, current))
        submission = read_cells(self.form, {name: text for name, text in plain.items() if name not in reasons})
        for name, text in plain.items():
            if not text.strip():
                submission.missing[name] = None  # a blank clears the reason as well
            if name in reasons:
                submission.values[name], submission.missing[name] = None, text
        for name, cells in boxes.items():
            self._read_boxes(submission, name, cells, current)
        self._read_status(submission, current)
        submission.site = self.site
        if current is None and not self.form.repeating:
            submission.values[RECORD_ID] = self.record_id
        return submission

    def cell_of(self, name: str | None) -> str:
        """Return what was sent for a variable, for the line that tells what is wrong with it."""
        if name in (None, RECORD_ID):
            return self.record_id
        variable = self.form.variables().get(name or "")
        if isinstance(variable, CheckboxField):
            columns = checkbox_columns(name or "", variable)
            return "|".join(code for column, code in columns.items() if self.cells.get(column) == "1")
        return self.cells.get(name or "", "")

    def _sorted_out(self) -> tuple[Cells, dict[str, Cells]]:
        """Return the cells that count by variable: single ones, and those of checkboxes by code."""
        plain: Cells = {}
        boxes: dict[str, Cells] = {}
        for column, text in self.cells.items():
            _form, name, code = columns_by_name()[column]
            if not name or (not text.strip() and not self.overwrite):
                continue
            if code is None:
                plain[name] = self._day_first(name, text)
            else:
                boxes.setdefault(name, {})[code] = text.strip()
        return plain, boxes

    def _day_first(self, name: str, text: str) -> str:
        """Return a date with the year first, whichever way it was announced to come."""
        is_date = isinstance(self.form.variables()[name], DateField | PartialDateField)
        match = WITH_YEAR_LAST.fullmatch(text) if is_date and self.year_last else None
        return match.expand(self.year_last) if match else text

    def _reasons_in_texts(self, plain: Cells, current: Entry | None) -> Iterator[tuple[str, str]]:
        """Yield the missing-data codes that stand in variables of text, unless such a text is what is saved."""
        for name, text in plain.items():
            is_saved = current is not None and current.values[name] == text
            if text in REASONS and not is_saved and isinstance(self.form.variables()[name], TextField):
                yield name, text

    def _read_boxes(self, submission: Submission, name: str, cells: Cells, current: Entry | None) -> None:
        """Tick and untick single boxes, the others stay; a missing-data code stands in for all of them."""
        reasons = {text for text in cells.values() if text in REASONS}
        others = {text for text in cells.values() if text not in REASONS}
        if len(reasons) == 1 and others <= {"", "0"}:
            submission.values[name], submission.missing[name] = None, reasons.pop()
            return
        if reasons or not others <= {"", "0", "1"}:
            words = "Write only 1 (checked) or 0 (unchecked), or the same missing data code in every column."
            submission.refuse(name, "wrong_type", words)
            return
        ticked = set((current and current.values[name]) or ())
        ticked = (ticked | {code for code, text in cells.items() if text == "1"}) - {
            code for code, text in cells.items() if text != "1"
        }
        codes = self.form.variables()[name].codes
        submission.values[name] = [code for code in codes if code in ticked] or None
        submission.missing[name] = None

    def _read_status(self, submission: Submission, current: Entry | None) -> None:
        """Read the form status; a new entry without one is incomplete."""
        text = self.cells.get(status_name(self.form), "").strip()
        if text:
            submission.status = STATUSES.get(text)
            if submission.status is None:
                submission.refuse("status", "unknown_code", "The status is 0, 1 or 2.")
        elif current is None or (self.overwrite and status_name(self.form) in self.cells):
            submission.status = Status.INCOMPLETE


@cache
def columns_by_name() -> Mapping[str, tuple[type[Form], str, str | None]]:
    """Return form, variable (blank for the status) and code (of a checkbox) of each column that an import can have."""
    found: dict[str, tuple[type[Form], str, str | None]] = {}
    for form in all_forms():
        for name, variable in form.variables().items():
            if isinstance(variable, CheckboxField):
                found |= {column: (form, name, code) for column, code in checkbox_columns(name, variable).items()}
            elif name != RECORD_ID:
                found[name] = (form, name, None)
        found[status_name(form)] = (form, "", None)
    return found


@dataclass
class Import:
    """What one call imports: drafts, the records it names in their order, and the new name of each, if numbered."""

    targets: list[Target] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)


@answers("record", "import", need=Need.IMPORT)
def import_records(call: Call) -> HttpResponse:
    """Save the records of `data`, all or none, and return how many there are or which."""
    found = _read(call)
    try:
        upsert_entries(found.targets, by=call.by, reason=call.reason)
    except NothingSaved as refused:
        raise values_refused(
            _quadruple(problem, target)
            for target, result in zip(found.targets, refused.results, strict=True)
            for problem in result.problems
        ) from None
    return _told(call, found)


def _read(call: Call) -> Import:
    """Return the drafts of a call. Raises ApiError for rows that belong nowhere."""
    rows = read_rows(call)
    _refuse_columns(rows, call=call)
    names = [_record_id(row) for row in rows]
    found = Import(records={name: name for name in names})
    if call.flag("forceAutoNumber"):
        found.records = _numbered(rows, names, call=call)
    else:
        _refuse_names(found.records)
    problems: list[Quadruple] = []
    targets: dict[tuple[str, type[Form], str], Target] = {}
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        place = _place(row, name, problems)
        if place is None:
            continue
        form, instance = place
        key = (name, form, f"new {index}" if instance is None else str(instance))
        if key not in targets:
            targets[key] = _target(form, found.records[name], instance, call=call)
        _add_cells(targets[key], row, name, problems, call=call)
    if problems:
        raise values_refused(problems)
    found.targets = list(targets.values())
    return found


def _target(form: type[Form], record_id: str, instance: int | None, *, call: Call) -> Target:
    overwrite = call.text("overwriteBehavior").lower() == "overwrite"
    return Target(form, record_id, instance, overwrite, DAY_LAST.get(call.text("dateFormat").upper(), ""))


def _refuse_columns(rows: Sequence[Cells], *, call: Call) -> None:
    """Refuse columns that are none of the project's, and groups where they may not be given."""
    sent = {column: None for row in rows for column in row}
    known = columns_by_name()
    unknown = [column for column in sent if column not in known and column not in SYSTEM and not _is_ignored(column)]
    if unknown:
        raise ApiError(f"The following fields were not found in the project as real data fields: {named(unknown)}")
    groups = {text for row in rows if (text := row.get(GROUP, "").strip())}
    if groups and group_of(call.by) is not None:
        raise ApiError(f"You are in a Data Access Group and cannot assign groups: leave out the column {GROUP}.")
    if wrong := sorted(group for group in groups if site_named(group, by=call.by) is None):
        raise ApiError(f"The following Data Access Groups do not exist: {named(wrong)}")


def _is_ignored(column: str) -> bool:
    return column in IGNORED or column.removesuffix("_timestamp") in forms_by_name()


def _record_id(row: Cells) -> str:
    """Return the record that a row is about; letters may come small, as they may in REDCap."""
    name = row.get(RECORD_ID, "").strip()
    if not name:
        raise ApiError(f"The record id field ({RECORD_ID}) is missing.")
    if len(name) > LONGEST_ID or NOT_IN_AN_ID.search(name):
        raise ApiError(f'The record id "{name[:LONGEST_ID]!a}" is too long or holds one of the characters + & # \'')
    return name.upper()


def _refuse_names(names: Iterable[str]) -> None:
    """Refuse what can be no identifier here: every one of them is told."""
    words = "Write the identifier as SITE-001, or have the registry number the records with forceAutoNumber."
    wrong = [(name, RECORD_ID, name, words) for name in names if SITE_AND_NUMBER.fullmatch(name) is None]
    if wrong:
        raise values_refused(wrong)


def _place(row: Cells, name: str, problems: list[Quadruple]) -> tuple[type[Form], int | None] | None:
    """Return form and instance of a row, None as instance for the next one; note what is wrong with them."""
    instrument, instance = row.get(INSTRUMENT, "").strip(), row.get(INSTANCE, "").strip()
    if not instrument:
        if instance:
            raise ApiError(f'Record "{name}": the instance {instance[:20]!a} comes without {INSTRUMENT}.')
        return patient_form(), 1
    form = forms_by_name().get(instrument)
    if form is None or not form.repeating:
        problems.append((name, INSTRUMENT, instrument, "This is not the name of a repeating instrument."))
        return None
    if instance.lower() == NEW:
        return form, None
    if not (instance.isascii() and instance.isdecimal() and 1 <= int(instance[:9]) <= MAX_INSTANCE):
        problems.append((name, INSTANCE, instance, f"Write a number from 1 to {MAX_INSTANCE}, or new."))
        return None
    return form, int(instance)


def _add_cells(target: Target, row: Cells, name: str, problems: list[Quadruple], *, call: Call) -> None:
    """Add the cells of a row to its entry, later ones over earlier; blank cells of other forms say nothing."""
    known = columns_by_name()
    for column, text in row.items():
        if column not in known:
            continue
        form, variable, _code = known[column]
        if form is target.form:
            if not isinstance(form.variables().get(variable), FileField):
                target.cells[column] = text
        elif text.strip():
            words = f"The field belongs to the instrument {form.form_name()}, this row to {target.form.form_name()}."
            problems.append((name, column, text, words))
    if group := row.get(GROUP, "").strip():
        target.site = site_named(group, by=call.by)


def _numbered(rows: Sequence[Cells], names: Sequence[str], *, call: Call) -> dict[str, str]:
    """Return a new identifier for each record that the data name."""
    groups = {name: group for row, name in zip(rows, names, strict=True) if (group := row.get(GROUP, "").strip())}
    mine = call.by.sites_with(Right.ENTER)
    given: dict[str, str] = {}
    last: dict[str, str] = {}
    for name in dict.fromkeys(names):
        site = site_named(groups[name], by=call.by) if name in groups else next(iter(mine)) if len(mine) == 1 else None
        if site not in mine:
            raise ApiError(f'Record "{name}": several sites are possible. Name one in the column {GROUP}.')
        given[name] = last[site] = following(last[site]) if site in last else next_record_id(site, hold=True)
    return given


def _quadruple(problem: Problem, target: Target) -> Quadruple:
    """Return what is wrong with one value as REDCap tells it."""
    names = {None: status_name(target.form), "status": status_name(target.form), "instance": INSTANCE, "site": GROUP}
    name = names.get(problem.field, problem.field or "")
    return problem.record_id or target.record_id, name, target.cell_of(name), problem.message


def _told(call: Call, found: Import) -> HttpResponse:
    """Return the body that `returnContent` asks for."""
    ids, form = list(found.records.values()), call.error_format
    if call.flag("backgroundProcess"):
        success = {"json": '{"success":true}', "csv": "success\ntrue", "xml": f"{XML_PREFIX}\n<success>true</success>"}
        return answer(success[form], form=form)
    content = call.text("returnContent").lower() or "count"
    if content == "auto_ids" and call.flag("forceAutoNumber"):
        ids = [f"{new},{sent}" for sent, new in found.records.items()]
    elif content == "nothing":
        return answer(XML_PREFIX if form == "xml" else "", form=form)
    elif content != "ids":
        count = str(len(ids))
        bodies = {"json": f'{{"count": {count}}}', "csv": count, "xml": f"{XML_PREFIX}<count>{count}</count>"}
        return answer(bodies[form], form=form)
    if form == "json":
        return answer(encode_json(ids), form=form)
    if form == "csv":
        return answer("\n".join(["id,original_id" if content == "auto_ids" else "id", *ids]), form=form)
    return answer(f"{XML_PREFIX}<ids>{''.join(f'<id>{name}</id>' for name in ids)}</ids>", form=form)
