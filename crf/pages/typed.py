"""What a person typed, read as values: the one reader that leaving a field, keeping a draft and saving share.

Dates are taken in every usual order, in English and French; where day and month could be either, the day is first.
Numbers take a comma or a point. Pure functions over texts: no database, and `today` is passed in.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.http import QueryDict
from django.utils import formats
from django.utils.translation import gettext as _

from crf.fields import (
    CheckboxField,
    DateField,
    FileField,
    NotesField,
    NumberField,
    PartialDateField,
    TextField,
    Unreadable,
    Variable,
)
from crf.forms import Form
from crf.partial_dates import PartialDate, Precision
from crf.reading import STATUS_BY_NAME, Submission

EXPLAIN = "explain-"
"""What the names of fields begin with in which a warning is explained."""
Text = str | list[str]
"""What stands in one field: a text, or the codes that are ticked."""

MONTHS: Mapping[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "january jan janvier janv",
            "february feb fevrier fevr fev",
            "march mar mars",
            "april apr avril avr",
            "may mai",
            "june jun juin",
            "july jul juillet juil",
            "august aug aout",
            "september sept sep septembre",
            "october oct octobre",
            "november nov novembre",
            "december dec decembre",
        ),
        start=1,
    )
    for name in names.split()
}
"""English and French names, without accents, whichever language the page has."""
PART = re.compile(r"\d+|[a-z]+", re.ASCII)
SHAPE = re.compile(r"[\da-z]+(?:[\s/.,-]+[\da-z]+)*[\s.]*", re.ASCII)
ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th|er|eme|e)(?![a-z])", re.ASCII)
HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
THOUSANDS_OR_DECIMALS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
MONTHS_OF_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class ReadDate:
    """A date as it was understood; `day_first` when day and month could have been the other way round."""

    value: PartialDate
    day_first: bool = False


@dataclass
class Typed:
    """One form as it stands in the browser: nothing is read yet. This is also what a draft keeps."""

    texts: dict[str, Text] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    status: str = ""
    explanations: dict[str, str] = field(default_factory=dict)
    """By `variable:code` of the warning that they explain."""

    def as_json(self) -> dict[str, Any]:
        """Return what `of_json` takes."""
        return {
            "texts": self.texts,
            "missing": self.missing,
            "status": self.status,
            "explanations": self.explanations,
        }

    @staticmethod
    def of_json(kept: Mapping[str, Any]) -> "Typed":
        """Return what `as_json` gave."""
        return Typed(**kept)

    def is_blank(self) -> bool:
        """Return whether nothing was typed or chosen."""
        return not any(map(_has_text, self.texts.values())) and not any(self.missing.values())


@dataclass
class Reading:
    """What was typed, read: the submission, how dates were understood, and each text as its value is spelled."""

    submission: Submission
    understood: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, Text] = field(default_factory=dict)


def asked_on_the_page(form: type[Form], *, new: bool) -> dict[str, Variable]:
    """Return the variables that a page has fields for: files go their own way, an identifier is given once."""
    return {
        name: variable
        for name, variable in form.variables().items()
        if not isinstance(variable, FileField) and (new or name != "record_id")
    }


def typed_from(form: type[Form], sent: QueryDict, *, new: bool) -> Typed:
    """Return the fields of a form as a browser sent them; a field that was not sent is not there."""
    typed = Typed(status=sent.get("status", ""))
    for name, variable in asked_on_the_page(form, new=new).items():
        # Radios without an answer are not sent, but the reason beside them is.
        if name not in sent and f"missing-{name}" not in sent:
            continue
        # A group of checkboxes sends a blank first, so that none ticked is told from not sent.
        texts = [_storable(text) for text in sent.getlist(name)]
        codes = [code for code in texts if code]
        typed.texts[name] = codes if isinstance(variable, CheckboxField) else (texts or [""])[-1]
        if reason := _storable(sent.get(f"missing-{name}", "")):
            typed.missing[name] = reason
    for name in sent:
        text = _printable(sent.get(name, "")).strip() if name.startswith(EXPLAIN) else ""
        if text:
            typed.explanations[_storable(name.removeprefix(EXPLAIN))] = text
    return typed


def _storable(text: str) -> str:
    """Return the text without NUL, which no draft can hold; what takes its place is refused as unprintable as well."""
    return text.replace("\0", "\1")


def _printable(text: str) -> str:
    return "".join(part for part in text if part.isprintable())


def typed_of(form: type[Form], values: Mapping[str, Any], missing: Mapping[str, str], *, status: str) -> Typed:
    """Return saved values as they stand in the fields of a page."""
    texts: dict[str, Text] = {}
    for name, variable in form.variables().items():
        value = values.get(name)
        texts[name] = list(value or ()) if isinstance(variable, CheckboxField) else variable.to_text(value)
    return Typed(texts=texts, missing=dict(missing), status=status)


def read_typed(form: type[Form], typed: Typed, *, today: date, new: bool) -> Reading:
    """Return what was typed as values, with what could not be read; a blank field clears its variable.

    A field that was not sent keeps its value. A missing-value reason is taken back where none is chosen.
    """
    reading = Reading(Submission(form=form))
    submission = reading.submission
    for name, variable in asked_on_the_page(form, new=new).items():
        if name not in typed.texts:
            continue
        text = typed.texts[name]
        if name != "record_id":
            submission.missing[name] = typed.missing.get(name) or None
        if not _has_text(text):
            submission.values[name] = None
            continue
        try:
            submission.values[name] = _read(reading, name, variable, text, today=today)
        except Unreadable as unreadable:
            submission.refuse(name, unreadable.code, unreadable.message)
    submission.status = STATUS_BY_NAME.get(typed.status)
    return reading


def _has_text(text: Text) -> bool:
    return bool(text.strip() if isinstance(text, str) else text)


def _read(reading: Reading, name: str, variable: Variable, text: Text, *, today: date) -> Any:
    if isinstance(variable, CheckboxField):
        value: Any = variable.read(text if isinstance(text, list) else [text])
        reading.spelled[name] = value
        return value
    line = text if isinstance(text, str) else ", ".join(text)
    if isinstance(variable, DateField | PartialDateField):
        found = read_date(line, label=variable.label, today=today)
        value = _of_kind(variable, found)
        reading.understood[name] = understood(found)
    else:
        value = _READERS.get(_kind(variable), _as_written)(variable, line)
        if isinstance(variable, NumberField) and variable.to_text(value) != line.strip():
            reading.understood[name] = f"{variable.to_text(value)} {variable.unit}".strip()
    reading.spelled[name] = variable.to_text(value)
    return value


def _kind(variable: Variable) -> type[Variable]:
    return next((kind for kind in _READERS if isinstance(variable, kind)), Variable)


def _as_written(variable: Variable, line: str) -> Any:
    return variable.parse(line.strip())


def _notes(variable: Variable, line: str) -> Any:
    return variable.read(line.replace("\r\n", "\n").replace("\r", "\n").strip())


def _number(variable: Variable, line: str) -> Any:
    return variable.parse(plain_number(line, variable=variable))


_READERS: Mapping[type[Variable], Callable[[Variable, str], Any]] = {
    NotesField: _notes,
    TextField: _as_written,
    NumberField: _number,
}


# Numbers


def plain_number(line: str, *, variable: Variable) -> str:
    """Return the number with a point and without blanks and its unit; raise Unreadable where 1,000 could be two."""
    text = re.sub(r"[\s\u00a0\u202f]", "", line).translate(HYPHENS)
    if variable.unit and text.casefold().endswith(variable.unit.casefold()):
        text = text[: -len(variable.unit)]
    if THOUSANDS_OR_DECIMALS.fullmatch(text):
        message = _("%(label)s: %(text)s can be read in two ways. Write thousands without a comma.")
        raise Unreadable("wrong_type", message % {"label": variable.label, "text": line.strip()})
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


# Dates


def read_date(line: str, *, label: str, today: date) -> ReadDate:
    """Return the day, month or year that `line` names. Raises Unreadable.

    Two digits of a year are of this century up to the present year, else of the last one.
    """
    text = _without_accents(line).translate(HYPHENS).lower().strip()
    text = ORDINAL.sub("", text.replace("\u00a0", " ").replace("\u202f", " "))
    try:
        if not SHAPE.fullmatch(text):
            raise ValueError
        return _date_of(PART.findall(text), today=today)
    except ValueError:
        message = _(
            "%(label)s: %(text)s is not a date of the calendar. Write it as 12/03/2024, 12 Mar 2024 or 2024-03-12."
        )
        raise Unreadable("not_a_date", message % {"label": label, "text": line.strip()[:40]}) from None


def _date_of(parts: list[str], *, today: date) -> ReadDate:
    named = [index for index, part in enumerate(parts) if part in MONTHS]
    if len(named) == 1:
        return ReadDate(_with_a_name(parts, named[0], today=today))
    if named or not all(part.isdecimal() for part in parts):
        raise ValueError
    match len(parts):
        case 1:
            return _of_digits(parts[0], today=today)
        case 2:
            return ReadDate(_month_and_year(*parts))
        case 3:
            return _three_numbers(*parts, today=today)
    raise ValueError


def _with_a_name(parts: list[str], at: int, *, today: date) -> PartialDate:
    """Return the date of a month's name with a year, and a day if there is one: 12 mars 2024, March 12 2024."""
    month, others = MONTHS[parts[at]], parts[:at] + parts[at + 1 :]
    if not all(part.isdecimal() for part in others):
        raise ValueError
    if len(others) == 1 and len(others[0]) == 4:
        return PartialDate(int(others[0]), month)
    if len(others) != 2:
        raise ValueError
    first, second = others
    if len(first) == 4:
        return PartialDate(int(first), month, _at_most_two_digits(second))
    return PartialDate(_year(second, today=today), month, _at_most_two_digits(first))


