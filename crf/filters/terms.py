"""Values inside a filter: text, number or truth, each blank (NULL) or not, and how two of them compare.

A truth is never blank. A text is never empty: what is not there is NULL, so that "blank" has one spelling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from crf.filters.sql import Sql, bound, sql
from crf.logic import NUMBER


class Kind(Enum):
    """What a value is, as far as is known before any row is read."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class Term:
    """A value: SQL of its kind. `literal` is its spelling when it stands in the filter; `moment` its SQL as a time."""

    kind: Kind
    sql: Sql
    literal: str | None = None
    moment: Sql | None = None

    @property
    def as_text(self) -> Sql:
        """The value as the flat export writes it."""
        match self.kind:
            case Kind.TEXT:
                return self.sql
            case Kind.NUMBER if self.literal is not None:
                return bound(self.literal, "text")
            case Kind.NUMBER:
                return sql("trim_scale({})::text", self.sql)
        return sql("CASE WHEN {} THEN '1' ELSE '0' END", self.sql)

    @property
    def as_number(self) -> Sql:
        """The value as a number; blank when it does not look like one."""
        match self.kind:
            case Kind.NUMBER:
                return self.sql
            case Kind.TRUTH:
                return sql("(CASE WHEN {} THEN 1 ELSE 0 END)::numeric", self.sql)
        if self.literal is not None:
            return bound(self.literal, "numeric") if self.looks_like_a_number else sql("NULL::numeric")
        return sql("ecrf_number({})", self.sql)

    @property
    def looks_like_a_number(self) -> bool:
        """Whether this is a literal that compares as a number."""
        return self.literal is not None and NUMBER.fullmatch(self.literal) is not None


def text(value: Sql) -> Term:
    """Return a text that may be blank."""
    return Term(Kind.TEXT, value)


def number(value: Sql) -> Term:
    """Return a number that may be blank."""
    return Term(Kind.NUMBER, value)


def truth(value: Sql) -> Term:
    """Return a truth; the SQL is never NULL."""
    return Term(Kind.TRUTH, value)


def literal(value: str) -> Term:
    """Return a text of the filter itself."""
    return Term(Kind.TEXT, bound(value, "text") if value else sql("NULL::text"), value)


BLANK = Term(Kind.TEXT, sql("NULL::text"))
ORDER: Mapping[str, str] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}


def compared(sign: str, left: Term, right: Term) -> Sql:
    """Return whether two values stand to one another as the sign says; never NULL.

    Two numbers, or texts that look like numbers, compare as numbers, others as texts by their characters. Blank equals
    only blank, and is in no order.
    """
    if sign in ("=", "=="):
        return _same(left, right)
    if sign in ("<>", "!="):
        return sql("(NOT {})", _same(left, right))
    if _are_numbers(left, right):
        return sql(f"COALESCE({{}} {ORDER[sign]} {{}}, FALSE)", left.as_number, right.as_number)
    return sql(f"COALESCE(ecrf_order({{}}, {{}}) {ORDER[sign]} 0, FALSE)", left.as_text, right.as_text)


def _same(left: Term, right: Term) -> Sql:
    if _are_numbers(left, right):
        return sql("({} IS NOT DISTINCT FROM {})", left.as_number, right.as_number)
    words = [term for term in (left, right) if term.literal is not None and not term.looks_like_a_number]
    if words and not any(term.kind is Kind.NUMBER for term in words):
        # A word or a blank never equals as a number: what PostgreSQL compares itself, it compares quicker.
        return sql("({} IS NOT DISTINCT FROM {})", left.as_text, right.as_text)
    return sql("ecrf_same({}, {})", left.as_text, right.as_text)


def _are_numbers(left: Term, right: Term) -> bool:
    return all(term.kind is not Kind.TEXT or term.looks_like_a_number for term in (left, right))
