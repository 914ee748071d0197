"""The functions of the expression language, from their arguments to a value.

None of them can fail: what has no answer (the root of a negative number, the day of a text) is blank. SQL functions
named `ecrf_...` are made by the first migration of crf.

Source: docs/redcap-filters.md, "Functions".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from django.utils.translation import gettext as _

from crf.expressions import Call, ExpressionError, Node, Text, Variable
from crf.filters.sql import Sql, joined, sql
from crf.filters.terms import Term, number, text, truth

ANY_NUMBER = 100
UNITS: Mapping[str, str] = {"y": "31556952", "M": "2630016", "d": "86400", "h": "3600", "m": "60", "s": "1"}
"""Seconds of each unit of `datediff`: a year of 365.2425 days, a month of 30.44."""
DATE_FORMATS = ("ymd", "mdy", "dmy")
MOMENTS = ("today", "now")
"""Texts that stand for a time wherever a date is expected."""
LONGEST_REPLACEMENT = 20
LONGEST_TEXT = 100_000
"""Characters of a text that a function makes, those of the longest note; what is beyond is cut."""


class Row(Protocol):
    """What functions ask of the row that a filter is about."""

    def term(self, node: Node) -> Term:
        """Return the value of a part of the filter."""

    def condition(self, node: Node) -> Sql:
        """Return a part of the filter as a condition; raise ExpressionError when it is none."""

    def moment(self, node: Node, *, order: str) -> Sql:
        """Return a part of the filter as a time, blank when it is none; `order` is that of its day, month and year."""

    def has_reason(self, variable: Variable, codes: tuple[str, ...] | None) -> Sql:
        """Return whether the variable is missing for a known reason, one of `codes` if given."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function, with how few and how many arguments it takes."""

    least: int
    most: int
    make: Callable[[Row, tuple[Node, ...]], Term]


def called(row: Row, call: Call) -> Term:
    """Return the value of a call; raise ExpressionError when there is no such function, or not of these arguments."""
    function = FUNCTIONS.get(call.name)
    if function is None:
        message = _("There is no function %(name)s. Choose from: %(known)s.")
        raise ExpressionError("unknown_function", call.at, message % {"name": call.name, "known": ", ".join(FUNCTIONS)})
    if not function.least <= len(call.arguments) <= function.most:
        message = _("%(name)s at character %(at)d takes %(least)d to %(most)d arguments.")
        words = {"name": call.name, "at": call.at + 1, "least": function.least, "most": function.most}
        raise ExpressionError("wrong_arguments", call.at, message % words)
    return function.make(row, call.arguments)


def is_moment(node: Node) -> bool:
    """Return whether an argument is today or now."""
    return isinstance(node, Text) and node.text.lower() in MOMENTS


def reads_intervals_only(call: Call) -> bool:
    """Return whether a call tells of two dates of a patient only how far they are apart."""
    return call.name == "datediff" and all(isinstance(argument, Variable) for argument in call.arguments[:2])


