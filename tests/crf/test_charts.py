from unittest.mock import Mock

import pytest

from crf.charts import Lookup, known_patients, look_up, look_up_ahead
from crf.entry import create_entries
from crf.forms import forms_by_name
from registry.acting import Door, acting
from registry.database import fetch_all
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved, submission

pytestmark = pytest.mark.django_db

DOSING = forms_by_name()["dosing"]


@pytest.mark.parametrize(("every_number", "taken"), [(True, {2, 5}), (False, {5})])
def test_all_numbers_in_use_are_known_or_the_highest_alone(every_number, taken):
    by = caller_now(make_person(Role.COORDINATOR, site="MTP"))
    record_id = saved("patient", by=by).record_id
    saved("dosing", {"dose_start": "2020-01-01", "dose_end": "2020-01-31"}, by=by, record_id=record_id, instance=2)
    saved("dosing", {"dose_start": "2020-02-01", "dose_end": "2020-02-20"}, by=by, record_id=record_id, instance=5)

    known = look_up(Lookup([record_id], forms=[DOSING], sites={"MTP"}, hold=False, every_number=every_number))

    assert known[record_id].taken == {DOSING: taken}


def test_a_patient_without_an_entry_of_the_form_has_no_number_in_use():
    by = caller_now(make_person(Role.COORDINATOR, site="MTP"))
    record_id = saved("patient", by=by).record_id

    known = known_patients([record_id], forms=[DOSING], sites={"MTP"}, hold=False)

    assert known[record_id].taken == {}


def test_patients_looked_up_ahead_are_those_that_are_found_at_once():
    by = caller_now(make_person(Role.COORDINATOR, site="MTP"))
    for record_id in ("MTP-001", "MTP-002"):
        saved("patient", {"birth_date": "1970-05-01"}, by=by, record_id=record_id)
        saved("dosing", by=by, record_id=record_id, instance=3)
    lookup = Lookup(["MTP-002", "MTP-001", "MTP-003"], forms=[DOSING], sites={"MTP"}, hold=True)

    with acting(by, door=Door.REST):
        ahead = look_up_ahead(lookup)
        at_once = look_up(lookup)
        assert ahead() == at_once == ahead()

    assert [(name, known.taken) for name, known in at_once.items()] == [
        ("MTP-001", {DOSING: {3}}),
        ("MTP-002", {DOSING: {3}}),
    ]


@pytest.mark.parametrize(("patients", "keeps"), [(["MTP-001"], True), (["MTP-001", "MTP-002"], False)])
def test_only_the_question_for_one_patient_keeps_its_plan(patients, keeps, data_manager, monkeypatch):
    """A plan that was made for few rows would look through all rows for each of many patients."""
    for record_id in patients:
        saved("patient", by=data_manager, record_id=record_id)
    asked = Mock(wraps=fetch_all)
    monkeypatch.setattr("crf.charts.fetch_all", asked)

    known = known_patients(patients, forms=[DOSING], sites={"MTP"}, hold=False)

    assert sorted(known) == patients
    assert asked.call_args.kwargs == {"prepare": keeps}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_patients_that_nothing_is_known_of_yet_are_found_by_their_key(data_manager):
    """Right after many are enrolled the planner guesses: it must not read a site, and compare each with all wanted."""
    names = [f"MTP-{number:04d}" for number in range(1, 1001)]
    patients = [submission("patient", record_id=name, site="MTP") for name in names]
    with acting(data_manager, door=Door.REST):
        create_entries(patients, by=data_manager)
    sql, parameters = Lookup(names, forms=[DOSING], sites={"MTP"}, hold=True).statements[0]

    with acting(data_manager, door=Door.REST):
        plan = "\n".join(line for (line,) in fetch_all((f"EXPLAIN {sql}", parameters), prepare=False)[0])

    assert "Index Cond: (record_id = wanted.record_id)" in plan
