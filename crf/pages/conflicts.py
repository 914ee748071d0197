"""Two people on one form: both values of every field in which they differ, and the choice between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from crf.forms import Form, MissingReason, Status
from crf.pages.typed import Reading, Text, Typed, asked_on_the_page, typed_of
from crf.pages.values import choice_label
from crf.storage import Entry
from crf.versions import changes_since

KEEP = "keep-"
"""What the names of fields begin with in which one of two values is chosen."""
NOTHING = "\u2013"
THEIRS, MINE = "theirs", "mine"


@dataclass(frozen=True, slots=True)
class Differing:
    """One field with both values in words; `chosen` is blank where both people changed it."""

    name: str
    label: str
    theirs: str
    mine: str
    chosen: str
    who: str = ""
    at: datetime | None = None

    @property
    def both_changed(self) -> bool:
        """Whether neither value can be taken without asking."""
        return not self.chosen


@dataclass(frozen=True, slots=True)
class Conflict:
    """What differs between a form as it was sent and its entry, which is at `version` by now."""

    form: type[Form]
    version: int
    fields: list[Differing]

    def decided(self, typed: Typed, saved: Entry, choices: Mapping[str, Any]) -> Typed:
        """Return what was typed, with the saved values where those were chosen."""
        theirs = _as_typed(saved)
        merged = replace(typed, texts=dict(typed.texts), missing=dict(typed.missing))
        for one in self.fields:
            if choices.get(KEEP + one.name) != THEIRS:
                continue
            if one.name == "status":
                merged.status = theirs.status
                continue
            merged.texts[one.name] = theirs.texts[one.name]
            merged.missing.pop(one.name, None)
            if one.name in theirs.missing:
                merged.missing[one.name] = theirs.missing[one.name]
        return merged


def conflict_between(current: Entry, typed: Typed, reading: Reading, *, version: int) -> Conflict:
    """Return what differs between `current` and what was typed into `version` of it.

    What only one of the two changed is chosen already.
    """
    since, theirs = changes_since(current, version), _as_typed(current)
    fields = []
    for name, variable in asked_on_the_page(current.form, new=False).items():
        if name not in typed.texts:
            continue
        mine = (_plain(reading.spelled.get(name, typed.texts[name])), typed.missing.get(name, ""))
        saved = (_plain(theirs.texts[name]), theirs.missing.get(name, ""))
        before = (since.texts.get(name, ""), since.missing.get(name, "")) if since.texts else None
        if mine != saved:
            shown, yours = (_words(current.form, name, *side) for side in (saved, mine))
            chosen = _changed_by_one(before, theirs=saved, mine=mine)
            who, at = since.changed.get(name, ("", None))
            fields.append(Differing(name, _(variable.label), shown, yours, chosen, who, at))
    if typed.status not in ("", theirs.status):
        shown, yours = _(theirs.status).capitalize(), _(typed.status).capitalize()
        before_status = None if since.status is None else str(Status(since.status).label)
        chosen = _changed_by_one(before_status, theirs=theirs.status, mine=typed.status)
        who, at = since.changed.get("status", ("", None))
        fields.append(Differing("status", _("Status of the form"), shown, yours, chosen, who, at))
    return Conflict(current.form, current.version, fields)


def _changed_by_one(before: Any, *, theirs: Any, mine: Any) -> str:
    """Return the side that changed what was there before, blank where both did or nobody knows."""
    return THEIRS if mine == before else MINE if theirs == before else ""


def undecided(conflict: Conflict, choices: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields for which neither value is chosen."""
    return [one.name for one in conflict.fields if choices.get(KEEP + one.name) not in (THEIRS, MINE)]


def _as_typed(entry: Entry) -> Typed:
    status = str(Status(entry.status).label)
    return typed_of(entry.form, entry.values, entry.missing, status=status)


def _plain(text: Text) -> str:
    return text.strip() if isinstance(text, str) else "|".join(text)


def _words(form: type[Form], name: str, text: str, missing: str) -> str:
    """Return one side in words: the labels of codes, the reason why there is none, or a dash."""
    if missing:
        return _(str(MissingReason(missing).label)) if missing in MissingReason.values else missing
    variable = form.variables()[name]
    codes = variable.codes
    if not codes:
        return f"{text} {_(variable.unit)}" if text and variable.unit else text or NOTHING
    return ", ".join(choice_label(variable, code) for code in text.split("|")) if text else NOTHING
