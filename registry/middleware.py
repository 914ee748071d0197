"""Middlewares of Django that do their work when somebody needs it: a program that posts entries never does."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.messages.storage import default_storage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject, empty


class Messages(MessageMiddleware):
    """Messages for the next page, whose storage is made when one is added or shown."""

    def process_request(self, request: HttpRequest) -> None:
        """Promise the storage."""
        request._messages = SimpleLazyObject(partial(default_storage, request))  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save what was added or shown."""
        promised = getattr(request, "_messages", None)
        if promised is None or promised._wrapped is empty:
            return response
        return super().process_response(request, response)


class LoginRequired(LoginRequiredMiddleware):
    """Somebody must be signed in; who it is, is not looked up for a view that does not ask."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        """Send whoever is not signed in to the page that signs in, unless the view is for everybody."""
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
