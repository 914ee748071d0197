"""Data queries as pages show them: the words, every step, and the forms for the steps that follow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crf.data_queries import next_steps
from crf.forms import forms_by_name
from crf.models.data_query import DataQuery, DataQueryStep, QueryState, StepKind
from crf.pages import addresses
from crf.pages.links import beside_address, entry_title
from crf.query_words import texts_of
from registry.rights import Caller

WORDS: Mapping[StepKind, Any] = {
    StepKind.ANSWERED: gettext_lazy("Answer"),
    StepKind.CLOSED: gettext_lazy("Close"),
    StepKind.REOPENED: gettext_lazy("Ask again"),
}
ROUTES: Mapping[StepKind, str] = {
    StepKind.ANSWERED: "page-query-answer",
    StepKind.CLOSED: "page-query-close",
    StepKind.REOPENED: "page-query-reopen",
}
TAGS: Mapping[str, str] = {QueryState.OPEN: "warning", QueryState.ANSWERED: "info", QueryState.CLOSED: "good"}


PROMPTS: Mapping[StepKind, Any] = {
    StepKind.ANSWERED: gettext_lazy("Answer"),
    StepKind.CLOSED: gettext_lazy("Remark (may stay blank)"),
    StepKind.REOPENED: gettext_lazy("Why it is asked again"),
}
"""What stands above the text of a step."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step was not taken, and what was typed."""

    kind: StepKind
    error: str
    typed: str


@dataclass(frozen=True, slots=True)
class StepForm:
    """The form for one step of one query; `error` and `typed` where it was refused."""

    id: str
    """The id of its text, after the prefix of where it is shown."""
    label: str
    """What the button says."""
    prompt: str
    address: str
    words_needed: bool
    """Whether the step needs a text: only closing does without."""
    error: str = ""
    typed: str = ""


@dataclass(frozen=True, slots=True)
class ShownQuery:
    """One query as a page shows it. All that a template would work out for each query of a list is worked out here."""

    query: DataQuery
    key: str
    text: str
    later: Sequence[DataQueryStep]
    """The steps after the question."""
    forms: Sequence[StepForm]
    age: str
    """How long it waits, or waited, in words."""
    place: str
    label: str
    panel: str
    page: str
    tag: str
    """The colour of the state."""
    state: str
    """The state in words."""


def with_all_to_show(queries: QuerySet[DataQuery]) -> QuerySet[DataQuery]:
    """Return the queries with what showing them needs, at a fixed number of questions to the database."""
    return queries.select_related("opened_by", "closed_by").prefetch_related("steps__person")


def shown(
    queries: Iterable[DataQuery], *, by: Caller, now: datetime, refused: Mapping[int, Refusal] | None = None
) -> list[ShownQuery]:
    """Return queries to be shown; `refused` are the steps that were not taken, by the key of their query."""
    queries = [query for query in queries if query.form in forms_by_name()]
    texts, refused = texts_of(queries), refused or {}
    return [_shown(query, text=texts[query.pk], by=by, now=now, refused=refused.get(query.pk)) for query in queries]


def _shown(query: DataQuery, *, text: str, by: Caller, now: datetime, refused: Refusal | None) -> ShownQuery:
    form, record_id = forms_by_name()[query.form], str(query.patient_id)
    variable = form.variables().get(query.variable)
    return ShownQuery(
        query=query,
        key=str(query.pk),
        text=text,
        later=sorted(query.steps.all(), key=lambda step: step.pk)[1:],
        forms=[_form(query.pk, kind, refused) for kind in next_steps(query, by=by)],
        age=_age(((query.closed_at or now) - query.opened_at).days),
        place=entry_title(form, record_id, query.instance),
        label=_(variable.label) if variable else query.variable,
        panel=beside_address(query.form, record_id, query.instance, query.variable) if variable else "",
        page=addresses.of_query(query.pk),
        tag=TAGS[query.state],
        state=str(QueryState(query.state).label),
    )


def _form(query_id: int, kind: StepKind, refused: Refusal | None) -> StepForm:
    again = {"error": refused.error, "typed": refused.typed} if refused and refused.kind == kind else {}
    return StepForm(
        id=f"{kind}-{query_id}",
        label=str(WORDS[kind]),
        prompt=str(PROMPTS[kind]),
        address=addresses.of_query(query_id, page=ROUTES[kind]),
        words_needed=kind != StepKind.CLOSED,
        **again,
    )


def _age(days: int) -> str:
    return ngettext("%(days)s day", "%(days)s days", days) % {"days": days} if days else _("today")
