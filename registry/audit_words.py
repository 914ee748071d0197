"""The words of the audit trail for people: what was done, through which door, to what, from which value to which."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.accesses import AccessKind
from registry.audit import ACCESS, SIGN_IN, forms_of_the_trail, name_in_the_trail
from registry.history import history_models, tracked_by
from registry.models import SignInEvent
from registry.rights import Caller

DOORS: Final[Mapping[str, Any]] = {
    "rest": gettext_lazy("REST API"),
    "page": gettext_lazy("pages"),
    "pages": gettext_lazy("pages"),
    "redcap": gettext_lazy("REDCap API"),
    "import": gettext_lazy("import of a file"),
    "command": gettext_lazy("command on the server"),
    "job": gettext_lazy("background job"),
    "sql": gettext_lazy("directly in the database"),
}
"""By the name of a door in the history; sign-ins name the pages as a whole."""
ACTIONS: Final[Mapping[str, Any]] = {
    "created": gettext_lazy("Created"),
    "changed": gettext_lazy("Changed"),
    "deleted": gettext_lazy("Deleted"),
    "restored": gettext_lazy("Brought back"),
    "removed": gettext_lazy("Removed"),
    AccessKind.READ_IDENTIFIERS.value: gettext_lazy("Read identifiers"),
    AccessKind.READ_AUDIT_TRAIL.value: gettext_lazy("Read the audit trail"),
    AccessKind.EXPORTED_RECORDS.value: gettext_lazy("Exported records"),
    AccessKind.ASKED_FOR_EXPORT.value: gettext_lazy("Asked for an export"),
    AccessKind.FETCHED_EXPORT.value: gettext_lazy("Fetched an export"),
    AccessKind.MADE_BACKUP.value: gettext_lazy("Made a backup"),
    AccessKind.RESTORED_BACKUP.value: gettext_lazy("Restored a backup"),
    **{kind.value: kind.label for kind in SignInEvent.Kind},
}
BESIDE_THE_VARIABLES: Final[Mapping[str, Any]] = {
    "missing": gettext_lazy("Reasons for missing values"),
    "deleted_at": gettext_lazy("Deleted at"),
    "locked": gettext_lazy("Locked"),
    "status": gettext_lazy("Status"),
    "record_id": gettext_lazy("Record id"),
    "site_id": gettext_lazy("Site"),
    "instance": gettext_lazy("Instance"),
}


DIGESTS: Final = frozenset({"basis", "sha256"})
"""Columns that say nothing to people; the CSV file has them."""


def door_in_words(door: str, *, import_id: int | None = None) -> str:
    """Return the name of a door for people, with the number of the import that came through it."""
    words = str(DOORS.get(door, door))
    return words if import_id is None else f"{words} {import_id}"


def action_in_words(action: str) -> str:
    """Return what was done."""
    return str(ACTIONS.get(action, action))


def things_of_the_trail(by: Caller) -> dict[str, str]:
    """Return the words for each name that `Trail.form` may have for `by`."""
    return {name: thing_in_words(name) for name in forms_of_the_trail(by)}


def thing_in_words(form: str) -> str:
    """Return the words for what stands in the place of a form in the trail."""
    if form == ACCESS:
        return _("Access to data")
    if form == SIGN_IN:
        return _("Sign-in")
    model = _models().get(form)
    return _(str(model._meta.verbose_name)).capitalize() if model else form


def variable_in_words(form: str, name: str) -> str:
    """Return the label of a variable, or of a column beside the variables."""
    field = _field(form, name)
    label = getattr(field, "label", None)  # variables of forms carry one
    if label:
        return _(str(label))
    known = BESIDE_THE_VARIABLES.get(name) or getattr(field, "verbose_name", None) or name
    words = _(str(known))
    return words[:1].upper() + words[1:]


def value_in_words(form: str, name: str, value: Any) -> str:
    """Return a value of the trail as a text, with its label in brackets where it is coded; blank for none."""
    if value is None or value in ({}, []):
        return ""
    field = _field(form, name)
    if isinstance(field, models.DateTimeField) and isinstance(value, str):
        return value[:16].replace("T", " ")
    if isinstance(value, bool) and not getattr(field, "codes", None):
        return _("Yes") if value else _("No")
    text = _text(value)
    label = _label(field, value)
    return f"{text} ({label})" if label and label != text else text


def details_in_words(details: Mapping[str, Any]) -> str:
    """Return what an access or a sign-in says beside who and when."""
    return ", ".join(f"{name}: {_text(value)}" for name, value in details.items() if value not in (None, "", [], {}))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}" if value == int(value) else repr(value)
    if isinstance(value, list) and all(isinstance(code, str) for code in value):
        return ", ".join(value)
    if isinstance(value, dict) and "username" in value:  # somebody who acted
        return str(value["username"])
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(of)}" for name, of in value.items())
    return msgspec.json.encode(value).decode()


def _label(field: Any, value: Any) -> str:
    """Return the label of a coded value; forms say it by `labels`, other models by their choices."""
    if field is None:
        return ""
    codes: Mapping[Any, Any] = getattr(field, "codes", None) or dict(field.flatchoices or ())
    chosen = value if isinstance(value, list) else [_text(value) if getattr(field, "codes", None) else value]
    found = [str(codes[code]) for code in chosen if isinstance(code, str | int) and code in codes]
    return ", ".join(_(label) for label in found)


@cache
def _field(form: str, name: str) -> Any:
    model = _models().get(form)
    if model is None:
        return None
    try:
        return model._meta.get_field(name.removesuffix("_id"))
    except FieldDoesNotExist:
        pass
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


@cache
def _models() -> dict[str, type[models.Model]]:
    found = (tracked_by(history) for history in history_models())
    return {name_in_the_trail(model): model for model in found}
