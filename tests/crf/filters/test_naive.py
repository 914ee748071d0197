"""Filters in PostgreSQL against a second, naive implementation in Python, over random expressions.

The expressions are made as pairs of a text and a function of a row, so that the parser is tested with them.
"""

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crf.fields import CheckboxField
from crf.filters import parse_filter
from crf.forms import forms_by_name

FORMS = {name: forms_by_name()[name] for name in ("patient", "dosing", "adverse_event")}
OWNER = {name: form for form, kind in FORMS.items() for name in (*kind.variables(), f"{form}_complete")}
NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")


# A value is a text, "" when blank, or a Decimal.


def number_of(value):
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if NUMBER.fullmatch(value) else None


def text_of(value):
    if isinstance(value, Decimal):
        return f"{value.normalize() + 0:f}"
    return value


def same(left, right):
    numbers = number_of(left), number_of(right)
    return numbers[0] == numbers[1] if None not in numbers else text_of(left) == text_of(right)


def less(left, right):
    if "" in (left, right):
        return False
    numbers = number_of(left), number_of(right)
    return numbers[0] < numbers[1] if None not in numbers else text_of(left) < text_of(right)


def comparison(sign, left, right):
    known = "" not in (left, right)
    return {
        "=": same(left, right),
        "<>": not same(left, right),
        "<": less(left, right),
        ">": less(right, left),
        "<=": known and not less(right, left),
        ">=": known and not less(left, right),
    }[sign]


def arithmetic(operate, *values):
    numbers = [number_of(value) for value in values]
    if None in numbers:
        return ""
    with localcontext(prec=120):
        found = operate(*numbers)
        return "" if found is None or abs(found) >= 10**30 else found.quantize(Decimal("1e-16"), ROUND_HALF_UP)


def divided(left, right):
    return None if right == 0 else left / right


def rounded(value, places):
    return arithmetic(lambda number: number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), value)


def aggregate(function, values):
    numbers = [number for value in values if (number := number_of(value)) is not None]
    return arithmetic(lambda *these: function(these), *numbers) if numbers else ""


# Random expressions: (text, function of a row).


def constant(value):
    quoted = f"'{value}'" if isinstance(value, str) and "'" not in value else f'"{value}"'
    return (f"{value:f}" if isinstance(value, Decimal) else quoted), lambda row: value


def variable(name):
    return f"[{name}]", lambda row: row.get(name, "")


def combined(template, function):
    """Return what makes an expression of others."""
    return lambda parts: (
        template.format(*(text for text, _of in parts)),
        lambda row: function(*(of(row) for _text, of in parts)),
    )


LEAVES = st.one_of(
    st.sampled_from([Decimal(n) for n in ("0", "1", "2.5", "5", "10", "0.1")]).map(constant),
    st.sampled_from(["", "5", "05", "F", "abc", "ABC", "2020-03", "it's", "x%s", "1e5"]).map(constant),
    st.sampled_from(
        [
            "sex",
            "birth_date",
            "diagnosis_date",
            "systemic_lupus",
            "patient_notes",
            "patient_complete",
            "record_id",
            "cle_subtype",
            "dose_mg",
            "dose_schedule",
            "dose_start",
            "dosing_complete",
            "ae_grade",
            "ae_term",
            "cle_subtype(dle)",
        ]
    ).map(variable),
)


