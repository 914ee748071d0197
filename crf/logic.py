"""REDCap's expression language, as far as branching logic needs it: a parser, never `eval`.

    expression := and-term ("or" and-term)*
    and-term   := comparison ("and" comparison)*
    comparison := "(" expression ")" | operand ("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") operand
    operand    := "[variable]" | "[variable(code)]" | 'text' | "text" | number

A blank value equals the empty text; `[variable(code)]` is '1' when the checkbox holds the code, else '0'.
Source: docs/data-dictionary.csv, "Branching Logic", and REDCap's own syntax.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

MAX_LENGTH = 10_000
MAX_DEPTH = 50

Texts = Mapping[str, str | tuple[str, ...]]
"""The values an expression reads: the text of each variable, a tuple of codes for a checkbox, absent when blank."""

TOKEN = re.compile(
    r"\s*(?:(?P<variable>\[[a-z][a-z0-9_]*(?:\([A-Za-z0-9_.-]+\))?\])|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<sign><>|!=|<=|>=|=|<|>)|(?P<word>and|or)\b|(?P<bracket>[()]))",
    re.ASCII,
)
NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
"""What counts as a number in a comparison: neither NaN nor 1_000, nor any other text that Decimal would take."""


class LogicError(ValueError):
    """An expression that cannot be read; the message says where."""


@dataclass(frozen=True)
class Logic:
    """One expression, ready to be asked of any number of rows."""

    text: str
    variables: frozenset[str]
    holds: Callable[[Texts], bool]


@lru_cache(maxsize=1000)
def parse(text: str) -> Logic:
    """Return the expression `text`; raise LogicError when it is not one."""
    if len(text) > MAX_LENGTH:
        raise LogicError(f"The expression is longer than {MAX_LENGTH} characters.")
    parser = _Parser(_tokens(text))
    holds = parser.expression()
    parser.expect_end()
    return Logic(text=text, variables=frozenset(parser.variables), holds=holds)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        if match is None:
            raise LogicError(f"Cannot read the expression at {text[position : position + 20]!r}.")
        kind = match.lastgroup or ""
        tokens.append((kind, match.group(kind)))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; depth is bounded, so a hostile text costs no more than its length."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens, self.position, self.depth = tokens, 0, 0
        self.variables: set[str] = set()

    def expression(self) -> Callable[[Texts], bool]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LogicError(f"The expression has more than {MAX_DEPTH} brackets in one another.")
        terms = [self._all_of()]
        while self._take("word", "or"):
            terms.append(self._all_of())
        self.depth -= 1
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def expect_end(self) -> None:
        if self.position < len(self.tokens):
            raise LogicError(f"Did not expect {self.tokens[self.position][1]!r}.")

    def _all_of(self) -> Callable[[Texts], bool]:
        terms = [self._comparison()]
        while self._take("word", "and"):
            terms.append(self._comparison())
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def _comparison(self) -> Callable[[Texts], bool]:
        if self._take("bracket", "("):
            inner = self.expression()
            if not self._take("bracket", ")"):
                raise LogicError("A bracket is not closed.")
            return inner
        left = self._operand()
        sign = self._take("sign")
        if sign is None:
            raise LogicError("Expected a comparison such as [sex] = 'F'.")
        right, compare = self._operand(), COMPARISONS[sign]
        return lambda row: compare(left(row), right(row))

    def _operand(self) -> Callable[[Texts], str]:
        if variable := self._take("variable"):
            return self._variable(variable)
        literal = self._take("text") or self._take("number")
        if literal is None:
            raise LogicError("Expected a variable in square brackets, a text in quotes or a number.")
        value = literal[1:-1] if literal[0] in "'\"" else literal
        return lambda row: value

    def _variable(self, token: str) -> Callable[[Texts], str]:
        name, _, code = token[1:-1].partition("(")
        self.variables.add(name)
        if code:
            wanted = code[:-1]
            return lambda row: "1" if wanted in row.get(name, ()) else "0"
        return lambda row: _as_text(row.get(name, ""))

    def _take(self, kind: str, value: str | None = None) -> str | None:
        if self.position < len(self.tokens):
            found_kind, found = self.tokens[self.position]
            if found_kind == kind and value in (None, found):
                self.position += 1
                return found
        return None


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
