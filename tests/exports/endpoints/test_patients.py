import pytest
from django.core.management import call_command

from exports.endpoints.behind import BEHIND, is_in
from exports.endpoints.patients import chart_of, patients_behind
from exports.recompute import recompute_stale
from tests.conftest import SITES, seeing
from tests.crf.examples import saved
from tests.exports.endpoints.charts import member_of
from tests.exports.endpoints.cohort19 import FOLDER, members_of_cohort19

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture
def cohort19(sites, data_manager):
    """The nineteen cases and an untreated patient of unknown sex, stored; returned as the rules give them."""
    call_command("load_forms", str(FOLDER))
    saved("patient", {"sex": None}, by=data_manager, site="NIM", record_id="NIM-999", missing={"sex": "UNK"})
    recompute_stale()
    return [*members_of_cohort19(), member_of(chart_of("NIM-999"))]


def named(members):
    return sorted(member.outcome["record_id"] for member in members)


def test_the_database_finds_those_behind_each_figure_and_the_others_whom_it_is_out_of(cohort19):
    for key, behind in BEHIND.items():
        of = [member for member in cohort19 if behind.of is None or is_in(behind.of, member)]
        expected = [member for member in of if is_in(key, member)]

        found = patients_behind(key, counted=True, sites=SITES, at_most=100)
        others = patients_behind(key, counted=False, sites=SITES, at_most=100)

        assert (key, named(found)) == (key, named(expected))
        assert (key, named([*found, *others])) == (key, named(of))


def test_pages_are_in_the_order_of_what_is_measured(cohort19):
    pages = [patients_behind("months_to_bor", counted=True, sites=SITES, at_most=6, after=n) for n in (0, 6, 12)]

    months = [member.outcome["months_to_bor"] for page in pages for member in page]

    assert [len(page) for page in pages] == [6, 6, 5]
    assert months == sorted(months)


def test_only_patients_of_the_sites_are_found_and_only_those_that_the_transaction_sees(cohort19):
    at_nimes = patients_behind("treated", counted=True, sites=["NIM"], at_most=100)
    with seeing("STR"):
        unseen = patients_behind("treated", counted=True, sites=["NIM"], at_most=100)
        chart = chart_of("NIM-999")

    assert {member.outcome["site"] for member in at_nimes} == {"NIM"}
    assert (unseen, chart) == ([], None)
