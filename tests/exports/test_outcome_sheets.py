import json
from datetime import date, timedelta

import pytest
from django.conf import settings
from msgspec.json import encode

from exports.cuts import Cut, Privacy
from exports.endpoints.cohort import summarise, summarise_cohort
from exports.endpoints.definitions import FIGURES
from exports.endpoints.outcome import OUTCOME_NAMES, json_of_evidence
from exports.endpoints.rules import outcome_of
from exports.models import PatientOutcome
from exports.outcome_sheets import DATES, counted_outcomes, figures, outcome_columns, outcome_rows
from exports.pseudonyms import Pseudonyms
from exports.writers.workbook import Kind
from tests.exports.endpoints.cohort19 import charts_of_cohort19, members_of_cohort19


def figure(cohorts, name):
    """Return the cells of one figure of the first cohort, those that are blank left out."""
    sheet = figures(cohorts)
    named = ({c.name: value for c, value in zip(sheet.columns, row, strict=True)} for row in sheet.rows)
    return {
        key: value for key, value in next(row for row in named if row["figure"] == name).items() if value is not None
    }


@pytest.fixture
def stored(sites):
    """The outcomes of the nineteen cases, stored as a computation leaves them."""
    members = members_of_cohort19()
    for chart, member in zip(charts_of_cohort19(), members, strict=True):
        PatientOutcome.objects.create(
            record_id=chart.patient.record_id,
            site_id=chart.patient.site,
            evidence=json_of_evidence(outcome_of(chart)["evidence"]),
            outcome=encode(member.outcome).decode(),
            sex=member.sex,
            discoid=member.discoid,
            digest=b"",
        )
    return {member.outcome["record_id"]: member.outcome for member in members}


def read(*, sites=("MTP", "NIM", "STR"), privacy=Privacy.FULL):
    """Return the outcomes of a cut by record id as shown, each by column."""
    names = [column.name for column in outcome_columns()]
    cut = Cut(forms=("patient",), sites=sites, privacy=privacy)
    return {row[1]: dict(zip(names, row, strict=True)) for row in outcome_rows(cut)}


# Figures


def test_every_figure_of_a_cohort_has_a_row_with_its_definition():
    summary = summarise([])

    sheet = figures({"overall": summary})

    assert [row[1] for row in sheet.rows] == list(FIGURES)
    assert all(row[-1] for row in figures({"overall": summary}).rows)


def test_a_share_has_its_exact_interval():
    cells = figure(summarise_cohort(members_of_cohort19()), "cr")

    assert (cells["n"], cells["of"], round(cells["percent"], 1)) == (12, 19, 63.2)
    assert (round(cells["low"], 1), round(cells["high"], 1)) == (38.4, 83.7)
    assert "Clopper-Pearson" in cells["definition"]


def test_the_interval_of_responders_is_that_of_the_overall_response():
    cells = figure(summarise_cohort(members_of_cohort19()), "responders")

    assert (cells["n"], cells["of"], round(cells["percent"], 1)) == (17, 19, 89.5)


def test_a_measure_has_its_median_and_range():
    cells = figure(summarise_cohort(members_of_cohort19()), "prior")

    assert (cells["n"], cells["median"], cells["min"], cells["max"]) == (19, 6, 2, 12)


def test_a_curve_has_its_events_and_the_interval_of_its_median():
    summary = summarise_cohort(members_of_cohort19())["overall"]

    cells = figure({"overall": summary}, "kaplan_meier.months_to_bor")

    curve = summary["kaplan_meier"]["months_to_bor"]
    assert (cells["n"], cells["of"], cells["median"]) == (curve["events"], curve["n"], curve["median"])


def test_each_cohort_has_its_rows():
    summary = summarise([])

    sheet = figures({"overall": summary, "MTP": summary})

    assert [row[0] for row in sheet.rows] == ["overall"] * len(FIGURES) + ["MTP"] * len(FIGURES)


# Outcomes of patients


@pytest.mark.django_db
def test_outcomes_are_those_that_are_stored_with_dates_as_dates_and_yes_as_1(stored):
    found = read()

    assert list(found) == sorted(stored)
    for record_id, outcome in stored.items():
        row = found[record_id]
        assert row["site"] == outcome["site"]
        assert [_as_stored(name, row[name]) for name in OUTCOME_NAMES] == [outcome[name] for name in OUTCOME_NAMES]


def _as_stored(name, cell):
    return cell.isoformat() if isinstance(cell, date) else cell


@pytest.mark.django_db
def test_every_outcome_that_is_a_day_is_in_a_column_of_dates(stored):
    texts = {name for outcome in stored.values() for name in OUTCOME_NAMES if _is_day(outcome[name])}

    assert texts == set(DATES)
    kinds = {column.name: column.kind for column in outcome_columns()}
    assert {name for name, kind in kinds.items() if kind is Kind.DATE} == set(DATES)


def _is_day(value):
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


@pytest.mark.django_db
def test_the_rows_that_decided_an_outcome_are_named(stored):
    assert "treated: dosing 1" in read()["MTP-001"]["evidence"].split("; ")


@pytest.mark.django_db
def test_only_the_sites_of_the_cut_are_read_and_counted(stored):
    of_nim = [record_id for record_id in stored if record_id.startswith("NIM")]

    assert list(read(sites=("NIM",))) == of_nim
    assert counted_outcomes(Cut(forms=("patient",), sites=("NIM",), privacy=Privacy.FULL)) == len(of_nim)


@pytest.mark.django_db
def test_deidentified_outcomes_have_pseudonyms_and_moved_dates_and_the_same_times(stored):
    secret = Pseudonyms(settings.PSEUDONYM_KEY)

    found = read(privacy=Privacy.DEIDENTIFIED)

    assert set(found) == {secret.of(record_id) for record_id in stored}
    for record_id, outcome in stored.items():
        row = found[secret.of(record_id)]
        back = timedelta(days=secret.days_back(record_id))
        assert row["index_date"] == date.fromisoformat(outcome["index_date"]) - back
        assert row["months_to_bor"] == outcome["months_to_bor"]
        assert record_id not in row["evidence"]


@pytest.mark.django_db
@pytest.mark.parametrize(("privacy", "shown"), [(Privacy.LIMITED, 93), (Privacy.DEIDENTIFIED, 90)])
def test_a_high_age_is_shown_as_it_is_or_as_90(stored, privacy, shown):
    old = PatientOutcome.objects.get(record_id="MTP-001")
    old.outcome = json.dumps({**json.loads(old.outcome), "age_at_start": 93})
    old.save()
    key = "MTP-001" if privacy is Privacy.LIMITED else Pseudonyms(settings.PSEUDONYM_KEY).of("MTP-001")

    assert read(privacy=privacy)[key]["age_at_start"] == shown
