import re

import pytest
from django.core.management import CommandError, call_command
from openpyxl import load_workbook

from crf.filters import FilterError
from crf.forms import all_forms, forms_by_name
from exports.cuts import Cut, Privacy
from exports.datasets import counted_rows, rows_of
from exports.filtering import read_filter
from exports.models import Job
from exports.outcome_sheets import counted_outcomes, outcome_rows
from exports.withheld import withheld_variables
from registry.rights import Role
from tests.crf.examples import saved
from tests.exports.test_api import ask, errors

SITES = ("MTP", "NIM", "STR")


@pytest.fixture
def charts(data_manager):
    """Men in MTP and STR, a woman in NIM; one dose of 5 mg each, and 10 mg for the man in MTP."""
    for site, sex in zip(SITES, "MFM", strict=True):
        saved("patient", {"sex": sex}, by=data_manager, record_id=f"{site}-001", site=site)
        saved(
            "dosing", {"dose_start": "2020-01-01", "dose_end": "2020-01-31"}, by=data_manager, record_id=f"{site}-001"
        )
    saved("dosing", {"dose_start": "2020-02-01", "dose_mg": 10}, by=data_manager, record_id="MTP-001")


def cut(text, *, sites=SITES, privacy=Privacy.FULL):
    return Cut(forms=("patient", "dosing"), sites=sites, privacy=privacy, filter=text)


def kept(of):
    """Return record id and instance of the rows of a cut, by form."""
    patients = [(row[1], 1) for row in rows_of(forms_by_name()["patient"], cut=of)]
    return {"patient": patients, "dosing": [(row[1], row[2]) for row in rows_of(forms_by_name()["dosing"], cut=of)]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "patients", "doses"),
    [
        (None, ["MTP", "NIM", "STR"], [("MTP", 1), ("MTP", 2), ("NIM", 1), ("STR", 1)]),
        ("[sex] = 'F'", ["NIM"], [("NIM", 1)]),
        ("[dose_mg] = 10", ["MTP"], [("MTP", 2)]),
        ("[sex] = 'F' or [dose_mg] = 10", ["MTP", "NIM"], [("MTP", 2), ("NIM", 1)]),
        ("[sex] = 'U'", [], []),
        ("[record_id] <> '%'", ["MTP", "NIM", "STR"], [("MTP", 1), ("MTP", 2), ("NIM", 1), ("STR", 1)]),
    ],
)
def test_rows_and_patients_for_which_the_filter_does_not_hold_are_left_out_and_not_counted(
    charts, text, patients, doses
):
    found = kept(cut(text))

    assert found == {
        "patient": [(f"{site}-001", 1) for site in patients],
        "dosing": [(f"{site}-001", instance) for site, instance in doses],
    }
    assert counted_rows(cut(text)) == {name: len(rows) for name, rows in found.items()}


@pytest.mark.django_db
def test_no_filter_opens_another_site(charts):
    assert kept(cut("true or [sex] = 'M' or [dose_mg] > 0", sites=("NIM",))) == {
        "patient": [("NIM-001", 1)],
        "dosing": [("NIM-001", 1)],
    }


@pytest.mark.django_db
def test_the_outcomes_are_those_of_the_patients_that_are_kept(charts):
    call_command("recompute_endpoints")

    assert [row[1] for row in outcome_rows(cut("[sex] = 'F'"))] == ["NIM-001"]
    assert [counted_outcomes(cut(text)) for text in (None, "[sex] = 'F'", "[dose_mg] = 10")] == [3, 1, 1]


@pytest.mark.django_db
def test_a_deidentified_cut_can_be_filtered_by_what_it_shows(charts):
    text = "datediff([dose_start], [dose_end], 'd') = 30 and [sex] = 'F'"
    read_filter(text, privacy=Privacy.DEIDENTIFIED)

    found = kept(cut(text, privacy=Privacy.DEIDENTIFIED))

    assert [len(rows) for rows in found.values()] == [1, 1]
    assert found["patient"][0][0] != "NIM-001"


def code_of(text, privacy):
    """Return the code with which a filter is refused at a level of privacy, None when it is not."""
    try:
        read_filter(text, privacy=privacy)
    except FilterError as error:
        return error.code
    return None


NO = "withheld_variable"


