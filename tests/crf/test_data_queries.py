"""Data queries: opened and closed by what the checks find, through whichever door the data change; and by people."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import translation

from crf import data_queries as service
from crf.entry import change_entry, create_entries, delete_entry, get_entry
from crf.forms import forms_by_name
from crf.loading import load_folder
from crf.models.data_query import DataQuery, DataQueryStep, StepKind
from crf.refusals import NotAllowed, NotFound
from registry.acting import Door, acting, the_system
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.conftest import at_once
from tests.crf.examples import patch, saved, submission

NOW = datetime(2024, 3, 12, 9, tzinfo=UTC)
DOSING = forms_by_name()["dosing"]
STOPPED = {"ae_action": "discontinued"}
ENDED = {"dose_end": "2020-03-01", "dose_stop_reason": "adverse_event"}


def changed(entry, changes, *, by):
    """Change a saved entry as it is now."""
    place = (entry.form, entry.record_id, entry.instance)
    with acting(by, door=Door.REST, reason="source document"):
        version = get_entry(*place, by=by).version
        submission = patch(entry.form.form_name(), changes)
        return change_entry(*place, submission, by=by, version=version, reason="source document")


def queries():
    """Return form, instance, variable, check and state of each query."""
    rows = DataQuery.objects.order_by("id")
    return [tuple(row) for row in rows.values_list("form", "instance", "variable", "check_code", "state")]


def steps():
    """Return kind, door and user name of each step, first to last."""
    return list(DataQueryStep.objects.order_by("id").values_list("kind", "door", "person__username"))


def step(query, kind, *, by, text="It is so in the source."):
    """Take a step of a query by hand."""
    with acting(by, door=Door.REST):
        return service.take_step(query.pk, kind, text=text, by=by, now=NOW)


@pytest.fixture
def monitor(sites):
    """A monitor of MTP."""
    return caller_now(make_person(Role.MONITOR, site="MTP", username="monitor.mtp"))


@pytest.fixture
def high_dose(coordinator, patient):
    """A dosing period of 15 mg, which soft checks find odd twice."""
    return saved("dosing", {"dose_mg": 15}, by=coordinator, record_id="MTP-001")


HIGH = ("dosing", 1, "dose_mg", "dose_over_10_mg")
FIRST = ("dosing", 1, "dose_mg", "first_dose_not_5_mg")


# What the checks ask


def test_whoever_saves_in_french_reads_french_and_the_query_is_kept_in_english(coordinator, patient):
    with translation.override("fr"):
        entry = saved("dosing", {"dose_mg": 15}, by=coordinator, record_id="MTP-001")
        told = [finding.message for finding in entry.warnings]

    assert told[0].startswith("La dose est de 15 mg")
    kept = DataQuery.objects.get(check_code="dose_over_10_mg").text
    assert kept == "The dose is 15 mg, above the 10 mg of this study. Check it against the prescription."


def test_a_warning_opens_a_query_on_its_variable_and_says_who_saved_through_which_door(coordinator, high_dose):
    assert queries() == [(*HIGH, "open"), (*FIRST, "open")]
    query = DataQuery.objects.get(check_code="dose_over_10_mg")
    assert (query.site_id, query.patient_id, query.origin, query.opened_by) == ("MTP", "MTP-001", "soft_check", None)
    assert query.text == high_dose.warnings[0].message
    assert steps() == [("opened_by_system", "rest", coordinator.username)] * 2


def test_an_entry_that_raises_nothing_opens_none(coordinator, patient):
    saved("dosing", by=coordinator, record_id="MTP-001")

    assert queries() == []


def test_a_query_closes_when_the_value_is_mended(coordinator, high_dose):
    changed(high_dose, {"dose_mg": 10}, by=coordinator)

    assert queries() == [(*HIGH, "closed"), (*FIRST, "open")]
    assert steps()[2:] == [("closed_by_system", "rest", coordinator.username)]
    assert DataQuery.objects.get(check_code="first_dose_not_5_mg").text.startswith("The first dose is 10 mg")


def test_a_query_opens_again_when_the_value_is_odd_again(coordinator, high_dose):
    changed(high_dose, {"dose_mg": 5}, by=coordinator)
    changed(high_dose, {"dose_mg": 15}, by=coordinator)

    assert queries() == [(*HIGH, "open"), (*FIRST, "open")]
    assert [kind for kind, _door, _person in steps()[4:]] == ["reopened_by_system"] * 2


def test_what_changes_nothing_leaves_the_queries_alone(coordinator, high_dose):
    changed(high_dose, {"dose_mg": 15}, by=coordinator)

    assert len(steps()) == 2


@pytest.fixture
def stopped(coordinator, patient):
    """An event that stopped the drug, with no dosing period that says so: a query is open."""
    event = saved("adverse_event", STOPPED, by=coordinator, record_id="MTP-001")
    assert queries() == [("adverse_event", 1, "ae_action", "stopped_without_dosing_period", "open")]
    return event


def mend_with_one_entry(coordinator, _folder):
    saved("dosing", ENDED, by=coordinator, record_id="MTP-001")


def mend_with_a_change(coordinator, _folder):
    changed(saved("dosing", by=coordinator, record_id="MTP-001"), ENDED, by=coordinator)


def mend_in_bulk(coordinator, _folder):
    entries = [
        submission("dosing", ENDED, record_id="MTP-001"),
        submission("adverse_event", record_id="MTP-001"),
    ]
    with acting(coordinator, door=Door.REST):
        create_entries(entries, by=coordinator)


def mend_from_files(_coordinator, folder):
    (folder / "dosing.csv").write_text(
        "record_id,dose_start,dose_end,dose_stop_reason,dose_mg,dose_schedule,dose_reason,antithrombotic\n"
        "MTP-001,2020-01-01,2020-03-01,adverse_event,5,daily,initiation,aspirin\n"
    )
    by = the_system()
    with acting(by, door=Door.COMMAND):
        load_folder(folder, by=by)


@pytest.mark.parametrize("mend", [mend_with_one_entry, mend_with_a_change, mend_in_bulk, mend_from_files])
def test_a_change_elsewhere_in_the_chart_closes_a_query_through_any_door(mend, coordinator, stopped, tmp_path):
    mend(coordinator, tmp_path)

    assert queries() == [("adverse_event", 1, "ae_action", "stopped_without_dosing_period", "closed")]
    assert steps()[-1][0] == "closed_by_system"


def test_a_change_elsewhere_in_the_chart_opens_a_query(coordinator, patient):
    saved(
        "lesion_assessment", {"lesion_date": "2020-01-01", "lesion_clearance": 50}, by=coordinator, record_id="MTP-001"
    )
    assert queries() == []

    saved("dosing", {"dose_start": "2020-02-01"}, by=coordinator, record_id="MTP-001")

    assert queries() == [("lesion_assessment", 1, "lesion_clearance", "baseline_clearance_not_0", "open")]


def test_a_date_of_birth_is_read_by_every_form_with_dates(coordinator, patient):
    saved("adverse_event", {"ae_start": "2020-02"}, by=coordinator, record_id="MTP-001")

    changed(patient, {"birth_date": "2021-01-01", "non_opposition_date": "2021-02-01"}, by=coordinator)

    assert ("adverse_event", 1, "ae_start", "before_birth", "open") in queries()


def test_deleting_an_entry_closes_its_queries_and_those_that_it_raised_elsewhere(coordinator, patient):
    saved(
        "lesion_assessment", {"lesion_date": "2020-01-01", "lesion_clearance": 50}, by=coordinator, record_id="MTP-001"
    )
    dose = saved("dosing", {"dose_start": "2020-02-01", "dose_mg": 15}, by=coordinator, record_id="MTP-001")
    assert [state for *_place, state in queries()] == ["open"] * 3

    with acting(coordinator, door=Door.REST, reason="entered twice"):
        delete_entry(DOSING, "MTP-001", 1, by=coordinator, version=dose.version, reason="entered twice")

    assert [state for *_place, state in queries()] == ["closed"] * 3


def test_deleting_a_patient_closes_every_query(coordinator, patient, high_dose, monitor):
    with acting(monitor, door=Door.REST):
        service.open_query(forms_by_name()["patient"], "MTP-001", 1, variable="sex", text="Check.", by=monitor, now=NOW)

    with acting(coordinator, door=Door.REST, reason="entered twice"):
        delete_entry(patient.form, "MTP-001", 1, by=coordinator, version=1, reason="entered twice")

    assert {state for *_place, state in queries()} == {"closed"}


def test_files_open_a_query_for_each_warning(sites, tmp_path):
    (tmp_path / "patient.csv").write_text("record_id,site\nMTP-001,MTP\nNIM-001,NIM\n")
    (tmp_path / "dosing.csv").write_text("record_id,dose_start,dose_mg\nMTP-001,2020-01-01,15\nNIM-001,2020-01-01,15\n")
    by = the_system()

    with acting(by, door=Door.COMMAND):
        load_folder(tmp_path, by=by)

    assert queries() == [(*HIGH, "open"), (*FIRST, "open")] * 2
    assert set(steps()) == {("opened_by_system", "command", None)}
    assert set(DataQuery.objects.values_list("site_id", "patient_id")) == {("MTP", "MTP-001"), ("NIM", "NIM-001")}


@pytest.mark.parametrize("number", [2, 5])
def test_the_queries_of_a_bulk_call_are_made_in_one_statement(number, coordinator, count):
    entries = [submission("patient", record_id=f"MTP-00{index}", site="MTP") for index in range(1, number + 1)]
    entries += [submission("dosing", {"dose_mg": 15}, record_id=f"MTP-00{index}") for index in range(1, number + 1)]

    with acting(coordinator, door=Door.REST):
        create_entries(entries, by=coordinator)

    assert count("crf_dataquery") == 2 * number
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT cmin::text) FROM crf_dataquery")  # the command of a transaction
        assert cursor.fetchone() == (1,)


def test_refused_entries_open_none(coordinator, patient):
    entries = [
        submission("dosing", {"dose_mg": 15}, record_id="MTP-001"),
        submission("dosing", {"dose_mg": 15, "dose_start": "2020-02-01"}, record_id="MTP-001"),
    ]
    with acting(coordinator, door=Door.REST):
        results = create_entries(entries, by=coordinator, atomic=False)

    assert [bool(result.problems) for result in results] == [False, True]
    assert {instance for _form, instance, *_rest in queries()} == {1}


# By hand


def test_an_answer_stays_while_the_data_raise_it_and_closes_when_they_do_not(coordinator, high_dose):
    query = DataQuery.objects.get(check_code="dose_over_10_mg")
    step(query, StepKind.ANSWERED, by=coordinator)

    changed(high_dose, {"dose_mg": 20}, by=coordinator)
    assert queries()[0] == (*HIGH, "answered")

    changed(high_dose, {"dose_mg": 10}, by=coordinator)
    assert queries()[0] == (*HIGH, "closed")


def test_what_was_closed_by_hand_stays_closed_for_the_same_values_and_opens_for_others(coordinator, monitor, high_dose):
    query = DataQuery.objects.get(check_code="dose_over_10_mg")
    step(query, StepKind.CLOSED, by=monitor)

    schedule = next(code for code in DOSING.variables()["dose_schedule"].codes if code != "daily")
    changed(high_dose, {"dose_schedule": schedule}, by=coordinator)
    assert queries()[0] == (*HIGH, "closed")

    changed(high_dose, {"dose_mg": 20}, by=coordinator)
    assert queries()[0] == (*HIGH, "open")


def test_every_step_keeps_person_time_and_words(coordinator, monitor, high_dose):
    query = DataQuery.objects.get(check_code="dose_over_10_mg")

    step(query, StepKind.ANSWERED, by=coordinator, text="The prescription says so.")
    step(query, StepKind.REOPENED, by=monitor, text="Which one?")
    step(query, StepKind.CLOSED, by=monitor, text="")

    taken = [(found.kind, found.text, found.person.username, found.at) for found in service.steps_of(query)[1:]]
    assert taken == [
        ("answered", "The prescription says so.", coordinator.username, NOW),
        ("reopened", "Which one?", monitor.username, NOW),
        ("closed", "", monitor.username, NOW),
    ]


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("open", {StepKind.REOPENED}),
        ("answered", set()),
        ("closed", {StepKind.ANSWERED, StepKind.CLOSED}),
    ],
)
def test_a_step_that_does_not_follow_is_refused(state, refused, data_manager, high_dose):
    for kind in service.STEPS:
        query = DataQuery.objects.get(check_code="dose_over_10_mg")
        query.state, query.closed_at, query.closed_by = state, NOW if state == "closed" else None, None
        query.save()
        if kind in refused:
            with pytest.raises(service.WrongState):
                step(query, kind, by=data_manager)
        else:
            assert step(query, kind, by=data_manager).state == service.STEPS[kind].leads_to


MAY = {
    "open": {Role.INVESTIGATOR, Role.DATA_MANAGER, Role.MONITOR},
    StepKind.ANSWERED: {Role.COORDINATOR, Role.DATA_MANAGER},
    StepKind.CLOSED: {Role.DATA_MANAGER, Role.MONITOR},
    StepKind.REOPENED: {Role.INVESTIGATOR, Role.DATA_MANAGER, Role.MONITOR},
}


@pytest.mark.parametrize("action", MAY)
@pytest.mark.parametrize("role", Role)
def test_who_may_do_what_to_queries_is_said_by_the_roles(role, action, coordinator, high_dose):
    by = caller_now(make_person(role, site="MTP", username="somebody"))
    query = DataQuery.objects.get(check_code="dose_over_10_mg")
    if action == StepKind.REOPENED:
        query.state = "answered"
        query.save()

    def act():
        if action == "open":
            with acting(by, door=Door.REST):
                service.open_query(DOSING, "MTP-001", 1, variable="dose_mg", text="Why?", by=by, now=NOW)
        else:
            step(query, action, by=by)

    if role in MAY[action]:
        act()
    else:
        with pytest.raises(NotAllowed):
            act()
        assert len(steps()) == 2


@pytest.mark.parametrize("role", [Role.DATA_MANAGER, Role.MONITOR])
def test_a_query_of_another_site_is_not_there(role, high_dose):
    by = caller_now(make_person(role, site="NIM", username="somebody"))
    query = DataQuery.objects.get(check_code="dose_over_10_mg")

    with pytest.raises(NotFound):
        step(query, StepKind.CLOSED, by=by)
    with pytest.raises(NotFound), acting(by, door=Door.REST):
        service.open_query(DOSING, "MTP-001", 1, variable="dose_mg", text="Why?", by=by, now=NOW)


@pytest.mark.parametrize("instance", [2, 3])
def test_a_query_needs_an_entry(instance, monitor, high_dose):
    with pytest.raises(NotFound), acting(monitor, door=Door.REST):
        service.open_query(DOSING, "MTP-001", instance, variable="dose_mg", text="Why?", by=monitor, now=NOW)


def test_a_query_needs_a_variable_of_the_form(monitor, high_dose):
    with pytest.raises(service.UnknownVariable), acting(monitor, door=Door.REST):
        service.open_query(DOSING, "MTP-001", 1, variable="ae_grade", text="Why?", by=monitor, now=NOW)


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_of_two_who_close_at_once_one_is_told_that_it_is_closed(data_manager, coordinator):
    saved("patient", by=coordinator)
    saved("dosing", {"dose_mg": 15}, by=coordinator, record_id="MTP-001")
    query = DataQuery.objects.get(check_code="dose_over_10_mg")

    def close():
        step(query, StepKind.CLOSED, by=data_manager)

    outcomes = at_once(close, close)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "WrongState"]
    assert [kind for kind, *_rest in steps()].count("closed") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_two_changes_at_once_that_end_and_raise_a_query_leave_it_as_the_data_are(coordinator):
    saved("patient", by=coordinator)
    saved("adverse_event", STOPPED, by=coordinator, record_id="MTP-001")
    dose = saved("dosing", by=coordinator, record_id="MTP-001")

    outcomes = at_once(
        lambda: changed(dose, ENDED, by=coordinator),
        lambda: saved("adverse_event", STOPPED, by=coordinator, record_id="MTP-001"),
    )

    assert [type(outcome).__name__ for outcome in outcomes] == ["Entry", "Entry"]
    # Whichever came first: the dose ends for an event, so neither event has a question left.
    assert {state for *_place, state in queries()} <= {"closed"}


# What the database keeps


def test_queries_and_steps_leave_a_history(high_dose):
    with connection.cursor() as cursor:
        for table in ("crf_dataqueryhistory", "crf_dataquerystephistory"):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE pgh_context->>'door' = 'rest'")  # noqa: S608 -- constants
            assert cursor.fetchone() == (2,)


@pytest.mark.parametrize("sql", ["UPDATE crf_dataquerystep SET text = 'x'", "DELETE FROM crf_dataquerystep"])
def test_the_application_changes_no_step(sql, high_dose):
    with pytest.raises(Exception, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(sql)


def test_the_age_of_a_query_ends_when_it_is_closed(high_dose, monitor):
    query = DataQuery.objects.get(check_code="dose_over_10_mg")

    closed = step(query, StepKind.CLOSED, by=monitor)

    assert closed.closed_at - NOW == timedelta(0)
