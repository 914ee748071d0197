"""SQL put together from constant pieces, bound values and columns; a text of the user is only ever a bound value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Expression, Field
from django.db.models.expressions import Combinable


@dataclass(frozen=True, slots=True)
class Bound:
    """A value that goes to the database as a parameter."""

    value: Any


@dataclass(frozen=True, slots=True)
class Sql:
    """A template with a {} for each part. A template is a constant of our code, never made from what was sent in."""

    template: str
    parts: tuple["Sql | Bound | Combinable", ...] = ()


Part = str | Bound | Combinable


def sql(template: str, *parts: Sql | Bound | Combinable) -> Sql:
    """Return SQL with its parts in the places of the template."""
    return Sql(template, parts)


def joined(parts: Sequence[Sql], separator: str) -> Sql:
    """Return the parts, each in brackets, with the separator between."""
    return Sql(separator.join(["({})"] * len(parts)), tuple(parts))


def bound(value: Any, kind: str) -> Sql:
    """Return a value as parameter, cast to one of PostgreSQL's types."""
    return Sql(f"{{}}::{kind}", (Bound(value),))


def flat(whole: Sql) -> Iterator[Part]:
    """Yield constant SQL, values and columns in their order; nesting costs no stack."""
    waiting: list[Sql | Part] = [whole]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Sql):
            constants = part.template.split("{}")
            pieces: list[Sql | Part] = [constants[0]]
            for value, constant in zip(part.parts, constants[1:], strict=True):
                pieces += [value, constant]
            waiting += reversed(pieces)
        else:
            yield part


class Composed(Expression):
    """SQL as an expression of a queryset: its columns are resolved by the queryset like any other."""

    def __init__(self, whole: Sql, *, output_field: Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.pieces: list[Any] = list(flat(whole))

    def get_source_expressions(self) -> list[Any]:
        """Return the columns."""
        return [piece for piece in self.pieces if not isinstance(piece, str | Bound)]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        """Put resolved columns in the places of the columns."""
        columns = iter(exprs)
        self.pieces = [piece if isinstance(piece, str | Bound) else next(columns) for piece in self.pieces]

    def copy(self) -> Self:
        """Return a copy with pieces of its own."""
        copied = super().copy()
        copied.pieces = list(self.pieces)
        return copied

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL, in brackets: an "or" in it must not reach what stands beside it; and its parameters."""
        found: list[str] = []
        parameters: list[Any] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                found.append(piece)
            elif isinstance(piece, Bound):
                found.append("%s")
                parameters.append(piece.value)
            else:
                column, values = compiler.compile(piece)
                found.append(column)
                parameters += values
        return f"({''.join(found)})", tuple(parameters)
