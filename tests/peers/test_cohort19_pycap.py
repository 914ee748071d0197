"""The nineteen published cases through PyCap: read back is what went in, and the endpoint table is as published."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import redcap

from exports.endpoints.published import table_lines
from exports.recompute import recompute_stale
from registry.rights import Role

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
FORMS = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


DICTIONARY = {row["Variable / Field Name"]: row for row in rows_of(DOCS / "data-dictionary.csv")}


def codes_of(name):
    choices = DICTIONARY[name]["Choices, Calculations, OR Slider Labels"]
    return [choice.split(",")[0].strip() for choice in choices.split("|")]


def flat(form, row):
    """Return a row of a file as REDCap lays it out."""
    cells = {name: text for name, text in row.items() if name not in ("site", "redcap_repeat_instance")}
    for name in [name for name in cells if DICTIONARY[name]["Field Type"] == "checkbox"]:
        ticked = cells.pop(name).split("|")
        cells |= {f"{name}___{code}": str(int(code in ticked)) for code in codes_of(name)}
    if form != "patient":
        cells |= {"redcap_repeat_instrument": form, "redcap_repeat_instance": row["redcap_repeat_instance"]}
    return cells | {f"{form}_complete": "2"}


def sent_rows():
    return [flat(form, row) for form in FORMS for row in rows_of(DOCS / "cohort19" / f"{form}.csv")]


def by_place(rows):
    """Return rows by record, instrument and instance, without blank cells; numbers by what they are worth."""
    places = ("record_id", "redcap_repeat_instrument", "redcap_repeat_instance")
    found = {}
    for row in rows:
        key = tuple(str(row.get(name, "")) for name in places)
        found[key] = {name: worth(name, text) for name, text in row.items() if name not in places and text != ""}
    return found


def worth(name, text):
    kind = DICTIONARY.get(name, {}).get("Text Validation Type OR Show Slider Number", "")
    return Decimal(text) if kind.startswith("number") else text


@pytest.mark.parametrize("form", ["json", "csv", "df"])
def test_the_published_cohort_goes_in_and_comes_back(address, token, form):
    project, rows = redcap.Project(address, token()), sent_rows()

    told = project.import_records(data_of(rows, form), import_format=form)

    assert told == {"count": 19}
    assert by_place(project.export_records()) == by_place(rows)


def data_of(rows, form):
    """Return the rows as PyCap takes them in this format."""
    if form == "json":
        return rows
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = [",".join(columns), *(",".join(f'"{row.get(name, "")}"' for name in columns) for row in rows)]
    text = "\n".join(table)
    if form == "csv":
        return text
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col="record_id")


def test_the_endpoint_table_is_the_published_one(address, token, api):
    project = redcap.Project(address, token())
    project.import_records(sent_rows())

    recompute_stale()

    caller = api(Role.MONITOR, site=None)
    summary = caller.get("/api/v1/endpoints/").json()["overall"]
    assert [line for line in table_lines(summary) if not line.matches] == []
