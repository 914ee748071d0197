import time

import pytest

from crf.expressions import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_LENGTH,
    MAX_NESTING,
    MAX_VALUES,
    AllOf,
    AnyOf,
    Call,
    Comparison,
    ExpressionError,
    Negative,
    Not,
    Number,
    Operation,
    Smart,
    Sum,
    Text,
    Truth,
    Variable,
    read_expression,
)


def error(text):
    """Return code and position of what is wrong with an expression."""
    with pytest.raises(ExpressionError) as caught:
        read_expression(text)
    return caught.value.code, caught.value.position


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("[sex]", Variable(0, "sex")),
        ("[race(-9)]", Variable(0, "race", "-9")),
        ("[dose_mg][2]", Variable(0, "dose_mg", instance="2")),
        ("[dose_mg][last-instance]", Variable(0, "dose_mg", instance="last-instance")),
        ("[record-name]", Smart(0, "record-name")),
        ("'a'", Text(0, "a")),
        ('"it\'s"', Text(0, "it's")),
        (r"'\n'", Text(0, r"\n")),
        ("1.50", Number(0, "1.50")),
        (".5", Number(0, "0.5")),
        ("-1", Negative(0, Number(1, "1"))),
        ("+1", Number(1, "1")),
        ("TRUE", Truth(0, True)),
        ("Round(1, 2)", Call(0, "round", (Number(6, "1"), Number(9, "2")))),
        ("now()", Call(0, "now", ())),
        ("1 - 2 + 3", Sum(0, (("+", Number(0, "1")), ("-", Number(4, "2")), ("+", Number(8, "3"))))),
        ("1/2*3", Operation(0, "*", Operation(0, "/", Number(0, "1"), Number(2, "2")), Number(4, "3"))),
        ("2^-1", Operation(0, "^", Number(0, "2"), Negative(2, Number(3, "1")))),
        ("1<\t>2", Comparison(0, "<>", Number(0, "1"), Number(4, "2"))),
        ("not 1=1", Not(0, Comparison(4, "=", Number(4, "1"), Number(6, "1")))),
        ("!! true", Truth(3, True)),
        ("true || false", AnyOf(0, (Truth(0, True), Truth(8, False)))),
        ("true AND false", AllOf(0, (Truth(0, True), Truth(9, False)))),
        ("# a remark\n  // another\r\ntrue", Truth(25, True)),
    ],
)
def test_an_expression_is_read_into_a_tree(text, tree):
    assert read_expression(text) == tree


def test_and_binds_closer_than_or_and_not_less_close_than_a_comparison():
    assert read_expression("true or true and not 1=2") == AnyOf(
        0, (Truth(0, True), AllOf(8, (Truth(8, True), Not(17, Comparison(21, "=", Number(21, "1"), Number(23, "2"))))))
    )


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("", "syntax", 0),
        ("1 +", "syntax", 3),
        ("(1", "syntax", 0),
        ("round(1", "syntax", 5),
        ("round(1,)", "syntax", 8),
        ("1)", "syntax", 1),
        ("1 = 2 = 3", "syntax", 6),
        ("2^3^4", "syntax", 3),
        ("--1", "syntax", 1),
        ("'open", "syntax", 0),
        ("1 = sex", "syntax", 4),
        ("and(1)", "syntax", 0),
        ("true # no remark", "syntax", 5),
        ("[sex].__class__", "syntax", 5),
        ("().__class__", "syntax", 2),
        ("__import__.os", "syntax", 10),
        ("1; drop table crf_patient", "syntax", 1),
        ("1 --- 1", "syntax", 4),
        ("[event_1_arm_1][sex]", "not_supported", 15),
        ("[sex][event-name]", "not_supported", 5),
        ("'a\x00'", "unprintable", 2),
        ("'\ud800'", "unprintable", 1),
    ],
)
def test_what_is_no_expression_is_refused_at_its_place(text, code, position):
    assert error(text) == (code, position)


@pytest.mark.parametrize(
    ("make", "limit", "code"),
    [
        (lambda n: "1".ljust(n), MAX_LENGTH, "too_long"),
        (lambda n: "(" * (n - 1) + "1" + ")" * (n - 1), MAX_DEPTH, "too_deep"),
        (lambda n: "1*" * (n - 1) + "1", MAX_NESTING, "too_deep"),
        (lambda n: "1+" * (n - 1) + "1", MAX_VALUES, "too_many"),
        (lambda n: "9" * n, MAX_DIGITS, "syntax"),
        (lambda n: "." + "9" * n, MAX_DIGITS, "syntax"),
    ],
)
def test_an_expression_goes_up_to_its_limits_and_not_beyond(make, limit, code):
    read_expression(make(limit))

    assert error(make(limit + 1))[0] == code


@pytest.mark.parametrize(
    "hostile",
    [
        "(" * 9_999,
        "not " * 2_499,
        "!" * 9_999,
        "[" * 9_999,
        "'" * 9_999,
        "9" * 9_999,
        "-" * 9_999,
        "if(" * 3_333,
        "<" + " " * 9_990 + "=",
        "#\n" * 4_999,
        " " * 9_999 + "@",
        "[sex]='F' or " * 10_000,
        "1=1or " * 1_600 + "1=1",
        "2^" * 4_000,
    ],
)
def test_a_hostile_expression_is_refused_quickly(hostile):
    started = time.process_time()

    with pytest.raises(ExpressionError):
        read_expression(hostile)

    # Each takes a fraction of a second; what grows with a power of the length would take minutes.
    assert time.process_time() - started < 30