def values_of(inner):
    two, three = st.tuples(inner, inner), st.tuples(inner, inner, inner)
    return st.one_of(
        two.map(combined("({} + {})", lambda a, b: arithmetic(lambda x, y: x + y, a, b))),
        two.map(combined("({} - {})", lambda a, b: arithmetic(lambda x, y: x - y, a, b))),
        two.map(combined("({} * {})", lambda a, b: arithmetic(lambda x, y: x * y, a, b))),
        two.map(combined("({} / {})", lambda a, b: arithmetic(divided, a, b))),
        st.tuples(inner).map(combined("round({}, 1)", lambda a: rounded(a, 1))),
        three.map(combined("sum({}, {}, {})", lambda *these: aggregate(sum, these))),
        three.map(combined("min({}, {}, {})", lambda *these: aggregate(min, these))),
        three.map(combined("max({}, {}, {})", lambda *these: aggregate(max, these))),
        two.map(combined("mean({}, {})", lambda *these: aggregate(lambda all_: sum(all_) / len(all_), these))),
        two.map(combined("concat({}, {})", lambda a, b: text_of(a) + text_of(b))),
        st.tuples(inner).map(combined("left({}, 2)", lambda a: text_of(a)[:2])),
        st.tuples(inner).map(combined("upper({})", lambda a: text_of(a).upper())),
        st.tuples(inner).map(combined("length({})", lambda a: Decimal(len(text_of(a))))),
        st.tuples(CONDITIONS, inner, inner).map(combined("if({}, {}, {})", lambda c, a, b: a if c else b)),
    )


def conditions_of(inner):
    return st.one_of(
        st.tuples(inner, inner).map(combined("({} and {})", lambda a, b: a and b)),
        st.tuples(inner, inner).map(combined("({} or {})", lambda a, b: a or b)),
        st.tuples(inner).map(combined("(not {})", lambda a: not a)),
    )


def contains(hay, part):
    return bool(text_of(part)) and text_of(part).lower() in text_of(hay).lower()


VALUES = st.deferred(lambda: st.recursive(LEAVES, values_of, max_leaves=4))
SIGNS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
COMPARED = st.tuples(SIGNS, VALUES, VALUES).map(
    lambda made: (
        f"{made[1][0]} {made[0]} {made[2][0]}",
        lambda row: comparison(made[0], made[1][1](row), made[2][1](row)),
    )
)
ASKED = st.tuples(VALUES, VALUES).map(combined("contains({}, {})", contains))
NUMBERS = st.tuples(VALUES).map(combined("isnumber({})", lambda a: number_of(a) is not None))
CONDITIONS = st.recursive(st.one_of(COMPARED, COMPARED, ASKED, NUMBERS), conditions_of, max_leaves=4)


def flat_rows():
    """Return (form, record id, instance) of each row with its values, as the flat export has them."""
    rows = {}
    for entry in FORMS["patient"].objects.all():
        rows["patient", entry.record_id, 1] = texts(entry)
    for name in ("dosing", "adverse_event"):
        for entry in FORMS[name].objects.all():
            base = rows["patient", entry.patient_id, 1]
            rows[name, entry.patient_id, entry.instance] = {**base, **texts(entry)}
    return rows


def texts(entry):
    found = {f"{entry.form_name()}_complete": str(entry.status)}
    for name, kind in entry.variables().items():
        value = getattr(entry, name)
        if isinstance(kind, CheckboxField):
            found |= {f"{name}({code})": str(int(code in (value or ()))) for code in kind.codes}
            found[name] = ",".join(value or ())
        else:
            found[name] = kind.to_text(value)
    return found


def kept_by(filter_):
    """Return what the database keeps."""
    kept = set()
    for name, form in FORMS.items():
        record = "patient_id" if form.repeating else "record_id"
        found = form.objects.filter(filter_.condition(form)).values_list(record, "instance")
        kept |= {(name, *row) for row in found}
    return kept


@pytest.mark.slow
def test_the_database_keeps_the_rows_that_a_naive_reading_keeps(cohort):
    rows = flat_rows()
    seen = set()

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(CONDITIONS)
    def check(condition):
        text, holds = condition
        named = {OWNER[name] for name in re.findall(r"\[([a-z_]+)", text)}
        asked = {"patient"} | named
        expected = {row for row, values in rows.items() if row[0] in asked and holds(values)}
        assert kept_by(parse_filter(text)) == expected, text
        seen.add(bool(expected))

    check()

    assert seen == {True, False}
