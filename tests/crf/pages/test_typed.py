"""What a person types is read in every usual way of writing, and refused where it has none."""

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from crf.fields import DecimalField, Unreadable
from crf.forms import Status, forms_by_name
from crf.pages.typed import Typed, plain_number, read_date, read_typed, typed_of, understood
from crf.partial_dates import PartialDate

TODAY = date(2026, 11, 22)


def read(text):
    return read_date(text, label="Date", today=TODAY)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-12", "2024-03-12"),
        ("2024/3/12", "2024-03-12"),
        ("2024.03.12", "2024-03-12"),
        ("20240312", "2024-03-12"),
        ("12/03/2024", "2024-03-12"),
        ("12.3.2024", "2024-03-12"),
        ("12-3-24", "2024-03-12"),
        ("12 03 2024", "2024-03-12"),
        ("12032024", "2024-03-12"),
        ("120324", "2024-03-12"),
        ("20032024", "2024-03-20"),
        ("03/25/2024", "2024-03-25"),
        ("12 Mar 2024", "2024-03-12"),
        ("12-MAR-2024", "2024-03-12"),
        ("12MAR2024", "2024-03-12"),
        ("March 12, 2024", "2024-03-12"),
        ("2024 Mar 12", "2024-03-12"),
        ("12th March 2024", "2024-03-12"),
        ("1er mars 2024", "2024-03-01"),
        ("12 févr. 24", "2024-02-12"),
        ("3 août 2023", "2023-08-03"),
        (" 12\u201303\u20132024 ", "2024-03-12"),
        ("29/02/2024", "2024-02-29"),
        ("01/05/26", "2026-05-01"),
        ("01/05/27", "1927-05-01"),
        ("mars 2024", "2024-03"),
        ("03/2024", "2024-03"),
        ("2024-03", "2024-03"),
        ("3.2024", "2024-03"),
        ("sept. 2023", "2023-09"),
        ("2024", "2024"),
    ],
)
def test_a_date_is_taken_in_every_usual_order(text, day):
    assert read(text).value == PartialDate.parse(day)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "31/04/2024",
        "29/02/2023",
        "13/13/2024",
        "12/03",
        "03/24",
        "12/03/202",
        "1/2/3/2024",
        "12 mars avril 2024",
        "2024-03-12T00:00",
        "2024--",
        "0000",
        "١٢/٠٣/٢٠٢٤",
        "12 march",
        "202403",
        "-",
    ],
)
def test_what_is_no_date_of_the_calendar_is_refused(text):
    with pytest.raises(Unreadable) as refused:
        read(text)

    assert refused.value.code == "not_a_date"


@pytest.mark.parametrize(
    ("text", "either"),
    [("12/03/2024", True), ("13/03/2024", False), ("03/03/2024", False), ("2024-03-12", False), ("120324", True)],
)
def test_it_is_told_where_the_day_was_taken_first_and_the_month_could_have_been(text, either):
    assert read(text).day_first is either


def test_a_date_is_understood_in_the_language_of_the_page():
    found = [read(text) for text in ("12/03/2024", "2024-03-12", "03/2024", "2024")]

    assert [understood(one) for one in found] == ["12 March 2024 (day first)", "12 March 2024", "March 2024", "2024"]
    with translation.override("fr"):
        assert understood(found[1]) == "12 mars 2024"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.5", "2.5"),
        ("2,5", "2.5"),
        (" 2,5 ", "2.5"),
        ("5 mg", "5"),
        ("5MG", "5"),
        ("1 000", "1000"),
        ("\u22121", "-1"),
    ],
)
def test_a_number_takes_comma_or_point_and_its_unit(text, number):
    assert plain_number(text, variable=DecimalField("Dose", places=2, max=25, unit="mg")) == number


def test_a_number_that_can_be_thousands_or_decimals_is_refused():
    dose = DecimalField("Dose", places=2, max=25)

    for text in ("1,000", "-25,000"):
        with pytest.raises(Unreadable):
            plain_number(text, variable=dose)
    assert plain_number("0,125", variable=dose) == "0.125"


def test_a_form_is_read_as_a_whole_and_what_cannot_be_read_is_told():
    texts = {
        "dose_start": "12/03/2024",
        "dose_end": "soon",
        "dose_mg": "2,50",
        "dose_schedule": "daily",
        "dose_reason": "",
    }
    typed = Typed(texts=texts, missing={"dose_reason": "UNK"}, status="unverified")

    reading = read_typed(forms_by_name()["dosing"], typed, today=TODAY, new=True)

    assert reading.submission.values == {
        "dose_start": date(2024, 3, 12),
        "dose_mg": Decimal("2.50"),
        "dose_schedule": "daily",
        "dose_reason": None,
    }
    assert [(name, code) for name, code, _message in reading.submission.unread] == [("dose_end", "not_a_date")]
    assert reading.submission.missing["dose_reason"] == "UNK"
    assert reading.submission.status == Status.UNVERIFIED
    assert reading.understood == {"dose_start": "12 March 2024 (day first)", "dose_mg": "2.5 mg"}
    assert reading.spelled == {"dose_start": "2024-03-12", "dose_mg": "2.5", "dose_schedule": "daily"}


def test_a_date_that_must_be_a_day_refuses_a_month():
    form = forms_by_name()["dosing"]

    reading = read_typed(form, Typed(texts={"dose_start": "03/2024"}), today=TODAY, new=True)

    ((name, code, message),) = reading.submission.unread
    assert (name, code) == ("dose_start", "not_a_date")
    assert "needs the day" in message


def test_what_is_saved_comes_back_from_its_fields_unchanged():
    form = forms_by_name()["patient"]
    values = dict.fromkeys(form.variables()) | {
        "birth_date": date(1970, 5, 1),
        "cle_subtype": ["dle", "let"],
        "diagnosis_date": PartialDate(2011, 4),
        "systemic_lupus": False,
        "patient_notes": "two\nlines",
    }

    typed = typed_of(form, values, {"sex": "UNK"}, status="incomplete")
    reading = read_typed(form, Typed.of_json(typed.as_json()), today=TODAY, new=False)

    values.pop("record_id")
    assert reading.submission.values == values
    assert {name: why for name, why in reading.submission.missing.items() if why} == {"sex": "UNK"}
