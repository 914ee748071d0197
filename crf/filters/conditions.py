"""One filter about the rows of one form: each part of its tree as SQL over the columns of that form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from django.db.models import F, OuterRef, Subquery, TextField
from django.db.models.expressions import Combinable
from django.utils.translation import gettext as _

from crf import expressions as tree
from crf.expressions import ExpressionError, Node, Variable
from crf.fields import CheckboxField, DateField, NumberField, YesNoField
from crf.filters.functions import DATE_FORMATS, called, is_moment
from crf.filters.sql import Composed, Sql, bound, joined, sql
from crf.filters.terms import BLANK, Kind, Term, compared, literal, number, text, truth
from crf.forms import Form, FormQuerySet, all_forms, patient_form

COMPLETE = "_complete"
MAX_INSTANCE = 32_767
SMART = ("record-name", "record-dag-name", "user-name", "user-dag-name", "current-instance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks and when, for filters that name today, now, the user or the group of the user.

    `now` counts as it is written, without regard to its time zone. `groups` has the unique name of the data access
    group of each site; without one it is the code of the site.
    """

    now: datetime
    user_name: str = ""
    user_site: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)


@cache
def owners() -> Mapping[str, type[Form]]:
    """Return the form of everything that a filter can name: variables, and form statuses as `<form>_complete`."""
    found = {name: form for form in all_forms() for name in form.variables()}
    return found | {f"{form.form_name()}{COMPLETE}": form for form in all_forms()}


class RowOf:
    """A row of a form, as the functions of a filter see it: a `Row`."""

    def __init__(self, form: type[Form], *, asked: Asked) -> None:
        self.form, self.asked = form, asked
        self.record_id = "patient_id" if form.repeating else "record_id"

    def condition(self, node: Node) -> Sql:
        """Return a part of the filter as a condition that is never NULL; raise ExpressionError when it is none."""
        found = self.term(node)
        if found.kind is not Kind.TRUTH:
            message = _("Expected a condition such as [sex] = 'F' at character %(at)d, not a value.")
            raise ExpressionError("not_a_condition", node.at, message % {"at": node.at + 1})
        return found.sql

    def term(self, node: Node) -> Term:
        """Return the value of a part of the filter."""
        match node:
            case tree.AnyOf():
                return truth(joined([self.condition(term) for term in node.terms], " OR "))
            case tree.AllOf():
                return truth(joined([self.condition(term) for term in node.terms], " AND "))
            case tree.Not():
                return truth(sql("(NOT ({}))", self.condition(node.term)))
            case tree.Comparison():
                return truth(compared(node.sign, self.term(node.left), self.term(node.right)))
            case tree.Call():
                return called(self, node)
            case tree.Variable():
                return self._variable(node)
        return self._number(node) or self._constant(node)

    def moment(self, node: Node, *, order: str) -> Sql:
        """Return a part of the filter as a time, blank when it is none."""
        if isinstance(node, tree.Text):
            if is_moment(node):
                now = self.asked.now.replace(tzinfo=None)
                at = now if node.text.lower() == "now" else now.replace(hour=0, minute=0, second=0, microsecond=0)
                return bound(at.isoformat(sep=" "), "timestamp")
            return sql("ecrf_moment({})", bound(_year_first(node.text, order), "text"))
        found = self.term(node)
        return found.moment or sql("ecrf_moment({})", found.as_text)

    def has_reason(self, variable: Variable, codes: tuple[str, ...] | None) -> Sql:
        """Return whether the variable is missing for a known reason, one of `codes` if given."""
        owner = self._owner(variable)
        if variable.instance:
            raise _not_supported(variable, _("Missing-value reasons of other instances cannot be asked for."))
        prefix = self._prefix(owner)
        if prefix is None:
            return sql("FALSE")
        reason = sql("({} ->> {})", F(f"{prefix}missing"), bound(variable.name, "text"))
        if codes is None:
            return sql("({} IS NOT NULL)", reason)
        return sql("COALESCE({} = ANY({}), FALSE)", reason, bound(list(codes), "text[]"))

    def _number(self, node: Node) -> Term | None:
        match node:
            case tree.Number():
                return Term(Kind.NUMBER, bound(node.digits, "numeric"), node.digits)
            case tree.Negative(value=tree.Number() as digits):
                return Term(Kind.NUMBER, bound(f"-{digits.digits}", "numeric"), f"-{digits.digits}")
            case tree.Negative():
                return number(sql("(- {})", self.term(node.value).as_number))
            case tree.Sum():
                return self._sum(node)
            case tree.Operation():
                left, right = self.term(node.left).as_number, self.term(node.right).as_number
                return number(sql(OPERATIONS[node.sign], left, right))
        return None

    def _sum(self, node: tree.Sum) -> Term:
        signs = "".join(f" {sign} {{}}" for sign, _term in node.terms[1:])
        return number(sql(f"ecrf_bounded({{}}{signs})", *(self.term(term).as_number for _sign, term in node.terms)))

    def _constant(self, node: Node) -> Term:
        match node:
            case tree.Text():
                return literal(node.text)
            case tree.Truth():
                return truth(sql("TRUE" if node.holds else "FALSE"))
            case tree.Smart():
                return self._smart(node)
        raise TypeError(node)  # pragma: no cover -- every node of the tree is above

    def _smart(self, node: tree.Smart) -> Term:
        match node.name:
            case "record-name":
                return text(sql("{}", F(self.record_id)))
            case "record-dag-name":
                groups = bound(json.dumps(dict(self.asked.groups)), "jsonb")
                return text(sql("COALESCE({} ->> {}, {})", groups, F("site_id"), F("site_id")))
            case "user-name":
                return literal(self.asked.user_name)
            case "user-dag-name":
                return literal(self.asked.groups.get(self.asked.user_site, self.asked.user_site))
            case "current-instance":
                return number(sql("{}::numeric", F("instance")) if self.form.repeating else sql("NULL::numeric"))
        raise _not_supported(node, _("There is no [%(name)s] here. Choose from: %(known)s.") % _smart_names(node))

    def _variable(self, node: Variable) -> Term:
        owner = self._owner(node)
        if not node.instance:
            prefix = self._prefix(owner)
            return BLANK if prefix is None else _cell(owner, node, prefix)
        if not owner.repeating:
            raise _not_supported(node, _("The patient form does not repeat: leave the instance out."))
        return self._of_instance(owner, node)

    def _owner(self, node: Variable) -> type[Form]:
        """Return the form of a variable; raise ExpressionError when there is no such variable or code."""
        owner = owners().get(node.name)
        if owner is None:
            message = _("There is no variable %(name)s. Write its name as the data dictionary has it.")
            raise ExpressionError("unknown_variable", node.at, message % {"name": f"[{node.name}]"})
        variable = owner.variables().get(node.name)
        if node.code and (not isinstance(variable, CheckboxField) or node.code not in variable.codes):
            message = _("%(name)s has no choice %(code)s that can be ticked.")
            words = {"name": f"[{node.name}]", "code": node.code}
            raise ExpressionError("unknown_code", node.at, message % words)
        return owner

    def _prefix(self, owner: type[Form]) -> str | None:
        """Return how the columns of a form are reached from the row; None where they are blank."""
        if owner is self.form:
            return ""
        return "patient__" if owner is patient_form() else None

    def _of_instance(self, owner: type[Form], node: Variable) -> Term:
        """Return the value of a variable in a certain instance of its form, blank when that is not there."""
        if node.instance.isdigit() and not 1 <= int(node.instance) <= MAX_INSTANCE:
            message = _("The instance at character %(at)d is not within 1 to %(max)d.")
            raise ExpressionError("out_of_range", node.at, message % {"at": node.at + 1, "max": MAX_INSTANCE})
        relative = node.instance.removesuffix("-instance") in ("current", "previous", "next")
        if relative and owner is not self.form:
            return BLANK
        if node.instance == "current-instance":
            return _cell(owner, node, "")
        cell = _cell(owner, node, "")
        rows = of_patient(owner, self.record_id)
        match node.instance:
            case "first-instance":
                rows = rows.order_by("instance")
            case "last-instance":
                rows = rows.order_by("-instance")
            case "previous-instance":
                rows = rows.filter(instance__lt=OuterRef("instance")).order_by("-instance")
            case "next-instance":
                rows = rows.filter(instance__gt=OuterRef("instance")).order_by("instance")
            case digits:
                rows = rows.filter(instance=int(digits))
        value = sql("{}", Subquery(rows.values(cell=Composed(cell.as_text, output_field=TextField()))[:1]))
        return number(sql("{}::numeric", value)) if cell.kind is Kind.NUMBER else text(value)


