"""`ETag` and `If-Match`: which version a request changes.

What has no version of its own (people, memberships and sites) is told apart by a digest of what is read.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request

from registry.encoding import encode_json
from registry.problems import Problem, bad_request

ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
"""RFC 9110, 8.8.3."""


def etag_of(representation: Mapping[str, Any]) -> str:
    """Return the ETag of a representation: the same as long as the same is read."""
    return f'"{hashlib.sha256(encode_json(representation)).hexdigest()[:32]}"'


def tag_to_match(request: Request) -> str:
    """Return the ETag of the version that `If-Match` names.

    A weak one is returned as it is: it equals none of ours, and strong comparison is what the header asks for. Raises
    a 428 problem when no version is named (`*` names none: it would change what nobody has read), a 400 problem for
    what is not one ETag.
    """
    tag = request.headers.get("If-Match", "").strip()
    if tag in ("", "*"):
        raise Problem(428, "version_needed", _("Send the ETag of the version you read in the header If-Match."))
    if ENTITY_TAG.fullmatch(tag) is None:
        raise bad_request("If-Match", "invalid", _("Write one ETag in If-Match, with its quotes, as you received it."))
    return tag


def refuse_unless_unchanged(
    request: Request, *, current: Mapping[str, Any], yours: Mapping[str, Any] | None = None
) -> None:
    """Raise a 428 problem without `If-Match`, and a 412 with both values when something else is saved by now.

    `current` is what is saved, read under a lock; `yours` the values that the request would change.
    """
    if tag_to_match(request) == etag_of(current):
        return
    differing = {name: value for name, value in (yours or {}).items() if value != current[name]}
    conflicts = [{"field": name, "yours": value, "current": current[name]} for name, value in differing.items()]
    message = _("It was changed meanwhile. Compare both values of each field and send yours again.")
    headers = {"ETag": etag_of(current)}
    raise Problem(412, "stale", message, headers=headers, current=current, conflicts=conflicts)
