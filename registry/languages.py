"""Which language a request is answered in: the person's own on pages, one for all where programs read."""

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation


class Languages(LocaleMiddleware):
    """Django's choice (cookie, then the browser's wish), except at addresses whose answers have one language.

    The language stays until the next request of the thread, so that it also holds for what is streamed.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language of the answer."""
        if not request.path_info.startswith(settings.IN_ONE_LANGUAGE):
            super().process_request(request)
            return
        translation.activate(settings.LANGUAGE_CODE)
        request.LANGUAGE_CODE = settings.LANGUAGE_CODE
