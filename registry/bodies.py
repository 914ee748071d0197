"""What the registry's own calls take: the members of a JSON object, each read by a function of its own.

The variables of forms read themselves (crf/fields/); these few members belong to no form.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from registry.problems import Problem, request_error

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MAX_EMAIL = 254
Reader = Callable[[Any], Any]
"""From a JSON value to the value that is kept; raises WrongMember."""


class WrongMember(ValueError):
    """A member of the body that cannot be taken: a code, and what to do about it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


def read_members(
    body: Mapping[str, Any], readers: Mapping[str, Reader], *, required: Collection[str] = ()
) -> dict[str, Any]:
    """Return the values of the members that are there; raise one 400 problem that names everything that is wrong."""
    known = ", ".join(readers) or _("nothing")
    errors = [
        request_error(name[:60], "unknown_field", _("There is no such field here. Send: %(known)s.") % {"known": known})
        for name in body
        if name not in readers
    ]
    missing = [name for name in required if name not in body]
    errors += [request_error(name, "required", _("%(name)s is missing.") % {"name": name}) for name in missing]
    found: dict[str, Any] = {}
    for name in (name for name in readers if name in body):
        try:
            found[name] = readers[name](body[name])
        except WrongMember as wrong:
            errors.append(request_error(name, wrong.code, f"{name}: {wrong.message}"))
    if errors:
        raise Problem(
            400, "invalid", _("Nothing was saved. Mend what `errors` names and send it again."), errors=errors
        )
    return found


def line(*, most: int, least: int = 0) -> Reader:
    """Return the reader of a line of text of `least` to `most` characters, kept as it was written."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongMember("wrong_type", _("send a text in quotes."))
        if len(value) > most:
            raise WrongMember("too_long", _("shorten it to %(most)d characters.") % {"most": most})
        if len(value.strip()) < least:
            raise WrongMember("blank", _("write at least %(least)d characters.") % {"least": least})
        if UNPRINTABLE.search(value):
            raise WrongMember("unprintable", _("remove the characters that cannot be printed."))
        return value

    return read


def matching(pattern: re.Pattern[str], *, expected: str) -> Reader:
    """Return the reader of a text that matches a whole pattern; `expected` says in words what to write."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongMember("wrong_type", _("send a text in quotes."))
        if pattern.fullmatch(value) is None:
            raise WrongMember("unknown_code", expected)
        return value

    return read


def email(value: Any) -> str:
    """Return an e-mail address, or an empty text for none."""
    text: str = line(most=MAX_EMAIL)(value)
    if text:
        try:
            validate_email(text)
        except ValidationError:
            raise WrongMember("not_an_email", _("write an address such as name@example.org.")) from None
    return text


def truth(value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise WrongMember("wrong_type", _("send true or false, without quotes."))
    return value


def one_of(choices: Collection[str]) -> Reader:
    """Return the reader of one code."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongMember("wrong_type", _("send one code in quotes."))
        if value not in choices:
            raise WrongMember("unknown_code", _("choose from %(known)s.") % {"known": ", ".join(choices)})
        return value

    return read


def some_of(choices: Collection[str]) -> Reader:
    """Return the reader of a list of one or more codes, each named once."""

    def read(value: Any) -> list[str]:
        if not isinstance(value, list) or not value or not all(isinstance(code, str) for code in value):
            raise WrongMember("wrong_type", _("send a list of one or more codes in quotes."))
        if not set(choices) >= set(value):
            raise WrongMember("unknown_code", _("choose from %(known)s.") % {"known": ", ".join(choices)})
        if len(set(value)) < len(value):
            raise WrongMember("repeated_code", _("name each code once."))
        return value

    return read


def or_null(read: Reader) -> Reader:
    """Return the reader of what `read` takes, or of null."""
    return lambda value: None if value is None else read(value)


def day(value: Any) -> date:
    """Return a date."""
    found = None
    if isinstance(value, str) and DAY.fullmatch(value):
        try:
            found = parse_date(value)
        except ValueError:
            found = None
    if found is None:
        raise WrongMember("not_a_date", _("write a date such as 2024-03-12, in quotes."))
    return found


def moment(value: Any) -> datetime:
    """Return a date and time with its offset."""
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is not None and found.tzinfo is not None and found.utctimetuple().tm_year:
            return found
    except (ValueError, OverflowError):
        pass
    message = _("write a date and time with its offset, such as 2024-03-12T09:30:00Z, in quotes.")
    raise WrongMember("not_a_time", message)
