"""Who did what and when, in templates."""

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from registry.audit_words import action_in_words, door_in_words

register = template.Library()


@register.filter
def moment(at: datetime) -> SafeString:
    """Return a moment as a `time` element, to the minute, in UTC: 2024-03-12 09:30."""
    at = at.astimezone(UTC)
    return format_html('<time datetime="{}" title="{} UTC">{}</time>', at.isoformat(), *_twice(at))


def _twice(at: datetime) -> tuple[str, str]:
    return f"{at:%Y-%m-%d %H:%M:%S}", f"{at:%Y-%m-%d %H:%M}"


@register.filter
def door(name: str) -> str:
    """Return the name of a door for people."""
    return door_in_words(name)


@register.filter
def action(name: str) -> str:
    """Return what was done."""
    return action_in_words(name)
