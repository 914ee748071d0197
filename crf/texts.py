"""What people write beside the data: the texts of queries, the reasons of locks."""

import re
from typing import Any

from django.utils.translation import gettext as _

from registry.bodies import WrongMember

MAX_TEXT = 4_000
"""Characters."""
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def read_text(value: Any) -> str:
    """Return a text of one or more lines, without blanks around it. Raises WrongMember."""
    if not isinstance(value, str):
        raise WrongMember("wrong_type", _("send a text in quotes."))
    if UNPRINTABLE.search(value):
        raise WrongMember("unprintable", _("remove the characters that cannot be printed."))
    if len(value) > MAX_TEXT:
        raise WrongMember("too_long", _("shorten it to %(max)d characters.") % {"max": MAX_TEXT})
    if not value.strip():
        raise WrongMember("blank", _("it is blank. Write a text."))
    return value.strip()
