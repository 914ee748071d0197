"""Saved reports: made by anybody who may read, used by all of them, deleted by who made them or a data manager."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from crf.checks import Finding
from crf.fields import CONTROL
from crf.filters import Filter, FilterError, parse_filter
from crf.filters.logic import RECORD_ID
from crf.forms import all_forms, forms_by_name
from crf.models.report import Report
from registry.rights import Caller, Right

NAME = re.compile(r"[a-z][a-z0-9_]{0,49}", re.ASCII)
MAX_TITLE = 200


class ReportRefused(ValueError):
    """A report that cannot be saved, with everything that is wrong with it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class ReportExists(ValueError):
    """There is a report of that name already."""


class NotYourReport(PermissionError):
    """Only who made a report, or a data manager, may delete it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A report as somebody asks for it; blank `forms` and `variables` mean all."""

    name: str
    title: str
    forms: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    filter: str = ""


def save_report(wanted: Wanted, *, by: Caller) -> Report:
    """Save a new report and return it.

    Raises NotYourReport if `by` may not read or is nobody, ReportRefused and ReportExists.
    """
    if by.person_id is None or not by.may_anywhere(Right.READ):
        raise NotYourReport(_("Whoever may not read entries has no use for a report."))
    if findings := list(_findings(wanted)):
        raise ReportRefused(findings)
    report = Report(
        name=wanted.name,
        title=wanted.title,
        forms=list(wanted.forms),
        variables=list(wanted.variables),
        filter=wanted.filter,
        made_by_id=by.person_id,
    )
    try:
        with transaction.atomic():
            report.save()
    except IntegrityError:
        raise ReportExists(_("There is a report of this name. Choose another, or delete that one.")) from None
    report.refresh_from_db()
    return report


def delete_report(report: Report, *, by: Caller) -> None:
    """Delete a report; its history stays. Raises NotYourReport."""
    if report.made_by_id != by.person_id and not by.may_anywhere(Right.MANAGE):
        raise NotYourReport(_("The report is somebody else's. Ask them, or a data manager."))
    report.delete()


def filter_of(report: Report) -> Filter | None:
    """Return the filter of a report, None for none. Raises FilterError when the forms have changed since."""
    return parse_filter(report.filter) if report.filter else None


def variables_of(report: Report) -> dict[str, tuple[str, ...]]:
    """Return the variables of a report by form, in the order of the dictionary; forms without any are left out.

    What the dictionary no longer has is left out.
    """
    found = {}
    for form in all_forms():
        if not report.forms or form.form_name() in report.forms:
            wanted = (name for name in form.variables() if not report.variables or name in report.variables)
            found[form.form_name()] = tuple(wanted)
    return {form: variables for form, variables in found.items() if variables}


def _findings(wanted: Wanted) -> Iterator[Finding]:
    if NAME.fullmatch(wanted.name) is None:
        message = _("name: write small letters, digits and underscores, at most 50, a letter first.")
        yield Finding("name", "not_a_name", message)
    if not wanted.title.strip():
        yield Finding("title", "blank", _("title: write what the report shows."))
    elif len(wanted.title) > MAX_TITLE:
        yield Finding("title", "too_long", _("title: shorten it to %(max)d characters.") % {"max": MAX_TITLE})
    elif CONTROL.search(wanted.title):
        yield Finding("title", "unprintable", _("title: write it without control characters."))
    yield from _not_among(wanted.forms, forms_by_name(), field="forms", code="unknown_form")
    known = [name for form in _forms_of(wanted) for name in forms_by_name()[form].variables()]
    yield from _not_among(wanted.variables, known, field="variables", code="unknown_variable")
    if wanted.filter:
        try:
            yield from _names_patients(parse_filter(wanted.filter))
        except FilterError as error:
            yield Finding("filter", error.code, error.message)


def _names_patients(wanted: Filter) -> Iterator[Finding]:
    """Yield what could tell other sites who a patient is, or that there is one: they read the report's filter too."""
    identifiers = {name for form in all_forms() for name, at in form.variables().items() if at.identifier}
    for name in sorted((wanted.reads - wanted.reads_only_how_far_apart) & {RECORD_ID, *identifiers}):
        message = _(
            "filter: all sites read it, so it may not name [%(name)s]. Leave that out, or filter in your own call."
        )
        yield Finding("filter", "identifies_a_patient", message % {"name": name})


def _forms_of(wanted: Wanted) -> Collection[str]:
    return [name for name in forms_by_name() if not wanted.forms or name in wanted.forms]


def _not_among(given: Sequence[str], known: Collection[str], *, field: str, code: str) -> Iterator[Finding]:
    if unknown := [name for name in given if name not in known]:
        message = _("%(field)s: there is no %(name)s here. Write names as the data dictionary has them.")
        yield Finding(field, code, message % {"field": field, "name": ascii(unknown[0][:60])})
    elif len(set(given)) < len(given):
        message = _("%(field)s names something twice. Name each once.")
        yield Finding(field, "repeated_code", message % {"field": field})
