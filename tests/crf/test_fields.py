# ruff: noqa: RUF001 -- digits and signs of other scripts are what is tested

import json
from datetime import date
from decimal import Decimal

import pytest

from crf.fields import (
    MAX_NOTES,
    MAX_TEXT,
    CheckboxField,
    ChoiceField,
    DateField,
    DecimalField,
    DropdownField,
    FileField,
    IntegerField,
    NotesField,
    NumberField,
    PartialDateField,
    RadioField,
    TextField,
    Unreadable,
    YesNoField,
)
from crf.forms import all_forms
from crf.partial_dates import PartialDate

TEXT = TextField("Dose")
NOTES = NotesField("Notes")
FILE = FileField("Photograph")
RADIO = RadioField("Grade", {"1": "Mild", "2": "Moderate"})
DROPDOWN = DropdownField("Sex", {"M": "Male", "F": "Female"})
CHECKBOX = CheckboxField("Subtypes", {"dle": "Discoid", "scle": "Subacute", "other": "Other"})
YESNO = YesNoField("Serious")
SCORE = IntegerField("CLASI", min=0, max=70)
COUNT = IntegerField("Cigarettes in a life")
DOSE = DecimalField("Dose", places=2, max=25, unit="mg")
DAY = DateField("First day", min="2000-01-01")
START = PartialDateField("Start")

EVERY_VARIABLE = [(name, variable) for form in all_forms() for name, variable in form.variables().items()]
NAMES = [name for name, _variable in EVERY_VARIABLE]
every_variable = pytest.mark.parametrize(("name", "variable"), EVERY_VARIABLE, ids=NAMES)


def refusal(reader, value):
    """Return the code with which a value is refused, None when it is read."""
    try:
        reader(value)
    except Unreadable as unreadable:
        return unreadable.code if unreadable.message.strip() else "without words"
    return None


def examples_of(variable):
    """Return JSON values that the variable takes: at each limit, and each code."""
    if isinstance(variable, CheckboxField):
        return [[code] for code in variable.codes] + [list(variable.codes)]
    if isinstance(variable, ChoiceField):
        return list(variable.codes)
    if isinstance(variable, YesNoField):
        return [True, False]
    if isinstance(variable, DateField):
        return [variable.minimum.isoformat(), "2024-02-29"]
    if isinstance(variable, PartialDateField):
        return ["2023", "2023-02", "2024-02-29"]
    if isinstance(variable, NumberField):
        return [variable.minimum, variable.maximum]
    return [] if isinstance(variable, FileField) else ["x", "Ångström, “quoted” = 5 % <b>", "x" * MAX_TEXT]


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        (TEXT, "5 mg", "5 mg"),
        (TEXT, " 5 mg ", " 5 mg "),
        (TEXT, "=SUM(A1)", "=SUM(A1)"),
        (TEXT, "null", "null"),
        (TEXT, "‮reversed", "‮reversed"),  # a right-to-left override is text
        (TEXT, "e" + "́" * 500, "e" + "́" * 500),
        (TEXT, "🦋", "🦋"),
        (NOTES, "two\nlines\tand a tab\r\n", "two\nlines\tand a tab\r\n"),
        (RADIO, "1", "1"),
        (RADIO, 1, "1"),
        (DROPDOWN, "F", "F"),
        (CHECKBOX, ["other", "dle"], ["dle", "other"]),
        (CHECKBOX, [], None),
        (YESNO, True, True),
        (YESNO, False, False),
        (SCORE, 0, 0),
        (SCORE, 70, 70),
        (SCORE, Decimal("7.0"), 7),
        (SCORE, Decimal("7e1"), 70),
        (SCORE, Decimal("-0"), 0),
        (COUNT, 2_147_483_647, 2_147_483_647),
        (COUNT, -2_147_483_647, -2_147_483_647),
        (DOSE, 5, Decimal("5.00")),
        (DOSE, Decimal("2.5"), Decimal("2.50")),
        (DOSE, Decimal("2.50000"), Decimal("2.50")),
        (DOSE, Decimal("25.00"), Decimal("25.00")),
        (DOSE, Decimal("-0.0"), Decimal("0.00")),
        (DOSE, Decimal("0e-400"), Decimal("0.00")),
        (DAY, "2000-01-01", date(2000, 1, 1)),
        (DAY, "2024-02-29", date(2024, 2, 29)),
        (DAY, "9999-12-31", date(9999, 12, 31)),
        (START, "2023", PartialDate(2023)),
        (START, "2023-02", PartialDate(2023, 2)),
    ],
)
def test_a_json_value_is_read(variable, value, read):
    found = variable.read(value)

    assert (found, type(found), str(found)) == (read, type(read), str(read))


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        *[(TEXT, value, "wrong_type") for value in (5, True, ["x"], {"x": 1}, Decimal(1))],
        *[(TEXT, value, "blank") for value in ("", " ", "\t\n", "\u00a0", "\u3000")],
        *[(TEXT, f"a{hidden}b", "unprintable") for hidden in "\x00\x07\n\t\x1b\x7f\x9f\ud800\udfff"],
        (TEXT, "x" * (MAX_TEXT + 1), "too_long"),
        (TEXT, "x" * 10_000_000, "too_long"),
        *[(NOTES, f"a{hidden}b", "unprintable") for hidden in "\x00\x07\x0b\x0c\x1b\x7f\ud800"],
        (NOTES, "x" * (MAX_NOTES + 1), "too_long"),
        (FILE, "photo.jpg", "file_not_a_value"),
        (FILE, 5, "file_not_a_value"),
        *[(RADIO, value, "unknown_code") for value in ("3", "", " 1", "1 ", "Mild", "１", "1\x00", "\ud800", 3, 0, -1)],
        *[(RADIO, value, "wrong_type") for value in (True, Decimal(1), ["1"], {"1": 1})],
        *[(DROPDOWN, value, "unknown_code") for value in ("m", "Male", "M|F")],
        *[
            (CHECKBOX, value, "wrong_type")
            for value in ("dle", "", [1], [None], ["dle", 1], [["dle"]], True, {"dle": 1})
        ],
        *[(CHECKBOX, value, "unknown_code") for value in (["cle"], [""], ["dle", "DLE"], ["dle|scle"], ["\ud800"])],
        (CHECKBOX, ["dle", "dle"], "repeated_code"),
        *[(YESNO, value, "wrong_type") for value in ("true", "1", "", 1, 0, "yes", [True], Decimal(1))],
        *[(SCORE, value, "wrong_type") for value in ("5", "", True, False, [5], {}, "NaN", "five")],
        *[
            (SCORE, value, "out_of_range")
            for value in (-1, 71, 10**400, Decimal("70.1"), Decimal("1e400"), Decimal("-1e-9"))
        ],
        *[(SCORE, value, "not_an_integer") for value in (Decimal("5.5"), Decimal("1e-400"), Decimal("69.999"))],
        *[(COUNT, value, "out_of_range") for value in (2**31, -(2**31), Decimal("1e999999"), Decimal("-1e400"))],
        *[(DOSE, value, "wrong_type") for value in ("5", "1,5", "٥", True, None, [5])],
        *[(DOSE, value, "out_of_range") for value in (-1, 26, Decimal("25.01"), Decimal("-0.01"), Decimal("1e400"))],
        *[(DOSE, Decimal(value), "too_many_decimals") for value in ("2.505", "1e-400", "5." + "0" * 40 + "1")],
        *[(DAY, value, "wrong_type") for value in (20240312, True, ["2024-03-12"], Decimal(1))],
        *[
            (DAY, value, "not_a_date")
            for value in (
                "",
                "2023-02-29",
                "2023-02",
                "2023",
                "0000-01-01",
                "2024-13-01",
                "2024-3-12",
                "12.03.2024",
                "2024-03-12T24:00",
                "2024-03-12 ",
                "20240312",
                "2024-W11-2",
                "２024-03-12",
                "2024-03-12\x00",
                "2024-03-12\n",
                "10000-01-01",
                "\ud800",
            )
        ],
        *[(DAY, value, "out_of_range") for value in ("1999-12-31", "0001-01-01")],
        *[(START, value, "wrong_type") for value in (2023, True, ["2023"])],
        *[(START, value, "not_a_date") for value in ("", "23", "2023-00", "2023-02-29", "0000", "٢٠٢٣", "2023\x00")],
    ],
)
def test_a_json_value_that_is_none_is_refused_with_its_code(variable, value, code):
    assert refusal(variable.read, value) == code


