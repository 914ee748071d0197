"""What soft checks say of an entry, with the query that each opened and how it was explained; and to explain it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from crf import data_queries
from crf.checks import Finding
from crf.models.data_query import DataQuery, DataQueryStep, QueryState, StepKind
from crf.storage import Entry
from registry.rights import Caller, Right


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning; `query` is none while it is not saved, `explanation` the last answer to the query."""

    field: str | None
    code: str
    message: str
    query: int | None = None
    state: str = ""
    explanation: str = ""

    @property
    def key(self) -> str:
        """What tells it from the others of its entry."""
        return f"{self.field}:{self.code}"

    @property
    def is_settled(self) -> bool:
        """Whether somebody explained it, or closed its query."""
        return self.state in (QueryState.ANSWERED, QueryState.CLOSED)


def queries_of(entry: Entry, *, by: Caller) -> list[DataQuery]:
    """Return the queries of an entry, first to last, each with its last `answer`."""
    answers = DataQueryStep.objects.filter(query=OuterRef("pk"), kind=StepKind.ANSWERED).order_by("-id")
    return list(
        data_queries.visible_queries(by)
        .filter(patient_id=entry.record_id, form=entry.form.form_name(), instance=entry.instance)
        .annotate(answer=Subquery(answers.values("text")[:1]))
        .order_by("id")
    )


def warned(findings: Sequence[Finding], queries: Sequence[DataQuery]) -> list[Warned]:
    """Return the warnings with what has become of them."""
    by_check = {(query.variable, query.check_code): query for query in queries if query.check_code}
    return [_warned(finding, by_check.get((finding.field or "", finding.code))) for finding in findings]


def _warned(finding: Finding, query: DataQuery | None) -> Warned:
    if query is None:
        return Warned(finding.field, finding.code, finding.message)
    explanation: str = getattr(query, "answer", None) or ""
    return Warned(finding.field, finding.code, finding.message, query.pk, query.state, explanation)


def explain(entry: Entry, explanations: Mapping[str, str], *, by: Caller, now: datetime) -> int:
    """Answer the queries of the warnings that an entry was saved with; return how many were.

    `explanations` are by `Warned.key`. One of a warning that the saved values do not raise has nothing to answer.
    """
    given = {key: text.strip() for key, text in explanations.items() if text.strip()}
    if not given or not by.may(Right.ANSWER_QUERY, at=entry.site):
        return 0
    answered = 0
    for warning in warned(entry.warnings, queries_of(entry, by=by)):
        text = given.get(warning.key)
        if text and warning.query is not None and warning.state != QueryState.CLOSED and text != warning.explanation:
            data_queries.take_step(warning.query, StepKind.ANSWERED, text=text, by=by, now=now)
            answered += 1
    return answered
