"""The page on jobs, for who manages sites: what runs, waits, failed and is done, whoever asked for it."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from exports.managed_jobs import ManagedJob, cancel_managed, managed_jobs, restart_managed
from exports.models import Kind, State
from exports.pages.lists import is_part, page_number, see_other, state_of, unchanged
from registry.page_views import PageView
from registry.rights import Right, anywhere

SHOWN = 50
"""Jobs on a page."""


class Jobs(PageView):
    """The jobs of the sites that a person manages."""

    needs: ClassVar = {"get": anywhere(Right.MANAGE)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the page; for htmx the list."""
        number = page_number(request)
        found = managed_jobs(self.by, at_most=SHOWN + 1, after=(number - 1) * SHOWN)
        shown: dict[str, Any] = {
            "jobs": [_told(job) for job in found[:SHOWN]],
            "watched": any(job.is_open for job in found[:SHOWN]),
            "state": state_of([(job.id, job.state, job.progress, job.attempts) for job in found]),
            "page": number,
            "later": number - 1,
            "earlier": number + 1 if len(found) > SHOWN else None,
        }
        if is_part(request):
            return unchanged(request, shown["state"]) or render(request, "exports/_jobs.html", shown)
        return render(request, "exports/jobs.html", shown)


class CancelJob(PageView):
    """Ends a job of somebody."""

    needs: ClassVar = {"post": anywhere(Right.MANAGE)}

    def post(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Cancel it; what its worker has written so far is thrown away."""
        if not cancel_managed(job_id, by=self.by):
            messages.info(request, _("The job had ended already."))
        return see_other("page-jobs")


class RestartJob(PageView):
    """Has a job that failed tried again, for who asked for it."""

    needs: ClassVar = {"post": anywhere(Right.MANAGE)}

    def post(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Put it among the waiting ones again."""
        if not restart_managed(job_id, by=self.by):
            messages.info(request, _("Only a job that failed is tried again."))
        return see_other("page-jobs")


def _told(job: ManagedJob) -> dict[str, Any]:
    return {"job": job, "kind": Kind(job.kind).label, "state": State(job.state).label}
