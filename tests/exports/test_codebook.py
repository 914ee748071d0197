import pytest

from crf.forms import all_forms, forms_by_name
from exports.codebook import codebook
from exports.cuts import Cut, Privacy
from exports.datasets import columns_of
from exports.endpoints.definitions import OUTCOMES
from exports.endpoints.outcome import OUTCOME_NAMES

ALL_FORMS = tuple(form.form_name() for form in all_forms())


def rows(*, forms=ALL_FORMS, privacy=Privacy.FULL):
    sheet = codebook(Cut(forms=forms, sites=("MTP",), privacy=privacy))
    names = [column.name for column in sheet.columns]
    return [dict(zip(names, row, strict=True)) for row in sheet.rows]


def row_of(variable, **options):
    return next(row for row in rows(**options) if row["variable"] == variable)


@pytest.mark.parametrize("form", ALL_FORMS)
def test_every_column_of_a_form_but_the_labels_is_explained_in_the_order_of_its_sheet(form):
    cut = Cut(forms=(form,), sites=("MTP",), privacy=Privacy.FULL, labels=False)
    columns = [column.name for column in columns_of(forms_by_name()[form], cut=cut)]

    explained = [row["variable"] for row in rows(forms=(form,)) if row["form"] == form]

    # The record id of the patient form is one of its variables and stands among them.
    assert sorted(explained) == sorted(columns)
    assert all(row["label"] for row in rows(forms=(form,)))


def test_every_outcome_is_explained():
    assert [row["variable"] for row in rows() if row["form"] == "outcomes"] == list(OUTCOME_NAMES) == list(OUTCOMES)


def test_a_coded_variable_has_its_codes_and_branching():
    row = row_of("neuropathy_cause")

    assert row["codes"] == "thalidomide = Thalidomide | other = Other | unknown = Unknown"
    assert row["shown_if"] == "[neuropathy_history] = '1'"
    assert row["sdtm"] == "SUPPMH.QVAL"
    assert (row["type"], row["required"], row["identifier"], row["withheld"]) == ("radio", 0, 0, "")


def test_yes_and_no_have_their_codes():
    assert row_of("systemic_lupus")["codes"] == "1 = Yes | 0 = No"


def test_a_number_has_its_unit_and_limits():
    row = row_of("dose_mg")

    assert (row["type"], row["unit"], row["minimum"], row["maximum"]) == ("number_2dp", "mg", "0", "25")


def test_a_date_that_may_not_be_in_the_future_says_so():
    row = row_of("birth_date")

    assert (row["type"], row["minimum"], row["maximum"]) == ("date_ymd", "1900-01-01", "today")


def test_a_withheld_variable_stays_in_the_codebook_with_the_reason():
    assert row_of("birth_date", privacy=Privacy.LIMITED)["withheld"] == "marked as identifier in the data dictionary"
    assert row_of("ae_term", privacy=Privacy.LIMITED)["withheld"] == "free text, which may name a person"
