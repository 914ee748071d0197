import csv
import io
from collections import Counter
from pathlib import Path

from django.conf import settings

from crf.dictionary import COLUMNS, dictionary_csv, dictionary_rows
from crf.fields import Variable
from crf.forms import all_forms, branching, forms_by_name, patient_form, repeating_forms

AGREED = Path(settings.BASE_DIR) / "docs" / "data-dictionary.csv"


def cells(text):
    """Return the cells of a CSV text, row by row."""
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_dictionary_is_the_agreed_one_cell_by_cell():
    made, agreed = cells(dictionary_csv()), cells(AGREED.read_text(encoding="utf-8"))

    assert made == agreed
    assert [len(row) for row in made] == [18] * 59


def test_the_dictionary_as_json_says_the_same_as_the_file():
    _header, *rows = cells(dictionary_csv())

    assert [list(row.values()) for row in dictionary_rows()] == rows
    assert all(list(row) == list(COLUMNS) for row in dictionary_rows())


def test_the_forms_come_in_the_agreed_order():
    names = ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]

    assert [form.form_name() for form in all_forms()] == names
    assert list(forms_by_name()) == names
    assert [form.form_name() for form in repeating_forms()] == names[1:]
    assert patient_form().form_name() == "patient"


def test_a_variable_name_is_used_once_over_all_forms_and_is_no_name_beside_the_variables():
    names = Counter(name for form in all_forms() for name in form.variables())
    beside = {field.name for form in all_forms() for field in form._meta.fields if not isinstance(field, Variable)}

    assert [name for name, times in names.items() if times > 1] == []
    assert names.keys() & (beside | {"form", "warnings", "values"}) == set()


def test_the_codes_of_a_variable_are_spelled_for_csv_and_its_labels_are_not_blank():
    for form in all_forms():
        for name, variable in form.variables().items():
            for code, label in variable.codes.items():
                assert code == code.strip() != "", name
                assert not set(code) & set("|,=[]()' "), name
                assert label.strip(), name
                assert "|" not in label, name


def test_branching_reads_variables_of_the_same_form_with_codes_that_exist():
    for form in all_forms():
        for name, logic in branching(form).items():
            assert logic.variables <= form.variables().keys() - {name}


def test_check_codes_are_unique_in_a_form_and_stand_at_its_variables():
    for form in all_forms():
        checks = [*form.hard_checks, *form.soft_checks]

        assert [code for code, times in Counter(check.code for check in checks).items() if times > 1] == []
        assert {check.at for check in checks} <= form.variables().keys()
        for check in checks:
            for other, variables in check.reads.items():
                assert set(variables) <= forms_by_name()[other].variables().keys()
