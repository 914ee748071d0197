"""What the pages about patients share: refusals of the services in the words of the REST API, and words of forms."""

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from crf.api.views import refusal
from crf.fields import Variable
from crf.forms import MissingReason
from registry.page_views import PageView
from registry.problems import Problem


class ChartPage(PageView):
    """A page about patients."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal of the services stands for."""
        return refusal(error) or super().problem_of(error)


def see_other(address: str) -> HttpResponse:
    """Send the browser on after a form (303): loading the page again then sends nothing twice."""
    return HttpResponse(status=303, headers={"Location": address})


def worded(variable: Variable, value: Any, *, missing: str | None = None) -> str:
    """Return a value as people read it: labels for codes, the reason for what is missing, "" for what is blank."""
    if value is None:
        return _(str(MissingReason(missing).label)) if missing else ""
    labels = variable.labels(value)
    if labels is None:
        text = variable.to_text(value)
        return f"{text} {variable.unit}" if variable.unit and text else text
    return ", ".join(_(label) for label in labels.split(" | "))
