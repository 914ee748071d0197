"""The reason that a person gives for a change, whichever way it comes in."""

import re
from typing import Final

from django.utils.translation import gettext as _

from registry.problems import bad_request

MAX_REASON: Final = 1_000
"""Characters."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_reason(text: str, *, given_in: str) -> str | None:
    """Return the reason without outer blanks, None for a blank one.

    `given_in` names the header or field it came in. Raises a 400 problem for one that is too long or cannot be printed.
    """
    if len(text) > MAX_REASON:
        raise bad_request(given_in, "too_long", _("Shorten the reason to 1,000 characters."))
    if CONTROL.search(text):
        raise bad_request(given_in, "unprintable", _("Write the reason without control characters."))
    return text.strip() or None