@pytest.mark.parametrize(
    ("variable", "text", "read"),
    [
        (TEXT, "5 mg", "5 mg"),
        (RADIO, "1", "1"),
        (CHECKBOX, "other|dle", ["dle", "other"]),
        (CHECKBOX, " other | dle ", ["dle", "other"]),
        (YESNO, "1", True),
        (YESNO, "0", False),
        (SCORE, "70", 70),
        (SCORE, "007", 7),
        (SCORE, "+7", 7),
        (SCORE, "7.0", 7),
        (SCORE, "-0", 0),
        (DOSE, "2.5", Decimal("2.50")),
        (DOSE, "-0.00", Decimal("0.00")),
        (DAY, "2024-02-29", date(2024, 2, 29)),
        (START, "2023-02", PartialDate(2023, 2)),
    ],
)
def test_a_cell_is_read(variable, text, read):
    found = variable.parse(text)

    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("variable", "text", "code"),
    [
        (TEXT, "x\x00", "unprintable"),
        (RADIO, "3", "unknown_code"),
        (CHECKBOX, "dle|cle", "unknown_code"),
        (CHECKBOX, "dle,scle", "unknown_code"),
        (CHECKBOX, "dle||scle", "unknown_code"),
        (CHECKBOX, "dle|dle", "repeated_code"),
        *[(YESNO, text, "wrong_type") for text in ("2", "yes", "true", "TRUE", "1.0", "01", "١")],
        *[
            (DOSE, text, "wrong_type")
            for text in (
                "1,5",
                "five",
                "NaN",
                "Infinity",
                "-inf",
                "1e1",
                "1e400",
                "٥",
                "５",
                "5 mg",
                "1_0",
                "0x5",
                ".",
                "--5",
                "5\x00",
                "9" * 31,
            )
        ],
        (DOSE, "-0.01", "out_of_range"),
        (DOSE, "25.01", "out_of_range"),
        (DOSE, "9" * 30, "out_of_range"),
        (DOSE, "2.505", "too_many_decimals"),
        (SCORE, "71", "out_of_range"),
        (SCORE, "5.5", "not_an_integer"),
        (DAY, "2023-02-29", "not_a_date"),
        (DAY, "1999-12-31", "out_of_range"),
        (START, "2023-13", "not_a_date"),
        (FILE, "photo.jpg", "file_not_a_value"),
    ],
)
def test_a_cell_that_holds_no_value_is_refused_with_its_code(variable, text, code):
    assert refusal(variable.parse, text) == code


@pytest.mark.parametrize("variable", [TEXT, RADIO, CHECKBOX, YESNO, SCORE, DOSE, DAY, START, FILE])
@pytest.mark.parametrize("text", ["five", "1,5", "2023-02-30", "maybe", "a\x00b"])
def test_a_text_is_read_or_refused_alike_in_json_and_in_a_cell(variable, text):
    in_json = [text] if variable is CHECKBOX else text

    assert refusal(variable.read, in_json) == refusal(variable.parse, text)


@every_variable
def test_every_variable_reads_back_the_text_it_writes(name, variable):
    for value in examples_of(variable):
        read = variable.read(value)

        assert variable.parse(variable.to_text(read)) == read, name


@every_variable
def test_every_variable_refuses_json_of_another_type(name, variable):
    wrong = [{"a": 1}, [["x"]]]

    assert {refusal(variable.read, value) for value in wrong} <= {"wrong_type", "file_not_a_value"}, name


@every_variable
def test_every_variable_with_codes_has_a_label_for_each_and_refuses_any_other(name, variable):
    for value in examples_of(variable) if variable.codes else []:
        assert variable.labels(variable.read(value))
        assert variable.parse(variable.to_text(variable.read(value))) is not None
    if variable.codes:
        other = ["no_such_code"] if isinstance(variable, CheckboxField) else "no_such_code"
        assert refusal(variable.read, other) in ("unknown_code", "wrong_type"), name
    assert variable.labels(None) is None
    assert variable.to_text(None) == ""


@every_variable
def test_every_limited_variable_takes_its_limits_and_nothing_beyond(name, variable):
    if isinstance(variable, NumberField):
        step = Decimal(1) if isinstance(variable, IntegerField) else variable.step
        assert refusal(variable.read, variable.minimum) is None, name
        assert refusal(variable.read, variable.maximum) is None, name
        assert refusal(variable.read, variable.minimum - step) == "out_of_range", name
        assert refusal(variable.read, variable.maximum + step) == "out_of_range", name
    if isinstance(variable, DateField):
        before = date.fromordinal(variable.minimum.toordinal() - 1).isoformat()
        assert refusal(variable.read, variable.minimum.isoformat()) is None, name
        assert refusal(variable.read, before) == "out_of_range", name


@every_variable
def test_the_json_schema_of_every_variable_is_json_and_takes_null(name, variable):
    schema = json.loads(json.dumps(variable.json_schema()))

    assert "null" in schema["type"], name
    assert None in schema.get("enum", [None]), name


@every_variable
def test_every_variable_is_a_plain_django_field_in_migrations(name, variable):
    _name, path, _args, kwargs = variable.deconstruct()

    assert path.startswith("django."), name
    assert not kwargs.keys() & {"label", "verbose_name", "codes", "section", "note", "sdtm", "show_if", "required"}
