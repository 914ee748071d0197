import pytest

from exports.endpoints.behind import BEHIND, is_in, time_of, total_of
from exports.endpoints.cohort import summarise
from exports.endpoints.definitions import FIGURES
from tests.exports.endpoints.cohort19 import members_of_cohort19

OUT_OF = {"enrolled": 20, "treated": 20, "sustained_cr": 12, "relapsed": 17, "relapsed_after_dose_reduction": 4}


@pytest.fixture(scope="module")
def members():
    """The nineteen cases, and the first of them as if untreated."""
    cases = members_of_cohort19()
    first = cases[0]
    nothing = {name: None for name in first.outcome} | {"record_id": "MTP-999", "site": "MTP", "treated": False}
    return [*cases, type(first)(nothing, first.sex, first.discoid, None)]


def test_every_figure_that_is_defined_says_who_is_behind_it():
    assert BEHIND.keys() == FIGURES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("key", BEHIND)
def test_as_many_patients_are_behind_a_figure_as_it_says(key, members):
    summary = summarise(members)

    behind = [member for member in members if is_in(key, member)]

    assert len(behind) == total_of(key, summary=summary)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "n"), OUT_OF.items())
def test_a_figure_is_out_of_those_that_the_specification_names(key, n, members):
    assert sum(is_in(BEHIND[key].of or "enrolled", member) for member in members) == n


@pytest.mark.slow
@pytest.mark.parametrize("name", ["months_to_bor", "months_to_relapse", "cr_months"])
def test_the_times_behind_a_curve_are_those_it_was_made_of(name, members):
    curve = summarise(members)["kaplan_meier"][name]
    key = f"kaplan_meier.{name}"

    times = [time_of(key, member) for member in members if is_in(key, member)]

    assert sum(ended for _months, ended in times) == curve["events"]
    assert max(months for months, _ended in times) == pytest.approx(curve["timeline"][-1])


def test_a_figure_that_is_no_curve_has_no_times(members):
    with pytest.raises(KeyError):
        time_of("cr", members[0])
