"""What a filter says and which rows it keeps: those of the flat export, whole records, or those of a data cut.

A row of the flat export is the patient's own row, or one instance of a repeating form. The filter is asked once of the
patient's row, and once of each instance of every form that it names a variable of. An instance also knows the
variables of its patient; variables of other repeating forms are blank there, as they are on the patient's row.

Source: docs/redcap-filters.md, "Which rows".
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from django.db.models import BooleanField, Exists, OuterRef, Q, Value
from django.utils.translation import gettext as _

from crf import expressions as tree
from crf.expressions import ExpressionError, Node, read_expression, walk
from crf.filters.conditions import Asked, RowOf, of_patient, owners
from crf.filters.functions import is_moment, reads_intervals_only
from crf.filters.sql import Composed
from crf.forms import Form, FormQuerySet, patient_form, repeating_forms

RECORD_ID = "record_id"
ANYBODY = Asked(now=datetime(2000, 1, 1))  # noqa: DTZ001 -- a time without a zone, only to try a filter
MAX_OTHER_INSTANCES = 50
MAX_REPLACEMENTS = 5
OF_WHO_ASKS = ("user-name", "user-dag-name")


@dataclass(frozen=True)
class Filter:
    """A filter that is well formed and names only what there is; make it by `parse_filter`."""

    text: str
    tree: Node

    @cached_property
    def reads(self) -> frozenset[str]:
        """The variables that decide, the record id and form statuses (`dosing_complete`) included."""
        named = {node.name for node in self._nodes() if isinstance(node, tree.Variable)}
        names_record = any(isinstance(node, tree.Smart) and node.name == "record-name" for node in self._nodes())
        return frozenset(named | {RECORD_ID} if names_record else named)

    @cached_property
    def reads_only_how_far_apart(self) -> frozenset[str]:
        """Those of `reads` of which no value decides, only the time between two of them."""
        inside = {
            id(argument)
            for node in self._nodes()
            if isinstance(node, tree.Call) and reads_intervals_only(node)
            for argument in node.arguments[:2]
        }
        alone = {node.name for node in self._nodes() if isinstance(node, tree.Variable) and id(node) not in inside}
        return self.reads - alone - {RECORD_ID}

    @cached_property
    def forms(self) -> frozenset[str]:
        """The repeating forms whose instances are asked."""
        return frozenset(form.form_name() for form in repeating_forms() if self._asks(form))

    @cached_property
    def depends_on_who_asks(self) -> bool:
        """Whether the answer changes with the clock or the user: then every question needs an `Asked`."""
        return any(
            (isinstance(node, tree.Smart) and node.name in OF_WHO_ASKS)
            or (isinstance(node, tree.Call) and any(is_moment(argument) for argument in node.arguments))
            for node in self._nodes()
        )

    def condition(self, form: type[Form], *, asked: Asked | None = None) -> Q:
        """Return the condition on the rows of a form in the flat export: for `form.objects.filter(...)`.

        The rows that it keeps are still to be narrowed to those that the caller may see.
        Raises ValueError without `asked` when the filter depends on who asks.
        """
        if form.repeating and not self._asks(form):
            return Q(Value(False, output_field=BooleanField()))
        if asked is None and self.depends_on_who_asks:
            raise ValueError("The filter names today, now or the user: say who asks, and when.")
        whole = RowOf(form, asked=asked or ANYBODY).condition(self.tree)
        return Q(Composed(whole, output_field=BooleanField()))

    def of_records(self, *, asked: Asked | None = None) -> Q:
        """Return the condition on patients of whom any row is kept: the patient form's, for whole records."""
        kept = self.condition(patient_form(), asked=asked)
        for form in repeating_forms():
            if self._asks(form):
                entries = of_patient(form, RECORD_ID)
                kept |= Q(Exists(entries.filter(self.condition(form, asked=asked))))
        return kept

    def in_cut(self, form: type[Form], *, asked: Asked | None = None) -> Q:
        """Return the condition on the rows of a form in a data cut.

        Kept are the patients of whom any row is kept, of forms that the filter names the rows for which it holds, and
        of other forms all rows of those patients.
        """
        if not form.repeating:
            return self.of_records(asked=asked)
        if self._asks(form):
            return self.condition(form, asked=asked)
        patients: FormQuerySet = patient_form().objects.all()
        patients = patients.filter(record_id=OuterRef("patient_id"), deleted_at__isnull=True)
        return Q(Exists(patients.filter(self.of_records(asked=asked))))

    def _asks(self, form: type[Form]) -> bool:
        return any(owners()[name] is form for name in self.reads)

    def _nodes(self) -> list[Node]:
        return [node for _depth, node in walk(self.tree)]


@lru_cache(maxsize=1000)
def parse_filter(text: str) -> Filter:
    """Return the filter `text`.

    Raises FilterError (code, position, message) when it is no expression of the language, is beyond its limits, names
    what there is not, or is no condition.
    """
    found = Filter(text=text, tree=read_expression(text))
    _refuse_costly(found)
    # What is wrong with it is wrong of every form's rows.
    RowOf(patient_form(), asked=ANYBODY).condition(found.tree)
    return found


def _refuse_costly(found: Filter) -> None:
    """Raise FilterError for more of what takes time with every row than anybody needs."""
    nodes = sorted((node for _depth, node in walk(found.tree)), key=lambda node: node.at)
    others = [node for node in nodes if isinstance(node, tree.Variable) and node.instance]
    replaced = [node for node in nodes if isinstance(node, tree.Call) and node.name == "replace_text"]
    for costly, limit in ((others, MAX_OTHER_INSTANCES), (replaced, MAX_REPLACEMENTS)):
        if len(costly) > limit:
            message = _("No more than %(max)d of this are answered at once: character %(at)d.")
            at = costly[limit].at
            raise ExpressionError("too_many", at, message % {"max": limit, "at": at + 1})
