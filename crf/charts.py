"""What the entry service must know of the patients at hand before it can judge an entry: one question, one round trip.

For each patient: the site, the rows that the edit checks read, and the instance numbers in use. The patient rows can
be held meanwhile, so that two writers of one patient come one after the other; each statement of the question sees
what was committed before it began, so that what is read after the wait is what the other writer left.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import connection

from crf.checks import reads_of
from crf.forms import Form, all_forms, forms_by_name, patient_form
from crf.storage import read_partial_dates, table_of
from registry.database import Statement, fetch_ahead, fetch_all
from registry.messenger import Row

Reads = Mapping[str, tuple[str, ...]]
"""Variables by form name."""


@dataclass(slots=True)
class Known:
    """One patient: the site, the rows that checks read by form name, and the instance numbers taken by form.

    `taken` is every number in use, or the highest alone, as the question was.
    """

    site: str
    chart: dict[str, list[dict[str, Any]]]
    taken: dict[type[Form], set[int]] = field(default_factory=dict)


@cache
def reads_of_forms(forms: tuple[type[Form], ...]) -> Reads:
    """Return the variables that the checks of all these forms read, by form name."""
    read: dict[str, dict[str, None]] = {}
    for form in forms:
        for name, variables in reads_of(form).items():
            read.setdefault(name, {}).update(dict.fromkeys(variables))
    return {name: tuple(variables) for name, variables in read.items()}


class Lookup:
    """What is known of some patients: the statements that ask for it, and what their rows say.

    Asked are those of the patients that are at one of `sites`, with what entries of `forms` are judged by. `hold` keeps
    other writers of these patients waiting until the transaction ends. The patients are taken in the order of the
    record id, so that two calls with the same patients never wait for each other in a circle. With `every_number` all
    instance numbers in use are asked for, else the highest, which the next one follows.
    """

    def __init__(
        self,
        record_ids: Iterable[str],
        *,
        forms: Collection[type[Form]],
        sites: Collection[str],
        hold: bool,
        every_number: bool = False,
    ) -> None:
        self.forms = tuple(form for form in all_forms() if form in forms)
        self.every_number = every_number
        asked = sorted(set(record_ids))
        wanted = ",".join(asked)
        texts = _statements(self.forms, hold=hold, every_number=every_number)
        parameters = [[wanted, ",".join(sites)], *[[wanted]] * (len(texts) - 1)]
        self.statements: list[Statement] = list(zip(texts, parameters, strict=True))
        self.is_about_one = len(asked) == 1

    def found_in(self, answers: Sequence[Sequence[Row]]) -> dict[str, Known]:
        """Return the patients by record id, given the rows of each statement."""
        reads = reads_of_forms(self.forms)
        patients, *others = answers
        known, names = _patients(patients, reads), _other_forms(reads)
        for name, rows in zip(names, others[: len(names)], strict=True):
            _add_rows(known, name, reads[name], rows)
        for form, rows in zip(filter(_repeats, self.forms), others[len(names) :], strict=True):
            for record_id, numbers in rows:
                if record_id in known and numbers is not None:
                    known[record_id].taken[form] = set(numbers) if self.every_number else {numbers}
        return known


def known_patients(
    record_ids: Iterable[str], *, forms: Collection[type[Form]], sites: Collection[str], hold: bool
) -> dict[str, Known]:
    """Return what is known of patients, as `Lookup` says."""
    return look_up(Lookup(record_ids, forms=forms, sites=sites, hold=hold))


def look_up(lookup: Lookup) -> dict[str, Known]:
    """Ask the database and return the patients that were found."""
    return lookup.found_in(fetch_all(*lookup.statements, prepare=lookup.is_about_one))


def look_up_ahead(lookup: Lookup) -> Callable[[], dict[str, Known]]:
    """Have the database look while this process goes on; return what waits for the patients that are found."""
    answers = fetch_ahead(*lookup.statements, prepare=lookup.is_about_one)
    return lambda: lookup.found_in(answers())


def new_patient(site: str, *, forms: Collection[type[Form]]) -> Known:
    """Return a patient who has no rows yet."""
    return Known(site=site, chart={name: [] for name in reads_of_forms(tuple(forms))})


WANTED = "unnest(string_to_array(%s, ',')) AS wanted (record_id)"
"""The patients asked for, in the order in which they are asked for. What is wanted of each is looked up by the key of
its table (OFFSET 0 keeps the planner from joining whole tables): no slower when the tables have grown, or when nothing
is known of them yet: one condition over all would then read a whole site and compare each row with all wanted."""


@cache
def _statements(forms: tuple[type[Form], ...], *, hold: bool, every_number: bool) -> list[str]:
    """Return the statements of the question: the patients, the rows of each form that is read, the numbers taken."""
    reads = reads_of_forms(forms)
    return [
        _statement_of_patients(_patient_variables(reads), hold=hold),
        *(_statement_of_rows(forms_by_name()[name], reads[name]) for name in _other_forms(reads)),
        *(_statement_of_numbers(form, every=every_number) for form in filter(_repeats, forms)),
    ]


def _repeats(form: type[Form]) -> bool:
    return form.repeating


def _statement_of_patients(variables: Iterable[str], *, hold: bool) -> str:
    of_one = (
        f"SELECT * FROM {table_of(patient_form()).quoted} WHERE record_id = wanted.record_id AND deleted_at IS NULL"  # noqa: S608 -- identifiers of the declaration
    )
    readable = f"{of_one} AND site_id = ANY(string_to_array(%s, ',')) OFFSET 0{' FOR NO KEY UPDATE' if hold else ''}"
    columns = _columns(("site_id", *variables))
    return f"SELECT of_one.record_id, {columns} FROM {WANTED} CROSS JOIN LATERAL ({readable}) of_one"  # noqa: S608 -- identifiers of the declaration


def _statement_of_rows(form: type[Form], variables: Iterable[str]) -> str:
    of_one = f"SELECT * FROM {table_of(form).quoted} WHERE record_id = wanted.record_id AND deleted_at IS NULL OFFSET 0"  # noqa: S608 -- identifiers of the declaration
    columns = _columns(("instance", *variables))
    return f"SELECT of_one.record_id, {columns} FROM {WANTED} CROSS JOIN LATERAL ({of_one}) of_one"  # noqa: S608 -- identifiers of the declaration


def _statement_of_numbers(form: type[Form], *, every: bool) -> str:
    numbers = "array_agg(instance)" if every else "max(instance)"
    of_one = f"SELECT {numbers} FROM {table_of(form).quoted} WHERE record_id = wanted.record_id"  # noqa: S608 -- identifiers of the declaration
    return f"SELECT record_id, ({of_one}) FROM {WANTED}"  # noqa: S608 -- identifiers of the declaration


def _columns(names: Iterable[str]) -> str:
    return ", ".join(connection.ops.quote_name(name) for name in names)


def _patient_variables(reads: Reads) -> tuple[str, ...]:
    return reads.get(patient_form().form_name(), ())


def _other_forms(reads: Reads) -> list[str]:
    return [name for name in reads if name != patient_form().form_name()]


def _patients(rows: Sequence[Row], reads: Reads) -> dict[str, Known]:
    form, variables = patient_form(), _patient_variables(reads)
    name, others = form.form_name(), _other_forms(reads)
    partial = [date for date in table_of(form).partial_dates if date in variables]
    known: dict[str, Known] = {}
    for record_id, site, *values in rows:
        chart: dict[str, list[dict[str, Any]]] = {other: [] for other in others}
        if variables:
            row = {"instance": 1, **dict(zip(variables, values, strict=True))}
            read_partial_dates(row, partial)
            chart[name] = [row]
        known[record_id] = Known(site, chart)
    return known


def _add_rows(known: Mapping[str, Known], name: str, variables: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Put the rows of one form into the charts of the patients that may be seen."""
    names = ("instance", *variables)
    partial = [name for name in table_of(forms_by_name()[name]).partial_dates if name in variables]
    for record_id, *values in rows:
        if record_id in known:
            row = dict(zip(names, values, strict=True))
            read_partial_dates(row, partial)
            known[record_id].chart[name].append(row)
