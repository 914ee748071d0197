"""What pages about patients' data have in common: refusals of the services become words."""

from django.http import HttpRequest

from crf.api.views import refusal
from registry.page_views import PageView
from registry.problems import Problem


class DataPage(PageView):
    """A page about patients' data."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal of a service stands for."""
        return refusal(error) or super().problem_of(error)


def wants_a_part(request: HttpRequest) -> bool:
    """Return whether htmx asks for a part of the page; what the back button brings again is the whole page."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers
