from datetime import datetime

import pytest

from crf.filters import Asked, FilterError, parse_filter
from crf.filters.functions import FUNCTIONS
from crf.forms import patient_form
from tests.crf.examples import saved

NOW = Asked(now=datetime(2024, 2, 29, 12, 30))  # noqa: DTZ001 -- a filter knows no time zones


@pytest.fixture
def holds(patient):
    """Asks a filter about a patient born on 1970-05-01, whose race is not known."""

    def ask(text):
        return patient_form().objects.filter(parse_filter(text).condition(patient_form(), asked=NOW)).exists()

    return ask


@pytest.fixture
def patient(coordinator):
    return saved("patient", {"patient_notes": "a.B"}, by=coordinator, missing={"race": "UNK"})


TRUE = [
    "if([sex] = 'M', 1, 2) = 1",
    "if([sex] = 'F', 1, 'b') = 'b'",
    "if(true, true, 1 = 2)",
    "datediff('2024-01-01', '2024-01-31', 'd') = 30",
    "datediff('2024-01-31', '2024-01-01', 'd') = 30",
    "datediff('2024-01-31', '2024-01-01', 'd', true) = -30",
    "datediff('2024-01-31', '2024-01-01', 'd', false) = 30",
    "datediff('01/31/2024', '2024-02-01', 'd', 'mdy', true) = 1",
    "datediff('31-01-2024', '01-02-2024', 'd', 'dmy') = 1",
    "datediff([birth_date], '1971-05-01', 'd', 'dmy') = 365",
    "datediff('2024-01-01 10:00', '2024-01-01 11:30', 'm') = 90",
    "datediff('2024-01-01 10:00:00', '2024-01-01T10:00:05', 's') = 5",
    "datediff('today', 'now', 'h') = 12.5",
    "datediff('2020-01-01', '2024-01-01', 'y') > 4 and datediff('2020-01-01', '2024-01-01', 'y') < 4.001",
    "round(datediff('2024-01-01', '2024-03-02', 'M'), 2) = 2",
    "datediff('2024-02-30', '2024-03-01', 'd') = ''",
    "datediff('2024-02', '2024-03-01', 'd') = ''",
    "datediff('0000-01-01', '2024-13-01', 'd') = ''",
    "datediff('2024-01-01 24:00', 'x', 'd') = ''",
    "age_at_date([birth_date], '2020-04-30') = 49",
    "age_at_date([birth_date], '2020-05-01') = 50",
    "age_at_date('2000-02-29', '2023-02-28') = 22",
    "age_at_date([birth_date], '1970-04-30') = ''",
    "round(age_at_date('2000-01-01', '2000-07-01', true), 1) = 0.5",
    "dayoftheweek('2024-03-11') = 1 and dayoftheweek('2024-03-17') = 7",
    "year([birth_date]) = 1970 and month([birth_date]) = 5 and day([birth_date]) = 1",
    "year('today') = 2024 and day('today') = 29",
    "year('2020') = 2020 and month('2020-03') = 3 and month('2020') = '' and day('2020-03') = ''",
    "round(2.5) = 3 and round(-2.5) = -3 and round(1.25, 1) = 1.3 and round(1250, -2) = 1300",
    "roundup(14.384, 1) = 14.4 and roundup(-1.5) = -1 and roundup(1201, -2) = 1300",
    "rounddown(14.384, 1) = 14.3 and rounddown(-1.5) = -2 and rounddown(1299, -2) = 1200",
    "round(1, 99) = 1 and round(1, -99) = 0 and round(1.5, '') = ''",
    "sqrt(9) = 3 and sqrt(-1) = ''",
    "abs(-2) = 2 and abs('x') = ''",
    "round(exponential(1), 4) = 2.7183 and exponential(71) = '' and exponential(-71) = 0",
    "log(100, 10) = 2 and round(log(10), 4) = 2.3026 and log(0) = '' and log(5, 1) = '' and log(5, -1) = ''",
    "mod(7, 3) = 1 and mod(-7, 3) = -1 and mod(1, 0) = ''",
    "min(3, '', '2') = 2 and max(3, '', '2') = 3 and min('') = '' and max('x') = ''",
    "mean(1, '', 4) = 2.5 and mean('') = ''",
    "median(1, 9, 2) = 2 and median(1, 2, 3, 10) = 2.5 and median('') = ''",
    "sum(1, '', '2', 'x') = 3 and sum('') = ''",
    "stdev(1, 2, 3) = 1 and stdev(1) = ''",
    "isnumber('1.5') and isnumber(-1) and not isnumber('1e5') and not isnumber('')",
    "isinteger('-4') and isinteger(4) and not isinteger('1.5') and not isinteger('')",
    "contains([patient_notes], 'A.b') and not contains([patient_notes], 'a_B') and not contains('a', '')",
    "not_contain('abc', 'x') and not not_contain('abc', 'B')",
    "starts_with('abc', 'AB') and not starts_with('abc', 'b')",
    "ends_with('abc', 'BC') and not ends_with('abc', 'b') and not ends_with('', 'b')",
    "find('B', 'abc') = 2 and find('x', 'abc') = 0 and find('', 'abc') = 0",
    "left('abc', 2) = 'ab' and left('abc', 0) = '' and left('abc', -1) = '' and left('abc', 10^29) = 'abc'",
    "right('abc', 2) = 'bc' and right('abc', -1) = ''",
    "mid('abcd', 2, 2) = 'bc' and mid('abcd', -5, 2) = 'ab' and mid('abcd', 9, 1) = ''",
    "length('abc') = 3 and length('') = 0",
    "trim('  a ') = 'a' and trim('  ') = ''",
    "upper('aé') = 'AÉ' and lower('AB') = 'ab'",
    "replace_text('a.b', 'A', '\\1&') = '\\1&.b' and replace_text('a.b', '.', '') = 'ab'",
    "replace_text('ab', '', 'x') = 'ab' and replace_text('', 'a', 'b') = ''",
    "concat('a', '', 1) = 'a1' and concat('') = ''",
    "concat_ws('-', 'a', '', 'b') = 'a-b' and concat_ws('', 'a', 'b') = 'ab'",
    "isblankormissingcode([race]) and not isblankormissingcode([sex])",
    "isblanknotmissingcode([smoking_status]) and not isblanknotmissingcode([race])",
    "ismissingcode([race]) and not ismissingcode([smoking_status])",
    "hasmissingcode([race], 'UNK, NASK') and not hasmissingcode([race], 'NA')",
    "0.1 + 0.2 = 0.3 and 1 - 2 - 3 = -4 and 1 - -1 = 2 and 8 / 4 / 2 = 1",
    "1 / 0 = '' and 1 + '' = '' and 1 + 'x' = '' and - '' = ''",
    "2 ^ 10 = 1024 and 4 ^ 0.5 = 2 and 2 ^ -1 = 0.5 and 0 ^ 0 = 1 and (-8) ^ 3 = -512",
    "0 ^ -1 = '' and (-8) ^ 0.5 = '' and 10 ^ 30 = '' and 10 ^ 29 > 1 and 10 ^ -31 = 0",
    "1.0000000001 ^ 10000000000 > 2.7 and (-1) ^ 10000000001 = -1",
    "999999999999999 * 999999999999999 > 1 and 999999999999999 * 9999999999999999 = ''",
]


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("text", TRUE)
def test_a_function_has_its_value(holds, text):
    assert holds(text)
    assert not holds(f"not ({text})")


def test_every_function_has_an_example():
    assert [name for name in FUNCTIONS if not any(f"{name}(" in text for text in TRUE)] == []


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("1 = system('x')", "unknown_function", 4),
        ("1 = round()", "wrong_arguments", 4),
        ("1 = round(1, 2, 3)", "wrong_arguments", 4),
        ("1 = datediff('a', 'b', 'D')", "wrong_arguments", 23),
        ("1 = datediff('a', 'b', [sex])", "wrong_arguments", 23),
        ("1 = datediff('a', 'b', 'd', true, true)", "wrong_arguments", 28),
        ("1 = datediff('a', 'b', 'd', 'x')", "not_a_condition", 28),
        ("if(1, 2, 3) = 2", "not_a_condition", 3),
        ("ismissingcode('a')", "wrong_arguments", 14),
        ("hasmissingcode([race], [sex])", "wrong_arguments", 15),
        ("ismissingcode([dose_mg][1])", "not_supported", 14),
        ("'' = replace_text('a', [sex], 'b')", "wrong_arguments", 23),
        (f"'' = replace_text('a', 'b', '{'x' * 21}')", "wrong_arguments", 28),
    ],
)
def test_a_call_that_cannot_be_answered_is_refused(text, code, position):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)

    assert (caught.value.code, caught.value.position) == (code, position)


def test_a_replacement_may_have_twenty_characters():
    assert parse_filter(f"'' = replace_text('a', 'b', '{'x' * 20}')")
