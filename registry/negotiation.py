"""Content negotiation, in a file of its own because REST framework loads it before its views."""

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class OnlyJson(BaseContentNegotiation):
    """JSON is what there is, whatever the client would like to accept."""

    def select_parser(self, _request: Request, parsers: Any) -> Any:
        """Return the only parser."""
        return parsers[0]

    def select_renderer(self, _request: Request, renderers: Any, _format_suffix: str | None = None) -> Any:
        """Return the only renderer and its content type."""
        return renderers[0], renderers[0].media_type
