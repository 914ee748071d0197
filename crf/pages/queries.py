"""The queries page: what I may see, what waits for me, each with its steps; and the steps themselves."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import msgspec
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crf import data_queries as service
from crf import problems
from crf.forms import all_forms, forms_by_name
from crf.models.data_query import DataQuery, QueryOrigin, QueryState, StepKind
from crf.pages.shown_queries import Refusal, shown, with_all_to_show
from crf.pages.texts import Unfit, text_of, typed
from crf.pages.views import DataPage, wants_a_part
from crf.refusals import NotFound
from registry.problems import Problem, bad_request
from registry.rights import Right, anywhere, there
from registry.way_back import see_other, way_back

PAGE: Final = 25
"""Queries on a page: each brings its forms along, and more than some screens of them nobody reads through."""
WAITING: Final = "waiting"
STATES: Final[Mapping[str, Any]] = {
    WAITING: gettext_lazy("Open and answered"),
    **{state.value: state.label for state in QueryState},
    "all": gettext_lazy("All"),
}
AGES: Final[Mapping[str, Any]] = {
    "7": gettext_lazy("7 days and older"),
    "30": gettext_lazy("30 days and older"),
    "90": gettext_lazy("90 days and older"),
}
MOST_AT_ONCE: Final = 500
IN_A_PANEL: Final = "panel-"
"""Before the ids of what is shown in a panel, which may stand over a list with the same query."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice of the page: its name in the address, its label, what may be chosen, and what is."""

    name: str
    label: str
    choices: Mapping[str, Any]
    chosen: str


class QueryPage(DataPage):
    """A page about data queries."""

    def problem_of(self, error: Exception) -> Problem | None:
        """Return the problem that a refusal stands for."""
        return problems.of_a_query(error) or super().problem_of(error)


class Queries(QueryPage):
    """The queries the person may see, oldest first; a POST closes several answered ones."""

    needs: ClassVar = {"get": anywhere(Right.READ), "post": anywhere(Right.CLOSE_QUERY)}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return a page of queries with the counts of each site."""
        now = timezone.now()
        chosen = _chosen(request.GET, sites=sorted(self.by.sites_with(Right.READ)))
        rows = _narrowed(service.visible_queries(self.by), chosen, by_me=service.to_do(self.by), now=now)
        found = list(with_all_to_show(_after(rows, request.GET.get("after"))).order_by("opened_at", "pk")[: PAGE + 1])
        more = _address(chosen, after=_place(found[PAGE - 1])) if len(found) > PAGE else None
        counts = [
            (count, (now - count.oldest).days if count.oldest else None) for count in service.counts_by_site(self.by)
        ]
        here = {
            "queries": shown(found[:PAGE], by=self.by, now=now),
            "filters": chosen,
            "narrowed": any(one.chosen not in ("", WAITING) for one in chosen),
            "counts": counts,
            "more": more,
            "first": _address(chosen) if request.GET.get("after") else None,
            "here": request.get_full_path(),
            "may_close": self.by.may_anywhere(Right.CLOSE_QUERY),
        }
        return render(request, "crf/queries.html", here)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Close the answered queries that were chosen."""
        keys = {int(key) for key in request.POST.getlist("query") if key.isascii() and key.isdigit() and len(key) < 19}
        back = way_back(request, otherwise=reverse("page-queries"))
        if not keys:
            messages.warning(request, _("Choose the queries to close first."))
            return see_other(back)
        if len(keys) > MOST_AT_ONCE:
            raise bad_request("query", "too_many", _("Choose fewer queries at once."))
        closed = service.close_answered(keys, text="", by=self.by, now=timezone.now())
        words = ngettext("%(n)d query was closed.", "%(n)d queries were closed.", closed) % {"n": closed}
        messages.success(request, words)
        if closed < len(keys):
            messages.warning(request, _("The others are not answered any more and were left as they are."))
        return see_other(back)


class QueryDetail(QueryPage):
    """One query."""

    needs: ClassVar = {"get": there(Right.READ)}

    def get(self, request: HttpRequest, query_id: int) -> HttpResponse:
        """Return the query with its steps."""
        return _one(self, request, query_id)


class QueryStepPage(QueryPage):
    """A step of a query: each class below names its kind."""

    kind: ClassVar[StepKind]

    def take(self, request: HttpRequest, query_id: int) -> HttpResponse:
        """Take the step, or show again what was typed and why it was not taken."""
        service.refuse_step_unless_allowed(query_id, self.kind, by=self.by)
        given = typed(request, "text")
        try:
            text = text_of(request, "text") if given.strip() or self.kind != StepKind.CLOSED else ""
            service.take_step(query_id, self.kind, text=text, by=self.by, now=timezone.now())
        except Unfit as unfit:
            return self._again(request, query_id, error=str(unfit), typed=given, status=422)
        except service.WrongState as wrong:
            words = problems.of_a_query(wrong)
            assert words is not None  # noqa: S101 -- it has words
            return self._again(request, query_id, error=words.detail, typed=given, status=409)
        return see_other(way_back(request, otherwise=reverse("page-query", kwargs={"query_id": query_id})))

    def _again(self, request: HttpRequest, query_id: int, *, error: str, typed: str, status: int) -> HttpResponse:
        refused = Refusal(self.kind, error=error, typed=typed)
        return _one(self, request, query_id, refused=refused, status=status)


