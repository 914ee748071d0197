"""What is shown when something goes wrong: problem details to programs, a plain page to people. Neither shows data."""

import sys
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from registry.looks import looks
from registry.problems import Problem, not_found, problem_of

PROGRAMS: Final = ("/api/", "/redcap/")
NOT_FOUND: Final = 404


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
    """Answer a failure of our own, or of the database; what failed is in the log, not in the answer."""
    error = sys.exception()
    known = problem_of(error) if isinstance(error, Exception) else None
    detail = _("The error was logged. Try again, or tell the administrator.")
    return _answer(request, known or Problem(500, "server_error", detail))


def page_of(problem: Problem, *, request: HttpRequest) -> HttpResponse:
    """Return the problem as a page that needs neither session nor database."""
    detail = problem.detail
    if problem.status == NOT_FOUND:
        detail = _("The address is not right, or it belongs to a site or person that none of your roles is for.")
    shown = {"title": problem.title, "detail": detail, **looks(request)}
    page = render_to_string("registry/error.html", shown)
    return HttpResponse(page, status=problem.status, headers=problem.headers)


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the problem for programs, else a page."""
    return problem.response() if request.path.startswith(PROGRAMS) else page_of(problem, request=request)
