"""From the body of a request to the cut that it asks for."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from crf.filters import FilterError
from crf.forms import forms_by_name
from exports.cuts import Cut, Privacy, allowed_levels, exportable_sites
from exports.filtering import read_filter
from registry.problems import Problem, bad_request, request_error
from registry.rights import Caller, Right

FIELDS = ("format", "forms", "sites", "privacy", "labels", "filter")


def read_cut(body: Mapping[str, Any], *, by: Caller) -> Cut:
    """Return the cut that `body` asks for, with what was left out filled in for the caller.

    Raises a 400 problem that names everything that is wrong. Whether the caller may have the cut is not asked here.
    """
    errors = [
        *_unknown_fields(body),
        *_wrong_choice(body, "format", ["xlsx"], required=True),
        *_wrong_list(body, "forms", list(forms_by_name()), code="unknown_form"),
        *_wrong_list(body, "sites", sorted(by.sites_with(Right.READ)), code="unknown_site"),
        *_wrong_choice(body, "privacy", list(Privacy)),
        *_wrong_truth(body, "labels"),
        *_wrong_filter(body),
    ]
    if errors:
        raise Problem(400, "invalid", _("Nothing was asked for. Mend what is said of each field."), errors=errors)
    sites = tuple(sorted(body.get("sites") or exportable_sites(by)))
    privacy = Privacy(body.get("privacy", fullest(by, sites=sites)))
    return Cut(
        forms=tuple(name for name in forms_by_name() if name in body.get("forms", forms_by_name())),
        sites=sites,
        privacy=privacy,
        labels=body.get("labels", True),
        filter=_usable_filter(body.get("filter"), privacy=privacy),
    )


def fullest(by: Caller, *, sites: Collection[str]) -> Privacy:
    """Return the fullest level at which the caller may have these sites; any one where the cut will be refused."""
    return next(iter(allowed_levels(by, sites=sites)), Privacy.DEIDENTIFIED)


def _unknown_fields(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    message = _("There is no such field here. Choose from: %(names)s.") % {"names": ", ".join(FIELDS)}
    return [request_error(name[:60], "unknown_field", message) for name in body if name not in FIELDS]


def _wrong_choice(
    body: Mapping[str, Any], name: str, choices: Sequence[str], *, required: bool = False
) -> list[dict[str, Any]]:
    if name not in body:
        message = _("%(name)s is missing. Write one of: %(choices)s.")
        return [_error(name, "required", message, choices)] if required else []
    if not isinstance(body[name], str):
        return [_error(name, "wrong_type", _("%(name)s: write one of %(choices)s, in quotes."), choices)]
    if body[name] not in choices:
        return [_error(name, "unknown_code", _("%(name)s: choose from %(choices)s."), choices)]
    return []


def _wrong_list(body: Mapping[str, Any], name: str, choices: Sequence[str], *, code: str) -> list[dict[str, Any]]:
    if name not in body:
        return []
    given = body[name]
    if not isinstance(given, list) or not given or not all(isinstance(item, str) for item in given):
        message = _("%(name)s: write a list of one or more of %(choices)s, in quotes, or leave it out for all.")
        return [_error(name, "wrong_type", message, choices)]
    if len(set(given)) < len(given):
        return [_error(name, "repeated_code", _("%(name)s names something twice. Name each once."), choices)]
    if not set(given) <= set(choices):
        return [_error(name, code, _("%(name)s: choose from %(choices)s."), choices)]
    return []


def _wrong_truth(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    if name not in body or isinstance(body[name], bool):
        return []
    return [_error(name, "wrong_type", _("%(name)s: write true or false, without quotes."), [])]


def _wrong_filter(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    text = body.get("filter")
    if text is None or isinstance(text, str):
        return []
    return [_error("filter", "wrong_type", _("%(name)s: write an expression in quotes, or null for none."), [])]


def _usable_filter(text: str | None, *, privacy: Privacy) -> str | None:
    """Return the filter, None for a blank one; raise a 400 problem when a cut at this level cannot have it."""
    if text is None or not text.strip():
        return None
    try:
        return read_filter(text, privacy=privacy).text
    except FilterError as error:
        raise bad_request("filter", error.code, error.message) from None


def _error(name: str, code: str, message: str, choices: Sequence[str]) -> dict[str, Any]:
    return request_error(name, code, message % {"name": name, "choices": ", ".join(choices)})