class AnswerQuery(QueryStepPage):
    """An answer to a query."""

    kind = StepKind.ANSWERED
    needs: ClassVar = {"post": there(service.STEPS[kind].right)}

    def post(self, request: HttpRequest, query_id: int) -> HttpResponse:
        """Answer the query."""
        return self.take(request, query_id)


class CloseQuery(QueryStepPage):
    """The end of a query."""

    kind = StepKind.CLOSED
    needs: ClassVar = {"post": there(service.STEPS[kind].right)}

    def post(self, request: HttpRequest, query_id: int) -> HttpResponse:
        """Close the query."""
        return self.take(request, query_id)


class ReopenQuery(QueryStepPage):
    """A query that is asked again."""

    kind = StepKind.REOPENED
    needs: ClassVar = {"post": there(service.STEPS[kind].right)}

    def post(self, request: HttpRequest, query_id: int) -> HttpResponse:
        """Open the query again."""
        return self.take(request, query_id)


def _one(
    view: QueryPage, request: HttpRequest, query_id: int, *, refused: Refusal | None = None, status: int = 200
) -> HttpResponse:
    rows = with_all_to_show(service.visible_queries(view.by).filter(pk=query_id))
    found = shown(rows, by=view.by, now=timezone.now(), refused={query_id: refused} if refused else None)
    if not found:
        raise NotFound
    template = "crf/query_part.html" if wants_a_part(request) else "crf/query_page.html"
    # What was refused because somebody was faster has no form any more: it is said above the query.
    said = refused.error if refused and not any(form.error for form in found[0].forms) else ""
    here = {
        "item": found[0],
        "placed": "placed" in request.POST or "placed" in request.GET,
        "said": said,
        "here": way_back(request, otherwise=reverse("page-query", kwargs={"query_id": query_id})),
        "prefix": IN_A_PANEL if request.POST.get("prefix") == IN_A_PANEL else "",
    }
    if here["prefix"]:
        here["panel"] = found[0].panel
    response = render(request, template, here, status=status)
    if refused:
        # The query comes back in its place, whatever the form would have put there.
        response.headers["HX-Reswap"] = "outerHTML"
        response.headers["HX-Retarget"] = "closest .query"
    return response


def _chosen(asked: QueryDict, *, sites: list[str]) -> list[Filter]:
    """Return the filters as they are chosen; a choice that there is not counts as none."""
    forms = {form.form_name(): _(form.title()) for form in all_forms()}
    given = asked.dict()
    choices: list[tuple[str, str, Mapping[str, Any]]] = [
        ("mine", _("To do"), {"": _("By anybody"), "true": _("By me")}),
        ("state", _("State"), STATES),
        ("site", _("Site"), {"": _("All"), **{site: site for site in sites}}),
        ("form", _("Form"), {"": _("All"), **forms}),
        ("age", _("Age"), {"": _("All"), **AGES}),
        ("origin", _("Asked by"), {"": _("All"), **dict(QueryOrigin.choices)}),
    ]
    return [
        Filter(name, label, known, str(given[name]) if given.get(name) in known else next(iter(known)))
        for name, label, known in choices
    ]


def _narrowed(rows: QuerySet[DataQuery], chosen: list[Filter], *, by_me: Q, now: datetime) -> QuerySet[DataQuery]:
    asked = {one.name: one.chosen for one in chosen}
    if asked["mine"]:
        rows = rows.filter(by_me)
    if asked["state"] == WAITING:
        rows = rows.exclude(state=QueryState.CLOSED)
    elif asked["state"] != "all":
        rows = rows.filter(state=asked["state"])
    if asked["site"]:
        rows = rows.filter(site_id=asked["site"])
    if asked["origin"]:
        rows = rows.filter(origin=asked["origin"])
    if asked["age"]:
        rows = rows.filter(opened_at__lte=now - timedelta(days=int(asked["age"])))
    return rows.filter(form__in=[asked["form"]] if asked["form"] else list(forms_by_name()))


def _after(rows: QuerySet[DataQuery], cursor: str | None) -> QuerySet[DataQuery]:
    """Return the rows after a place in the list, which is in the order of asking."""
    if not cursor:
        return rows
    try:
        at, key = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[datetime, int])
        if at.tzinfo is None or not 0 < key < 2**63:
            raise ValueError
    except (ValueError, msgspec.DecodeError):
        raise bad_request("after", "invalid", _("This is not a place in this list. Start at its beginning.")) from None
    return rows.filter(Q(opened_at__gt=at) | Q(opened_at=at, pk__gt=key))


def _place(query: DataQuery) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((query.opened_at, query.pk))).decode()


def _address(chosen: list[Filter], **further: str) -> str:
    asked = {one.name: one.chosen for one in chosen if one.chosen != next(iter(one.choices))}
    return f"{reverse('page-queries')}?{urlencode({**asked, **further})}"
