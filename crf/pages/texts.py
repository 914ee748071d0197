"""Texts of several lines from forms."""

from django.http import HttpRequest

from crf.texts import read_text
from registry.bodies import WrongMember


class Unfit(ValueError):
    """A text that cannot be taken; the message says what to do."""


def typed(request: HttpRequest, name: str) -> str:
    """Return what was typed into a field; browsers send lines apart by two characters."""
    return request.POST.get(name, "").replace("\r\n", "\n")


def text_of(request: HttpRequest, name: str) -> str:
    """Return the text of a field. Raises Unfit."""
    try:
        return read_text(typed(request, name))
    except WrongMember as wrong:
        raise Unfit(wrong.message[:1].upper() + wrong.message[1:]) from None
