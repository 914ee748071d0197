"""What is shown when something goes wrong: problem details to programs, a plain page to people. Neither shows data."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from registry.problems import Problem, not_found

PROGRAMS: Final = ("/api/", "/redcap/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that cannot be understood."""
    detail = _("The browser sent something that cannot be read. Go back and try again.")
    return _answer(request, Problem(400, "invalid", detail))


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for something that the person may not do."""
    return _answer(request, Problem(403, "not_allowed", _("None of your roles allows this. Ask the data manager.")))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that did not come from a page of ours, or from one that was open for too long."""
    detail = _("The page was open for too long, or the form came from another site. Load the page again and repeat it.")
    return _answer(request, Problem(403, "csrf_failed", detail))


def address_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist, or not for this person."""
    return _answer(request, not_found())


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer whoever tries too often."""
    detail = _("That was too often. Wait a minute and try again.")
    return _answer(request, Problem(429, "too_many_requests", detail, headers={"Retry-After": "60"}))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a failure of our own; what failed is in the log, not in the answer."""
    return _answer(
        request, Problem(500, "server_error", _("The error was logged. Try again, or tell the administrator."))
    )


def page_of(problem: Problem) -> HttpResponse:
    """Return the problem as a page that needs neither session nor database."""
    page = render_to_string("registry/error.html", {"title": problem.title, "detail": problem.detail})
    return HttpResponse(page, status=problem.status, headers=problem.headers)


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the problem for programs, else a page."""
    return problem.response() if request.path.startswith(PROGRAMS) else page_of(problem)
