"""Data queries as pages show them: the words, every step, and the forms for the steps that follow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.data_queries import next_steps
from crf.forms import forms_by_name
from crf.models.data_query import DataQuery, DataQueryStep, QueryState, StepKind
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


@dataclass(frozen=True, slots=True)
class StepForm:
    """The form for one step of one query; `error` and `typed` where it was refused."""

    kind: StepKind
    address: str
    error: str = ""
    typed: str = ""

    @property
    def label(self) -> str:
        """What the button says."""
        return str(WORDS[self.kind])

    @property
    def words_needed(self) -> bool:
        """Whether the step needs a text: only closing does without."""
        return self.kind != StepKind.CLOSED


@dataclass(frozen=True, slots=True)
class ShownQuery:
    """One query as a page shows it."""

    query: DataQuery
    text: str
    steps: Sequence[DataQueryStep]
    forms: Sequence[StepForm]
    age_days: int
    place: str
    label: str
    panel: str

    @property
    def tag(self) -> str:
        """The colour of the state."""
        return TAGS[self.query.state]

    @property
    def state(self) -> str:
        """The state in words."""
        return str(QueryState(self.query.state).label)


def with_all_to_show(queries: QuerySet[DataQuery]) -> QuerySet[DataQuery]:
    """Return the queries with what showing them needs, at a fixed number of questions to the database."""
    return queries.select_related("opened_by", "closed_by").prefetch_related("steps__person")


def shown(
    queries: Iterable[DataQuery], *, by: Caller, now: datetime, refused: Mapping[int, StepForm] | None = None
) -> list[ShownQuery]:
    """Return queries to be shown; `refused` are the forms that came back, by the key of their query."""
    queries = [query for query in queries if query.form in forms_by_name()]
    texts, refused = texts_of(queries), refused or {}
    return [_shown(query, text=texts[query.pk], by=by, now=now, refused=refused.get(query.pk)) for query in queries]


def _shown(query: DataQuery, *, text: str, by: Caller, now: datetime, refused: StepForm | None) -> ShownQuery:
    form, record_id = forms_by_name()[query.form], str(query.patient_id)
    variable = form.variables().get(query.variable)
    forms = [StepForm(kind, ROUTES[kind]) for kind in next_steps(query, by=by)]
    return ShownQuery(
        query=query,
        text=text,
        steps=sorted(query.steps.all(), key=lambda step: step.pk),
        forms=[refused if refused and refused.kind == one.kind else one for one in forms],
        age_days=((query.closed_at or now) - query.opened_at).days,
        place=entry_title(form, record_id, query.instance),
        label=_(variable.label) if variable else query.variable,
        panel=beside_address(query.form, record_id, query.instance, query.variable) if variable else "",
    )
