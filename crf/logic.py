"""Branching logic: the conditions under which a variable is asked for, over the values of one entry.

The part of REDCap's expression language that compares variables, texts and numbers, joined by "and" and "or":

    [sex] = 'F' and ([cle_subtype(other)] = '1' or [age] >= 50)

A blank value equals the empty text; `[variable(code)]` is '1' when the checkbox holds the code, else '0'.
Source: docs/data-dictionary.csv, "Branching Logic", and REDCap's own syntax.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from django.utils.translation import gettext as _

from crf.expressions import (
    MAX_DEPTH,
    MAX_LENGTH,
    AllOf,
    AnyOf,
    Comparison,
    ExpressionError,
    Negative,
    Node,
    Number,
    Text,
    Variable,
    read_expression,
    walk,
)
from crf.expressions import ExpressionError as LogicError

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "Logic", "LogicError", "Texts", "parse"]

Texts = Mapping[str, str | tuple[str, ...]]
"""The values an expression reads: the text of each variable, a tuple of codes for a checkbox, absent when blank."""

NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
"""What counts as a number in a comparison: neither NaN nor 1_000, nor any other text that Decimal would take."""


@dataclass(frozen=True)
class Logic:
    """One expression, ready to be asked of any number of rows."""

    text: str
    variables: frozenset[str]
    holds: Callable[[Texts], bool]


@lru_cache(maxsize=1000)
def parse(text: str) -> Logic:
    """Return the expression `text`; raise LogicError when it is not one, or does more than branching logic may."""
    tree = read_expression(text)
    variables = frozenset(node.name for _depth, node in walk(tree) if isinstance(node, Variable))
    return Logic(text=text, variables=variables, holds=_condition(tree))


def _condition(node: Node) -> Callable[[Texts], bool]:
    match node:
        case AnyOf():
            any_of = [_condition(term) for term in node.terms]
            return lambda row: any(term(row) for term in any_of)
        case AllOf():
            all_of = [_condition(term) for term in node.terms]
            return lambda row: all(term(row) for term in all_of)
        case Comparison() if node.sign in COMPARISONS:
            left, right, compare = _operand(node.left), _operand(node.right), COMPARISONS[node.sign]
            return lambda row: compare(left(row), right(row))
    raise _not_here(node, _("Expected a comparison such as [sex] = 'F' at character %(at)d."))


def _operand(node: Node) -> Callable[[Texts], str]:
    match node:
        case Text():
            return _constant(node.text)
        case Number():
            return _constant(node.digits)
        case Negative(value=Number() as number):
            return _constant(f"-{number.digits}")
        case Variable(instance=""):
            return _variable(node)
    raise _not_here(
        node, _("Expected a variable in square brackets, a text in quotes or a number at character %(at)d.")
    )


def _constant(value: str) -> Callable[[Texts], str]:
    return lambda _row: value


def _variable(node: Variable) -> Callable[[Texts], str]:
    name, code = node.name, node.code
    if code:
        return lambda row: "1" if code in row.get(name, ()) else "0"
    return lambda row: _as_text(row.get(name, ""))


def _not_here(node: Node, message: str) -> ExpressionError:
    return ExpressionError("syntax", node.at, message % {"at": node.at + 1})


def _as_text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _ordered(decide: Callable[[int], bool]) -> Callable[[str, str], bool]:
    def compare(left: str, right: str) -> bool:
        if _are_numbers(left, right):
            return decide(int(Decimal(left).compare(Decimal(right))))
        # ISO dates and other texts order as text; a blank side is in no order.
        return bool(left and right) and decide((left > right) - (left < right))

    return compare


def _equal(left: str, right: str) -> bool:
    return left == right or (_are_numbers(left, right) and Decimal(left) == Decimal(right))


def _are_numbers(left: str, right: str) -> bool:
    return NUMBER.fullmatch(left) is not None and NUMBER.fullmatch(right) is not None


COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "=": _equal,
    "<>": lambda left, right: not _equal(left, right),
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda sign: sign < 0),
    "<=": _ordered(lambda sign: sign <= 0),
    ">": _ordered(lambda sign: sign > 0),
    ">=": _ordered(lambda sign: sign >= 0),
}
