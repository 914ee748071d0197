"""REDCap's expression language: from text to a tree, never to `eval`. Branching logic and filters both read with it.

    expression := all-of (("or" | "||") all-of)*
    all-of     := negated (("and" | "&&") negated)*
    negated    := ("not" | "!")* comparison
    comparison := sum [("=" | "==" | "<>" | "!=" | "<" | "<=" | ">" | ">=") sum]
    sum        := product (("+" | "-") product)*
    product    := power (("*" | "/") power)*
    power      := signed ["^" signed]
    signed     := ["-" | "+"] operand
    operand    := number | 'text' | "text" | "true" | "false" | reference | name "(" [expression ("," expression)*] ")"
                | "(" expression ")"
    reference  := "[variable]" | "[variable(code)]", either followed by "[2]" or "[last-instance]"; "[record-name]"

Key words and function names may be in capitals; blanks, line breaks and lines that begin with // or # mean nothing.
What a tree may hold, and what it means, is said by `crf.logic` and `crf.filters`.

Source: docs/redcap-filters.md, "Grammar".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

MAX_LENGTH = 10_000
MAX_DEPTH = 50
"""Brackets in one another; nesting of another kind, as of products, may go to MAX_NESTING."""
MAX_NESTING = 100
MAX_VALUES = 1_000
"""Variables, texts and numbers of one expression."""
MAX_DIGITS = 30

INSTANCES = frozenset(f"{which}-instance" for which in ("current", "first", "last", "previous", "next"))

COMMENT = re.compile(r"^[ \t]*(?://|\#)[^\n]*", re.MULTILINE)
TOKEN = re.compile(
    r"(?P<blank>[ \t\f\v]+|\r?\n|\r)"
    r"|(?P<variable>\[[a-z][a-z0-9_]*(?:\([A-Za-z0-9_.-]+\))?\])"
    r"|(?P<instance>\[[0-9]+\])"
    r"|(?P<smart>\[[a-z]+(?:-[a-z]+)+(?::[^\]\[]*)?\])"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<comparison><[ \t\r\n]*>|!=|<=|>=|==|=|<|>)"
    r"|(?P<junction>\|\||&&)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>[-+*/^!(),])",
    re.ASCII,
)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


class ExpressionError(ValueError):
    """An expression that cannot be used: `code` for programs, `position` (from 0) in its text, words for people."""

    def __init__(self, code: str, position: int, message: str) -> None:
        super().__init__(message)
        self.code, self.position, self.message = code, position, message


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression; `at` is where it begins in the text."""

    at: int

    def parts(self) -> tuple["Node", ...]:
        """Return the nodes this one is made of."""
        return ()


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as it is written, without sign."""

    digits: str


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text in quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Truth(Node):
    """`true` or `false`."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A variable; with a `code`, whether the checkbox holds it; with an `instance`, that of another row.

    `instance` is a number in digits or one of `INSTANCES`, blank for the row itself.
    """

    name: str
    code: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Smart(Node):
    """What REDCap calls a smart variable: `record-name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function by its name in small letters."""

    name: str
    arguments: tuple[Node, ...]

    def parts(self) -> tuple[Node, ...]:
        """Return the arguments."""
        return self.arguments


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """A value with a minus before it."""

    value: Node

    def parts(self) -> tuple[Node, ...]:
        """Return the value."""
        return (self.value,)


@dataclass(frozen=True, slots=True)
class Sum(Node):
    """Terms that are added, those of the sign "-" taken away."""

    terms: tuple[tuple[str, Node], ...]

    def parts(self) -> tuple[Node, ...]:
        """Return the terms."""
        return tuple(term for _sign, term in self.terms)


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """Two values under one of the signs * / ^."""

    sign: str
    left: Node
    right: Node

    def parts(self) -> tuple[Node, ...]:
        """Return both values."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """Two values under one of the signs = == <> != < <= > >=."""

    sign: str
    left: Node
    right: Node

    def parts(self) -> tuple[Node, ...]:
        """Return both values."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """A condition that must not hold."""

    term: Node

    def parts(self) -> tuple[Node, ...]:
        """Return the condition."""
        return (self.term,)


@dataclass(frozen=True, slots=True)
class AllOf(Node):
    """Conditions joined by "and"."""

    terms: tuple[Node, ...]

    def parts(self) -> tuple[Node, ...]:
        """Return the conditions."""
        return self.terms


@dataclass(frozen=True, slots=True)
class AnyOf(Node):
    """Conditions joined by "or"."""

    terms: tuple[Node, ...]

    def parts(self) -> tuple[Node, ...]:
        """Return the conditions."""
        return self.terms


def read_expression(text: str) -> Node:
    """Return the tree of an expression; raise ExpressionError when it is none, or beyond the limits."""
    if len(text) > MAX_LENGTH:
        message = _("The expression is longer than %(max)d characters. Shorten it.")
        raise ExpressionError("too_long", MAX_LENGTH, message % {"max": MAX_LENGTH})
    if found := UNPRINTABLE.search(text):
        message = _("Character %(at)d cannot be printed. Type the expression again.")
        raise ExpressionError("unprintable", found.start(), message % {"at": found.start() + 1})
    tree = _Parser(text).whole()
    for depth, node in walk(tree):
        if depth > MAX_NESTING:
            raise ExpressionError("too_deep", node.at, _("Too many operations in one another. Make it simpler."))
    return tree


def walk(tree: Node) -> Iterator[tuple[int, Node]]:
    """Yield every node with its depth, that of the tree itself being 1; the tree itself comes first."""
    waiting = [(1, tree)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting += [(depth + 1, part) for part in node.parts()]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        match = COMMENT.match(text, position) or TOKEN.match(text, position)
        if match is None:
            shown = {"text": ascii(text[position : position + 20]), "at": position + 1}
            message = _("Cannot read the expression at character %(at)d: %(text)s.")
            raise ExpressionError("syntax", position, message % shown)
        if match.lastgroup not in (None, "blank"):
            found.append(_Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    return [*found, _Token("end", "", len(text))]


class _Parser:
    """Recursive descent over the tokens; depth and size are bounded: a hostile text costs no more than its length."""

    def __init__(self, text: str) -> None:
        self.tokens, self.position, self.depth, self.values = _tokens(text), 0, 0, 0

    @property
    def here(self) -> _Token:
        return self.tokens[self.position]

    def whole(self) -> Node:
        tree = self.expression()
        if self.here.kind != "end":
            raise self.unexpected(_("Did not expect %(found)s at character %(at)d."))
        return tree

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            message = _("The expression has more than %(max)d brackets in one another. Make it simpler.")
            raise ExpressionError("too_deep", self.here.at, message % {"max": MAX_DEPTH})
        terms = [self.all_of()]
        while self.word("or") or self.take("junction", "||"):
            terms.append(self.all_of())
        self.depth -= 1
        return terms[0] if len(terms) == 1 else AnyOf(terms[0].at, tuple(terms))

    def all_of(self) -> Node:
        terms = [self.negated()]
        while self.word("and") or self.take("junction", "&&"):
            terms.append(self.negated())
        return terms[0] if len(terms) == 1 else AllOf(terms[0].at, tuple(terms))

    def negated(self) -> Node:
        at, negative = self.here.at, False
        while self.word("not") or self.take("mark", "!"):
            negative = not negative
        term = self.comparison()
        return Not(at, term) if negative else term

    def comparison(self) -> Node:
        left = self.sum()
        sign = self.take("comparison")
        if sign is None:
            return left
        return Comparison(left.at, re.sub(r"\s", "", sign.text), left, self.sum())

    def sum(self) -> Node:
        terms = [("+", self.product())]
        while sign := self.take("mark", "+") or self.take("mark", "-"):
            terms.append((sign.text, self.product()))
        return terms[0][1] if len(terms) == 1 else Sum(terms[0][1].at, tuple(terms))

    def product(self) -> Node:
        left = self.power()
        while sign := self.take("mark", "*") or self.take("mark", "/"):
            left = Operation(left.at, sign.text, left, self.power())
        return left

    def power(self) -> Node:
        base = self.signed()
        return Operation(base.at, "^", base, self.signed()) if self.take("mark", "^") else base

    def signed(self) -> Node:
        minus = self.take("mark", "-")
        if minus is None:
            self.take("mark", "+")
        value = self.operand()
        return Negative(minus.at, value) if minus else value

    def operand(self) -> Node:
        if opened := self.take("mark", "("):
            inner = self.expression()
            self.close(opened)
            return inner
        self.values += 1
        if self.values > MAX_VALUES:
            message = _("The expression has more than %(max)d values. Ask for less at once.")
            raise ExpressionError("too_many", self.here.at, message % {"max": MAX_VALUES})
        return self.named() if self.here.kind == "word" else self.reference() or self.literal()

    def literal(self) -> Node:
        if text := self.take("text"):
            return Text(text.at, text.text[1:-1])
        number = self.take("number")
        if number is None:
            wanted = _("Expected a variable in square brackets, a text in quotes or a number at character %(at)d.")
            raise self.unexpected(wanted)
        if any(len(part) > MAX_DIGITS for part in number.text.split(".")):
            message = _("The number at character %(at)d has more than %(max)d digits.")
            raise ExpressionError("syntax", number.at, message % {"at": number.at + 1, "max": MAX_DIGITS})
        return Number(number.at, f"0{number.text}" if number.text.startswith(".") else number.text)

    def reference(self) -> Node | None:
        if smart := self.take("smart"):
            return Smart(smart.at, smart.text[1:-1])
        variable = self.take("variable")
        if variable is None:
            return None
        name, _bracket, code = variable.text[1:-1].partition("(")
        return Variable(variable.at, name, code[:-1], self.instance())

    def instance(self) -> str:
        if number := self.take("instance"):
            return number.text[1:-1]
        if self.here.kind == "smart" and self.here.text[1:-1] in INSTANCES:
            self.position += 1
            return self.tokens[self.position - 1].text[1:-1]
        if self.here.kind in ("variable", "smart"):
            message = _("Two references in a row at character %(at)d: there are no events here, only instances.")
            raise self.unexpected(message, code="not_supported")
        return ""

    def named(self) -> Node:
        token, name = self.here, self.here.text.lower()
        if name in ("true", "false"):
            self.position += 1
            return Truth(token.at, name == "true")
        called = name not in ("and", "or", "not") and self.tokens[self.position + 1].text == "("
        if not called:
            raise self.unexpected(_("Did not expect %(found)s at character %(at)d: write texts in quotes."))
        self.position += 1
        return self.call(name, token)

    def call(self, name: str, token: _Token) -> Node:
        opened, arguments = self.here, list[Node]()
        self.position += 1
        if not self.take("mark", ")"):
            arguments.append(self.expression())
            while self.take("mark", ","):
                arguments.append(self.expression())
            self.close(opened)
        return Call(token.at, name, tuple(arguments))

    def close(self, opened: _Token) -> None:
        if not self.take("mark", ")"):
            message = _("The bracket at character %(at)d is not closed.")
            raise ExpressionError("syntax", opened.at, message % {"at": opened.at + 1})

    def word(self, wanted: str) -> bool:
        if self.here.kind == "word" and self.here.text.lower() == wanted:
            self.position += 1
            return True
        return False

    def take(self, kind: str, text: str | None = None) -> _Token | None:
        token = self.here
        if token.kind != kind or text not in (None, token.text):
            return None
        self.position += 1
        return token

    def unexpected(self, message: str, *, code: str = "syntax") -> ExpressionError:
        found = ascii(self.here.text[:20]) if self.here.text else _("the end")
        return ExpressionError(code, self.here.at, message % {"found": found, "at": self.here.at + 1})
