"""When a field is asked for, in words."""

import pytest

from crf.expressions import read_expression
from crf.forms import all_forms, branching, forms_by_name
from crf.pages.branching import _words, branching_json, in_words


@pytest.mark.parametrize(
    ("form", "name", "words"),
    [
        ("patient", "birth_date", ""),
        ("patient", "childbearing_potential", "Sex is Female"),
        ("patient", "pregnancy_test_date", "Sex is Female and Of child-bearing potential is Yes"),
        ("patient", "cle_subtype_other", "Subtypes of cutaneous lupus erythematosus includes Other"),
        ("dosing", "dose_stop_reason", "Last day at this dose is filled in"),
    ],
)
def test_each_condition_is_said_in_the_words_of_the_form(form, name, words):
    assert in_words(forms_by_name()[form], name) == words


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("[sex] <> 'F'", "Sex is not Female"),
        ("[race] = ''", "Race is blank"),
        ("[cle_subtype(dle)] = '0'", "Subtypes of cutaneous lupus erythematosus does not include Chronic discoid"),
        ("[sex] = 'F' or [sex] = 'U'", "Sex is Female or Sex is Unknown"),
        ("[birth_date] > '2000-01-01'", "Date of birth > 2000-01-01"),
    ],
)
def test_conditions_of_every_kind_have_words(condition, words):
    assert _words(forms_by_name()["patient"], read_expression(condition)) == words


@pytest.mark.parametrize("form", all_forms())
def test_each_condition_of_each_form_goes_to_the_browser_and_has_words(form):
    assert branching_json(form).keys() == branching(form).keys()
    assert all(in_words(form, name) for name in branching(form))
