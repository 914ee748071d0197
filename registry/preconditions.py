"""`ETag` and `If-Match` of what has no version of its own: people, memberships and sites."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry.encoding import encode_json
from registry.problems import Problem


def etag_of(representation: Mapping[str, Any]) -> str:
    """Return the ETag of a representation: the same as long as the same is read."""
    return f'"{hashlib.sha256(encode_json(representation)).hexdigest()[:32]}"'


def refuse_unless_unchanged(
    request: Request, *, current: Mapping[str, Any], yours: Mapping[str, Any] | None = None
) -> None:
    """Raise a 428 problem without `If-Match`, and a 412 with both values when something else is saved by now.

    `current` is what is saved, read under a lock; `yours` the values that the request would change.
    """
    tag = request.headers.get("If-Match")
    if tag is None:
        raise Problem(428, "version_needed", _("Send the ETag of the version you read in the header If-Match."))
    if tag.strip() == etag_of(current):
        return
    differing = {name: value for name, value in (yours or {}).items() if value != current[name]}
    conflicts = [{"field": name, "yours": value, "current": current[name]} for name, value in differing.items()]
    message = _("It was changed meanwhile. Compare both values of each field and send yours again.")
    headers = {"ETag": etag_of(current)}
    raise Problem(412, "stale", message, headers=headers, current=current, conflicts=conflicts)