@pytest.mark.parametrize(
    ("text", "full", "limited", "deidentified"),
    [
        ("[sex] = 'F'", None, None, None),
        ("[dosing_complete] = 2", None, None, None),
        ("[birth_date] < '1970-01-01'", None, NO, NO),
        ("age_at_date([birth_date], [dose_start]) > 50", None, NO, NO),
        ("contains([ae_term], 'x')", None, NO, NO),
        ("isblankormissingcode([patient_notes])", None, NO, NO),
        ("hasmissingcode([birth_date], 'UNK')", None, NO, NO),
        ("[record_id] = 'MTP-001'", None, None, NO),
        ("[record-name] = 'MTP-001'", None, None, NO),
        ("[dose_start] < '2020-01-01'", None, None, NO),
        ("[dose_start][2] < '2020-01-01'", None, None, NO),
        ("year([diagnosis_date]) = 2012", None, None, NO),
        ("datediff([dose_start], '2020-01-01', 'd') > 5", None, None, NO),
        ("datediff([dose_start], [dose_end], 'd') > 5", None, None, None),
        ("datediff([dose_start], [dose_end], 'd') > 5 and [dose_end] <> ''", None, None, NO),
        ("datediff([birth_date], [dose_end], 'd') > 5", None, NO, NO),
        ("year('today') = 2024", *["not_in_a_cut"] * 3),
        ("[user-name] = 'x'", *["not_in_a_cut"] * 3),
        ("[nope] = 1", *["unknown_variable"] * 3),
    ],
)
def test_what_a_level_withholds_its_filter_may_not_name(text, full, limited, deidentified):
    assert [code_of(text, privacy) for privacy in Privacy] == [full, limited, deidentified]


@pytest.mark.parametrize("privacy", [Privacy.LIMITED, Privacy.DEIDENTIFIED])
def test_every_withheld_variable_is_refused_in_a_filter(privacy):
    names = [withheld.variable for form in all_forms() for withheld in withheld_variables(form, privacy=privacy)]

    assert {code_of(f"[{name}] <> ''", privacy) for name in names} == {NO}


# REST


@pytest.mark.django_db
def test_the_filter_is_kept_with_the_job_and_shown(api):
    response = ask(api(Role.COORDINATOR), filter="[sex] = 'F'")

    assert (response.status_code, response.json()["filter"]) == (202, "[sex] = 'F'")
    assert Job.objects.get().parameters["filter"] == "[sex] = 'F'"


@pytest.mark.django_db
@pytest.mark.parametrize("blank", [None, "", "  \n"])
def test_a_blank_filter_is_none(api, blank):
    assert ask(api(Role.COORDINATOR), filter=blank).json()["filter"] is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (1, "wrong_type"),
        (["[sex] = 'F'"], "wrong_type"),
        ("[sex]", "not_a_condition"),
        ("[sex] =", "syntax"),
        ("[sex] = '\x00'", "unprintable"),
        ("[password] = 'x'", "unknown_variable"),
        ("[sex]='F' or " * 10_000 + "true", "too_long"),
        ("[user-name] = 'x'", "not_in_a_cut"),
    ],
)
def test_a_filter_that_cannot_be_used_is_a_400_and_no_job(api, text, code):
    response = ask(api(Role.COORDINATOR), filter=text)

    assert (response.status_code, errors(response)) == (400, [("filter", code)])
    assert not Job.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("privacy", [{}, {"privacy": "deidentified"}])
def test_who_may_have_deidentified_data_only_cannot_ask_by_identifiers(api, privacy):
    response = ask(api(Role.INVESTIGATOR, site=None), filter="[birth_date] = '1970-05-01'", **privacy)

    assert (response.status_code, errors(response)) == (400, [("filter", "withheld_variable")])


# The command


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_workbook_of_the_command_has_the_rows_kept_and_the_manifest_the_filter(charts, export_folder, tmp_path):
    out = tmp_path / "cut.xlsx"

    call_command("export", "--out", str(out), "--filter", "[dose_mg] = 10")

    book = load_workbook(out)
    assert [row[1].value for row in book["patient"].iter_rows(min_row=2)] == ["MTP-001"]
    assert [row[2].value for row in book["dosing"].iter_rows(min_row=2)] == [2]
    told = {row[1].value: row[2].value for row in book["manifest"].iter_rows(min_row=2)}
    assert told["filter"] == "[dose_mg] = 10"
    assert told["left in by the filter"].startswith("patients with a row for which the filter holds")


@pytest.mark.django_db
def test_the_command_says_what_is_wrong_with_a_filter(sites, tmp_path):
    with pytest.raises(CommandError, match=re.escape("--filter: There is no variable [nope].")):
        call_command("export", "--out", str(tmp_path / "cut.xlsx"), "--filter", "[nope] = 1")
