"""Which language a request is answered in: the person's own on pages, one for all where programs read."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin


class Languages(MiddlewareMixin):
    """Django's choice (cookie, then the browser's wish), except at addresses whose answers have one language.

    No address names a language, which Django's own middleware looks for twice a request. The language stays until the
    next request of the thread, so that it also holds for what is streamed.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language of the answer."""
        one_for_all = request.path_info.startswith(settings.IN_ONE_LANGUAGE)
        translation.activate(settings.LANGUAGE_CODE if one_for_all else translation.get_language_from_request(request))
        request.LANGUAGE_CODE = translation.get_language()

    def process_response(self, _request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Say which language it was, and that another wish may get another."""
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", translation.get_language())
        return response
