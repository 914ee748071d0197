"""What happened to an entry since a version of it: read from its history, for two people who changed it at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any

from django.db import models

from crf.forms import Form
from crf.storage import Entry
from registry.history import history_models, tracked_by


@dataclass(frozen=True)
class Since:
    """The texts, missing-value reasons and status of the version, and who changed what after it and when.

    `changed` maps a variable, or `status`, to the user name and the moment of its last change.
    """

    texts: Mapping[str, str]
    missing: Mapping[str, str]
    status: int | None
    changed: Mapping[str, tuple[str, datetime]]


def changes_since(entry: Entry, version: int) -> Since:
    """Return what changed in an entry after `version`, which is blank where the history does not have it."""
    patient = "patient_id" if entry.form.repeating else "record_id"
    later = _history_of(entry.form)._default_manager.filter(
        **{patient: entry.record_id}, instance=entry.instance, version__gte=version
    )
    rows = list(later.order_by("pgh_seq").values())
    if not rows or rows[0]["version"] != version:
        return Since({}, {}, None, {})
    changed: dict[str, tuple[str, datetime]] = {}
    for before, after in pairwise(rows):
        who = (str(after["pgh_context"].get("username", "")), after["pgh_created_at"])
        changed |= dict.fromkeys(_differing(entry.form, before, after), who)
    first = rows[0]
    texts = {name: kind.to_text(first.get(name)) for name, kind in entry.form.variables().items()}
    return Since(texts, first["missing"], first["status"], changed)


def _differing(form: type[Form], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = [
        name
        for name in form.variables()
        if before.get(name) != after.get(name) or before["missing"].get(name) != after["missing"].get(name)
    ]
    return [*names, "status"] if before["status"] != after["status"] else names


@cache
def _history_of(form: type[Form]) -> type[models.Model]:
    return next(history for history in history_models() if tracked_by(history) is form)
