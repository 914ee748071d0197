"""What can be chosen in a field, as elements: a form has a hundred, in which one mark alone depends on the entry."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

MARKS = {"radio": " checked", "checkboxes": " checked", "select": " selected"}
"""What says that an option is chosen, by widget."""


@dataclass(frozen=True, slots=True)
class Option:
    """The element of one choice, in two parts: the mark of what is chosen goes between them."""

    code: str
    before: SafeString
    mark: str
    after: SafeString


def option_of(widget: str, name: str, code: str, label: str, *, key: str = "", first: bool = False) -> Option:
    """Return a choice of the variable `name`; `key` selects it on a keyboard, the `first` has the id of the field."""
    mark = MARKS.get(widget, "")
    if widget not in ("radio", "checkboxes"):
        return Option(code, format_html('\n      <option value="{}"', code), mark, format_html(">{}</option>", label))
    before = format_html(
        '\n      <label class="choice"><input type="{}" name="{}" value="{}"{}{}',
        "radio" if widget == "radio" else "checkbox",
        name,
        code,
        format_html(' id="f-{}"', name) if first else "",
        format_html(' data-key="{}"', key) if key else "",
    )
    kbd = format_html('<kbd aria-hidden="true">{}</kbd>', key) if key else ""
    return Option(code, before, mark, format_html(">{}<span>{}</span></label>", kbd, label))


def marked(options: Iterable[Option], chosen: Collection[str], *, wrong: bool = False) -> SafeString:
    """Return the elements of choices, those `chosen` marked; `wrong` where each has to say that the field is."""
    invalid = ' aria-invalid="true"' if wrong else ""
    parts = (f"{one.before}{one.mark if one.code in chosen else ''}{invalid}{one.after}" for one in options)
    return mark_safe("".join(parts))  # noqa: S308 -- the parts are escaped, the marks are ours