def _month_and_year(first: str, second: str) -> PartialDate:
    if len(second) == 4:
        return PartialDate(int(second), _at_most_two_digits(first))
    if len(first) == 4:
        return PartialDate(int(first), _at_most_two_digits(second))
    raise ValueError


def _three_numbers(first: str, second: str, third: str, *, today: date) -> ReadDate:
    if len(first) == 4:
        return ReadDate(PartialDate(int(first), _at_most_two_digits(second), _at_most_two_digits(third)))
    day, month, year = _at_most_two_digits(first), _at_most_two_digits(second), _year(third, today=today)
    if month > MONTHS_OF_A_YEAR >= day:
        return ReadDate(PartialDate(year, day, month))  # 03/25/2024 can only be the 25th of March
    either = day != month and day <= MONTHS_OF_A_YEAR
    return ReadDate(PartialDate(year, month, day), day_first=either)


def _of_digits(digits: str, *, today: date) -> ReadDate:
    """Return the date of digits in a row: 2024, 120324, 12032024, 20240312."""
    match len(digits):
        case 4:
            return ReadDate(PartialDate(int(digits)))
        case 6:
            return _three_numbers(digits[:2], digits[2:4], digits[4:], today=today)
        case 8:
            try:
                if digits[:2] in ("19", "20"):
                    return _three_numbers(digits[:4], digits[4:6], digits[6:], today=today)
            except ValueError:
                pass  # 20032024 is the 20th of March
            return _three_numbers(digits[:2], digits[2:4], digits[4:], today=today)
    raise ValueError


def _at_most_two_digits(text: str) -> int:
    if len(text) > 2:
        raise ValueError
    return int(text)


def _year(text: str, *, today: date) -> int:
    if len(text) == 4:
        return int(text)
    if len(text) != 2:
        raise ValueError
    year = today.year // 100 * 100 + int(text)
    return year if year <= today.year else year - 100


def _of_kind(variable: Variable, found: ReadDate) -> Any:
    if isinstance(variable, DateField) and found.value.precision != Precision.DAY:
        message = _("%(label)s needs the day, the month and the year. Write for example 12/03/2024.")
        raise Unreadable("not_a_date", message % {"label": variable.label})
    return variable.read(found.value.text)


def understood(found: ReadDate) -> str:
    """Return the date in words of the page's language, and that the day was taken first where that was a choice."""
    value = found.value
    match value.precision:
        case Precision.YEAR:
            return value.text
        case Precision.MONTH:
            return formats.date_format(value.earliest, "F Y")
    words = formats.date_format(value.earliest, "j F Y")
    return _("%(date)s (day first)") % {"date": words} if found.day_first else words


def _without_accents(text: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))