OPERATIONS = {
    "*": "ecrf_bounded({} * {})",
    # To twenty decimals, so that the precision of the quotient does not hang on how its parts are written.
    "/": "ecrf_bounded(round({}, 20) / NULLIF({}, 0))",
    "^": "ecrf_bounded(ecrf_power({}, {}))",
}


def of_patient(form: type[Form], record_id: str) -> FormQuerySet:
    """Return the instances of a repeating form of the patient whose record id a query around it has."""
    entries: FormQuerySet = form.objects.all()
    return entries.filter(patient_id=OuterRef(record_id), deleted_at__isnull=True)


def _cell(owner: type[Form], node: Variable, prefix: str) -> Term:
    """Return the value of a variable of a row as the flat export has it."""
    name = node.name
    if name not in owner.variables():
        return number(sql("{}::numeric", F(f"{prefix}status")))
    variable = owner.variables()[name]
    column: Combinable = F(f"{prefix}{name}")
    if node.code:
        ticked = sql("({} = ANY({}))", bound(node.code, "text"), column)
        return number(sql("(CASE WHEN {} THEN 1 ELSE 0 END)::numeric", ticked))
    match variable:
        case CheckboxField():
            return text(sql("array_to_string({}, ',')", column))
        case YesNoField():
            return number(sql("{}::integer::numeric", column))
        case NumberField():
            return number(sql("{}::numeric", column))
        case DateField():
            return Term(Kind.TEXT, sql("to_char({}, 'YYYY-MM-DD')", column), moment=sql("{}::timestamp", column))
    return text(sql("{}", column))


def _year_first(spelling: str, order: str) -> str:
    """Return a date of the filter with its year first; one that has it there already stays as it is."""
    day, _blank, time = spelling.strip().partition(" ")
    parts = day.replace("/", "-").split("-")
    if order not in DATE_FORMATS[1:] or len(parts) != 3 or len(parts[2]) != 4:
        return spelling.strip()
    named = dict(zip(order, parts, strict=True))
    return f"{named['y']}-{named['m']}-{named['d']} {time}".strip()


def _not_supported(node: Node, message: str) -> ExpressionError:
    return ExpressionError("not_supported", node.at, message)


def _smart_names(node: tree.Smart) -> dict[str, str]:
    return {"name": node.name, "known": ", ".join(SMART)}
