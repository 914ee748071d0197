"""The form in which a person says what an export is to hold, and what it would leave out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.forms import Form, forms_by_name
from exports.cut_requests import read_cut
from exports.cuts import Cut, CutNotAllowed, Privacy, allowed_levels, authorise_cut, exportable_sites
from exports.datasets import counted_rows
from exports.filtering import NOT_AS_IT_IS, withheld_from
from exports.withheld import KEYS, withheld_variables
from registry.problems import Problem
from registry.rights import Caller

COUNTED_UP_TO = 5_000
"""Beyond it the page says "more": counting on would take longer than the page may."""
LEVELS: Mapping[Privacy, tuple[Any, Any]] = {
    Privacy.FULL: (
        gettext_lazy("Full"),
        gettext_lazy("Everything you may see, identifiers and free text among it."),
    ),
    Privacy.LIMITED: (
        gettext_lazy("Limited"),
        gettext_lazy("No identifiers and no free text. Record ids and dates stay as they are."),
    ),
    Privacy.DEIDENTIFIED: (
        gettext_lazy("De-identified"),
        gettext_lazy(
            "As limited. Record ids are replaced by codes, all dates of a patient are moved by the same secret number "
            "of days, partial dates are cut to the year, and ages above 89 are shown as 90."
        ),
    ),
}
"""What each level of privacy is called, and what it means."""


@dataclass
class Wish:
    """What stands in the form; `cut` when it makes one that the person may have, else `errors` by field."""

    forms: list[str]
    sites: list[str]
    privacy: str
    labels: bool
    filter: str
    levels: tuple[Privacy, ...] = ()
    cut: Cut | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A digest of the cut: the page that showed what it leaves out gives it back when the person asks."""
        parameters = self.cut.parameters() if self.cut else None
        return hashlib.sha256(json.dumps(parameters).encode()).hexdigest()


@dataclass(frozen=True)
class LeftOut:
    """Variables that a level of privacy keeps out, or disguises, for one reason: their labels by form."""

    reason: str
    variables: dict[str, list[str]]


def first_wish(by: Caller) -> Wish:
    """Return what the form holds at first: all forms, of all sites that go together, as full as may be."""
    sites = sorted(exportable_sites(by))
    if not allowed_levels(by, sites=sites):
        sites = sites[:1]
    levels = allowed_levels(by, sites=sites)
    privacy = levels[0] if levels else Privacy.DEIDENTIFIED
    return checked(Wish(list(forms_by_name()), sites, privacy, labels=True, filter=""), by=by)


def sent_wish(sent: QueryDict, *, by: Caller, adapt: bool = False) -> Wish:
    """Return what a person sent; to `adapt` is to take the fullest level of privacy when theirs is not allowed."""
    text = sent.get("filter", "")
    wish = Wish(sent.getlist("forms"), sent.getlist("sites"), sent.get("privacy", ""), "labels" in sent, text)
    wish.levels = allowed_levels(by, sites=wish.sites)
    if adapt and wish.levels and wish.privacy not in wish.levels:
        wish.privacy = wish.levels[0]
    return checked(wish, by=by)


def checked(wish: Wish, *, by: Caller) -> Wish:
    """Read the wish as the cut it makes, or note what is wrong with it."""
    wish.levels = allowed_levels(by, sites=wish.sites)
    if not wish.forms:
        wish.errors["forms"] = _("Choose one form or more.")
    if not wish.sites:
        wish.errors["sites"] = _("Choose one site or more.")
    if wish.errors:
        return wish
    body = {"format": "xlsx", "forms": wish.forms, "sites": wish.sites, "labels": wish.labels, "filter": wish.filter}
    try:
        cut = read_cut(body | ({"privacy": wish.privacy} if wish.privacy else {}), by=by)
        authorise_cut(by, cut)
    except Problem as problem:
        wish.errors |= {str(error["field"]): str(error["message"]) for error in problem.errors}
    except CutNotAllowed as refusal:
        wish.errors["sites" if not wish.levels else "privacy"] = str(refusal)
    else:
        wish.cut, wish.privacy = cut, cut.privacy
    return wish


def counts(cut: Cut) -> list[dict[str, Any]]:
    """Return for each form of a cut its title and its rows, which are counted up to a limit; not those of a filter.

    A filter is asked of every patient, which takes as long as reading the rows.
    """
    if cut.filter is not None:
        return []
    found = counted_rows(cut, up_to=COUNTED_UP_TO + 1)
    return [
        {"title": _(forms_by_name()[name].title()), "rows": min(n, COUNTED_UP_TO), "more": n > COUNTED_UP_TO}
        for name, n in found.items()
    ]


def left_out(cut: Cut) -> list[LeftOut]:
    """Return what a cut keeps out and why, then what it shows in disguise only."""
    found: dict[str, dict[str, list[str]]] = {}
    forms = [form for name, form in forms_by_name().items() if name in cut.forms]
    for form in forms:
        for withheld in withheld_variables(form, privacy=cut.privacy):
            found.setdefault(withheld.reason, {}).setdefault(_(form.title()), []).append(
                _label(form, withheld.variable)
            )
    disguised = {name for name, reason in withheld_from(cut.privacy).items() if reason == NOT_AS_IT_IS}
    for form in forms:
        shown = [_label(form, variable) for variable in form.variables() if variable in disguised]
        if shown:
            found.setdefault(NOT_AS_IT_IS, {})[_(form.title())] = shown
    return [LeftOut(_(reason), variables) for reason, variables in found.items()]


def _label(form: type[Form], variable: str) -> str:
    return _("Record id") if variable in KEYS else _(form.variables()[variable].label)
