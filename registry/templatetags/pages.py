"""What templates of every layer need."""

from uuid import uuid4

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from registry.page_views import ONCE

register = template.Library()


@register.simple_tag
def once() -> SafeString:
    """Return the hidden field that makes a form count once, however often it is sent; see `PageView`."""
    return format_html('<input type="hidden" name="{}" value="{}">', ONCE, uuid4())
