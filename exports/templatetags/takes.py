"""What templates on outcomes need."""

import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b", re.ASCII)


@register.filter
def whole_days(text: str) -> SafeString:
    """Return a text whose days (ISO 8601) are not broken at the end of a line."""
    escaped = conditional_escape(text)
    return mark_safe(DAY.sub(r'<span class="whole">\g<0></span>', escaped))  # noqa: S308 -- escaped above
