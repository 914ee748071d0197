"""The health page: what `/readyz` knows, in words, with what to do; and when the data were last looked after."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import __version__, health
from registry.accesses import AccessKind
from registry.models import AccessEvent
from registry.page_views import PageView
from registry.rights import Right, anywhere
from registry.vital_signs import Sign, Status, Words

BACKUP_IS_FRESH: Final = timedelta(days=2)
VERIFICATION_IS_FRESH: Final = timedelta(days=8)
OVERALL: Final = {
    Status.OK: _("All is well."),
    Status.DEGRADED: _("Data can be entered, but not all is well."),
    Status.DOWN: _("Data cannot be entered."),
}
STANDING: Final = {Status.OK: _("Well"), Status.DEGRADED: _("Degraded"), Status.DOWN: _("Down")}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page: what it is about, how it stands, in numbers, and what to do if it is not well."""

    name: Any
    status: Status
    standing: Any
    measure: str
    remedy: Any


class HealthPage(PageView):
    """How everything stands; a part of itself when htmx asks."""

    needs: ClassVar = {"get": anywhere(Right.MANAGE)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return how everything stands now."""
        found, now = health.kept.get(), timezone.now()
        lines = [line_of(name, sign) for name, sign in found.checks.items()] + lines_of_care(now=now)
        status = found.status
        if status is Status.OK and any(line.status is not Status.OK for line in lines):
            status = Status.DEGRADED
        shown = {
            "status": status,
            "overall": OVERALL[status],
            "lines": lines,
            "now": now,
            "version": __version__,
            "installation": settings.INSTALLATION_NAME,
        }
        part = request.headers.get("HX-Request") == "true"
        return render(request, "registry/health_signs.html" if part else "registry/health.html", shown)


def line_of(name: str, sign: Sign) -> Line:
    """Return a sign in words; one that has none is shown under the name it has in `/readyz`."""
    words = next((module.IN_WORDS[name] for module in health.vital_signs() if name in module.IN_WORDS), Words(name, ""))
    measured = {"seconds": sign.seconds, "percent": sign.free_percent}
    has_measure = words.measure and any(value is not None for value in measured.values())
    measure = str(words.measure) % measured if has_measure else ""
    return Line(words.name, sign.status, STANDING[sign.status], measure, words.remedy or sign.detail or "")


def lines_of_care(*, now: datetime) -> list[Line]:
    """Return when the last backup was made and the history last verified."""
    backup, verified = (_last(kind) for kind in (AccessKind.MADE_BACKUP, AccessKind.VERIFIED_HISTORY))
    broken = verified is not None and verified.details.get("broken", 0) > 0
    remedy = _("Run manage.py verify_history, every week.")
    if broken:
        remedy = _("The history is not as it was written. Keep everything as it is, and run manage.py verify_history.")
    return [
        _line_of_care(
            _("Last backup"), backup, fresh=BACKUP_IS_FRESH, remedy=_("Run manage.py backup, every night."), now=now
        ),
        _line_of_care(
            _("History verified"), verified, fresh=VERIFICATION_IS_FRESH, remedy=remedy, now=now, is_bad=broken
        ),
    ]


def _line_of_care(
    name: Any, last: AccessEvent | None, *, fresh: timedelta, remedy: Any, now: datetime, is_bad: bool = False
) -> Line:
    is_well = last is not None and now - last.at <= fresh and not is_bad
    when = f"{last.at:%Y-%m-%d %H:%M} UTC" if last else str(_("never, as far as is known here"))
    status = Status.OK if is_well else Status.DEGRADED
    return Line(name, status, STANDING[status] if is_well or is_bad else _("Due"), when, remedy)


def _last(kind: AccessKind) -> AccessEvent | None:
    return AccessEvent.objects.filter(kind=kind.value).order_by("-at").first()