def _numbers(template: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    """Return a function of numbers, each argument in one place of the SQL."""
    return lambda row, given: number(sql(f"ecrf_bounded({template})", *(row.term(node).as_number for node in given)))


def _aggregate(template: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    """Return a function over any count of numbers that passes over the blank ones; `v` is each of them."""

    def make(row: Row, given: tuple[Node, ...]) -> Term:
        values = joined([row.term(node).as_number for node in given], ", ")
        return number(sql(f"ecrf_bounded((SELECT {template} FROM unnest(ARRAY[{{}}]::numeric[]) v))", values))  # noqa: S608 -- constants

    return make


def _texts(template: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    """Return a function from texts to a text, each argument in one place of the SQL."""
    return lambda row, given: text(sql(f"NULLIF({template}, '')", *(row.term(node).as_text for node in given)))


def _test(template: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    """Return a question to texts, each argument in one place of the SQL; of a blank one the answer is no."""
    return lambda row, given: truth(sql(f"COALESCE({template}, FALSE)", *(row.term(node).as_text for node in given)))


def _if(row: Row, given: tuple[Node, ...]) -> Term:
    condition, first, second = row.condition(given[0]), row.term(given[1]), row.term(given[2])
    template = "CASE WHEN {} THEN {} ELSE {} END"
    if first.kind is second.kind:
        return Term(first.kind, sql(template, condition, first.sql, second.sql))
    return text(sql(template, condition, first.as_text, second.as_text))


def _rounded(way: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    def make(row: Row, given: tuple[Node, ...]) -> Term:
        places = row.term(given[1]).as_number if len(given) == 2 else sql("0::numeric")
        return number(sql(f"ecrf_bounded(ecrf_rounded({{}}, {{}}, '{way}'))", row.term(given[0]).as_number, places))

    return make


def _log(row: Row, given: tuple[Node, ...]) -> Term:
    logarithms = [sql("ecrf_ln({})", row.term(node).as_number) for node in given]
    if len(given) == 1:
        return number(sql("ecrf_bounded({})", *logarithms))
    return number(sql("ecrf_bounded({} / NULLIF({}, 0))", *logarithms))


def _datediff(row: Row, given: tuple[Node, ...]) -> Term:
    first, second, unit, *rest = given
    if not isinstance(unit, Text) or unit.text not in UNITS:
        message = _("The unit of datediff at character %(at)d is one of 'y', 'M', 'd', 'h', 'm' and 's'.")
        raise ExpressionError("wrong_arguments", unit.at, message % {"at": unit.at + 1})
    order = "ymd"
    if rest and isinstance(rest[0], Text) and rest[0].text.lower() in DATE_FORMATS:
        order = rest.pop(0).text.lower()  # type: ignore[attr-defined]  # a Text, see above
    if len(rest) > 1:
        message = _("After its unit, datediff at character %(at)d takes a date format and whether it is signed.")
        raise ExpressionError("wrong_arguments", rest[0].at, message % {"at": rest[0].at + 1})
    moments = [row.moment(node, order=order) for node in (second, first)]
    apart = sql(f"ecrf_bounded(extract(epoch FROM ({{}} - {{}})) / {UNITS[unit.text]})", *moments)
    if not rest:
        return number(sql("abs({})", apart))
    # Written once, read twice: a call inside a call inside a call must not double at each step.
    once = "(SELECT CASE WHEN {} THEN v ELSE abs(v) END FROM (SELECT {} AS v OFFSET 0) apart)"
    return number(sql(once, row.condition(rest[0]), apart))


def _age(row: Row, given: tuple[Node, ...]) -> Term:
    born, at = row.moment(given[0], order="ymd"), row.moment(given[1], order="ymd")
    exact = row.condition(given[2]) if len(given) == 3 else sql("FALSE")
    return number(sql("ecrf_bounded(ecrf_age({}, {}, {}))", born, at, exact))


def _part(of: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    return lambda row, given: number(sql(f"extract({of} FROM {{}})", row.moment(given[0], order="ymd")))


def _digits(pattern: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    """Return the part of a date, also of a partial one, that a pattern finds."""

    def make(row: Row, given: tuple[Node, ...]) -> Term:
        now = row.moment(given[0], order="ymd") if is_moment(given[0]) else None
        spelling = sql("to_char({}, 'YYYY-MM-DD')", now) if now else row.term(given[0]).as_text
        return number(sql(f"substring({{}} FROM '{pattern}')::numeric", spelling))

    return make


def _is_number(row: Row, given: tuple[Node, ...]) -> Term:
    return truth(sql("({} IS NOT NULL)", row.term(given[0]).as_number))


def _count(value: Term) -> Sql:
    """Return a number of characters: whole, and none that PostgreSQL would refuse."""
    return sql("least(greatest(trunc({}), 0), 1000000)::integer", value.as_number)


def _cut(template: str) -> Callable[[Row, tuple[Node, ...]], Term]:
    """Return a part of a text by numbers of characters, counted from 1."""

    def make(row: Row, given: tuple[Node, ...]) -> Term:
        whole, *counts = [row.term(node) for node in given]
        return text(sql(f"NULLIF({template}, '')", whole.as_text, *(_count(count) for count in counts)))

    return make


def _find(row: Row, given: tuple[Node, ...]) -> Term:
    needle, hay = (row.term(node).as_text for node in given)
    return number(sql("COALESCE(strpos(lower({}), lower({})), 0)::numeric", hay, needle))


def _length(row: Row, given: tuple[Node, ...]) -> Term:
    return number(sql("COALESCE(length({}), 0)::numeric", row.term(given[0]).as_text))


def _replace(row: Row, given: tuple[Node, ...]) -> Term:
    for node in given[1:]:
        # Of bounded length, so that replacing inside a replacement cannot grow without end.
        if not isinstance(node, Text) or len(node.text) > LONGEST_REPLACEMENT:
            message = _("replace_text takes texts in quotes of up to %(max)d characters at character %(at)d.")
            words = {"max": LONGEST_REPLACEMENT, "at": node.at + 1}
            raise ExpressionError("wrong_arguments", node.at, message % words)
    whole, old, new = (row.term(node) for node in given)
    if old.literal == "":
        return whole
    # "***=" says that what follows is no pattern but itself; "i" that capitals do not matter.
    made = "left(regexp_replace({}, '***=' || {}, replace(COALESCE({}, ''), '\\', '\\\\'), 'gi'), " + f"{LONGEST_TEXT})"
    return text(sql(f"NULLIF({made}, '')", whole.as_text, old.as_text, new.as_text))


def _concat(row: Row, given: tuple[Node, ...]) -> Term:
    parts = joined([row.term(node).as_text for node in given], ", ")
    return text(sql(f"NULLIF(left(concat({{}}), {LONGEST_TEXT}), '')", parts))


def _concat_ws(row: Row, given: tuple[Node, ...]) -> Term:
    separator, *parts = [row.term(node).as_text for node in given]
    template = f"NULLIF(left(concat_ws(COALESCE({{}}, ''), {{}}), {LONGEST_TEXT}), '')"
    return text(sql(template, separator, joined(parts, ", ")))


def _is_blank(row: Row, given: tuple[Node, ...]) -> Term:
    return truth(sql("({} IS NULL)", row.term(given[0]).as_text))


def _is_blank_without_reason(row: Row, given: tuple[Node, ...]) -> Term:
    blank = _is_blank(row, given)
    reason = row.has_reason(given[0], None) if isinstance(given[0], Variable) else sql("FALSE")
    return truth(sql("({} AND NOT {})", blank.sql, reason))


def _has_reason(row: Row, given: tuple[Node, ...]) -> Term:
    variable, *codes = given
    if not isinstance(variable, Variable) or not all(isinstance(node, Text) for node in codes):
        message = _("Write a variable, and codes in quotes, at character %(at)d.")
        raise ExpressionError("wrong_arguments", given[0].at, message % {"at": given[0].at + 1})
    wanted = tuple(code.strip() for node in codes if isinstance(node, Text) for code in node.text.split(","))
    return truth(row.has_reason(variable, wanted if codes else None))


HALVES = "(percentile_disc(0.5) WITHIN GROUP (ORDER BY v) + percentile_disc(0.5) WITHIN GROUP (ORDER BY v DESC)) / 2"
FUNCTIONS: Mapping[str, Function] = {
    "if": Function(3, 3, _if),
    "datediff": Function(3, 5, _datediff),
    "age_at_date": Function(2, 3, _age),
    "dayoftheweek": Function(1, 1, _part("isodow")),
    "year": Function(1, 1, _digits(r"^(\d{4})(?:-|$)")),
    "month": Function(1, 1, _digits(r"^\d{4}-(\d{2})(?:-|$)")),
    "day": Function(1, 1, _digits(r"^\d{4}-\d{2}-(\d{2})(?:\D|$)")),
    "round": Function(1, 2, _rounded("nearest")),
    "roundup": Function(1, 2, _rounded("up")),
    "rounddown": Function(1, 2, _rounded("down")),
    "sqrt": Function(1, 1, _numbers("ecrf_root({})")),
    "abs": Function(1, 1, _numbers("abs({})")),
    "exponential": Function(1, 1, _numbers("ecrf_exp({})")),
    "log": Function(1, 2, _log),
    "mod": Function(2, 2, _numbers("mod({}, NULLIF({}, 0))")),
    "min": Function(1, ANY_NUMBER, _aggregate("min(v)")),
    "max": Function(1, ANY_NUMBER, _aggregate("max(v)")),
    "mean": Function(1, ANY_NUMBER, _aggregate("round(sum(v), 20) / count(v)")),
    "median": Function(1, ANY_NUMBER, _aggregate(HALVES)),
    "sum": Function(1, ANY_NUMBER, _aggregate("sum(v)")),
    "stdev": Function(1, ANY_NUMBER, _aggregate("stddev_samp(v)")),
    "isnumber": Function(1, 1, _is_number),
    "isinteger": Function(1, 1, _test("{} ~ '^[+-]?[0-9]{1,30}$'")),
    "contains": Function(2, 2, _test("strpos(lower({}), lower({})) > 0")),
    "not_contain": Function(
        2, 2, lambda row, given: truth(sql("(NOT {})", FUNCTIONS["contains"].make(row, given).sql))
    ),
    "starts_with": Function(2, 2, _test("starts_with(lower({}), lower({}))")),
    "ends_with": Function(2, 2, _test("starts_with(reverse(lower({})), reverse(lower({})))")),
    "find": Function(2, 2, _find),
    "left": Function(2, 2, _cut("left({}, {})")),
    "right": Function(2, 2, _cut("right({}, {})")),
    "mid": Function(3, 3, _cut("substring({} FROM greatest({}, 1) FOR {})")),
    "length": Function(1, 1, _length),
    "trim": Function(1, 1, _texts(r"btrim({}, E' \t\r\n')")),
    "upper": Function(1, 1, _texts("upper({})")),
    "lower": Function(1, 1, _texts("lower({})")),
    "replace_text": Function(3, 3, _replace),
    "concat": Function(1, ANY_NUMBER, _concat),
    "concat_ws": Function(2, ANY_NUMBER, _concat_ws),
    "isblankormissingcode": Function(1, 1, _is_blank),
    "isblanknotmissingcode": Function(1, 1, _is_blank_without_reason),
    "ismissingcode": Function(1, 1, _has_reason),
    "hasmissingcode": Function(2, 2, _has_reason),
}
