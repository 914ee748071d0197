"""Tests of crf.overview: counts of sites, and the grid of patients by forms."""

import pytest
from django.utils import timezone

from crf import attestations, locks, overview
from crf.data_queries import open_query
from crf.entry import delete_entry
from crf.forms import forms_by_name
from crf.models.attestation import Meaning
from crf.overview import Asked, Cell, CellState, Totals, grid_of_site, totals_of_sites
from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import caller_now, make_person, see_everything
from tests.crf.examples import saved

NOW = timezone.now()


def of_patients(count, *, by, **place):
    return [saved("patient", by=by, **place).record_id for _number in range(count)]


def ids(asked, site="MTP"):
    return [row.record_id for row in grid_of_site(site, asked).rows]


def asked_about(record_id, form="patient", instance=1, *, by):
    with acting(by, door=Door.REST):
        return open_query(forms_by_name()[form], record_id, instance, variable=VARIABLE[form], text="?", by=by, now=NOW)


VARIABLE = {"patient": "sex", "dosing": "dose_mg"}


def test_a_site_without_patients_has_counts_of_nothing(sites):
    assert totals_of_sites(["MTP", "NIM"]) == {"MTP": Totals(), "NIM": Totals()}


def test_totals_count_patients_entries_and_open_queries_of_each_site_apart(data_manager):
    saved("patient", by=data_manager, site="MTP")
    saved("dosing", {"dose_mg": 5}, by=data_manager, record_id="MTP-001", status="incomplete")
    saved("lesion_assessment", by=data_manager, record_id="MTP-001", status="unverified")
    saved("patient", by=data_manager, site="NIM")
    asked_about("NIM-001", by=data_manager)

    found = totals_of_sites(["MTP", "NIM"])

    assert found["MTP"] == Totals(patients=1, entries=3, complete=1, incomplete=1)
    assert found["NIM"] == Totals(patients=1, entries=1, complete=1, queries=1)


def test_totals_leave_out_what_is_deleted(data_manager):
    (first, _second) = of_patients(2, by=data_manager, site="MTP")
    with acting(data_manager, door=Door.REST):
        delete_entry(forms_by_name()["patient"], first, 1, by=data_manager, version=1, reason="wrong patient")

    see_everything()
    assert totals_of_sites(["MTP"])["MTP"] == Totals(patients=1, entries=1, complete=1)
    assert ids(Asked()) == ["MTP-002"]


def test_a_cell_tells_the_entry_that_is_furthest_behind(coordinator):
    saved("patient", by=coordinator)
    for number, status in enumerate(("complete", "incomplete", "unverified")):
        start = f"202{number}-01-01"
        changes = {"dose_start": start, "dose_end": start}
        saved("dosing", {**changes, "dose_stop_reason": "other"}, by=coordinator, record_id="MTP-001", status=status)

    (row,) = grid_of_site("MTP", Asked()).rows

    assert row.cells["dosing"] == Cell(CellState.INCOMPLETE, 3)
    assert row.cells["adverse_event"] == Cell(CellState.NONE)
    assert list(row.cells) == ["patient", "prior_treatment", "dosing", "lesion_assessment", "adverse_event"]


def test_locks_verifications_signatures_and_queries_are_counted_by_entry(coordinator, data_manager):
    saved("patient", by=coordinator)
    monitor = caller_now(make_person(Role.MONITOR, site="MTP"))
    investigator = caller_now(make_person(Role.INVESTIGATOR, site="MTP"))
    patient = forms_by_name()["patient"]
    asked_about("MTP-001", by=data_manager)
    with acting(monitor, door=Door.REST):
        attestations.verify(patient, "MTP-001", 1, version=1, by=monitor, now=NOW)
    with acting(investigator, door=Door.REST):
        for meaning in Meaning:
            attestations.sign_entry(patient, "MTP-001", 1, version=1, meaning=meaning, by=investigator, now=NOW)
    with acting(data_manager, door=Door.REST):
        locks.lock(locks.Target(record_id="MTP-001"), reason="cleaned", by=data_manager, now=NOW)

    see_everything()
    (row,) = grid_of_site("MTP", Asked()).rows
    assert row.cells["patient"] == Cell(CellState.COMPLETE, 1, locked=1, verified=1, signed=1, queries=1)
    assert row.queries == 1
    for state in (CellState.LOCKED, CellState.VERIFIED, CellState.SIGNED, CellState.QUERIES):
        assert ids(Asked(state=state)) == ["MTP-001"]
        assert ids(Asked(state=state, form="dosing")) == []


def test_record_ids_are_in_the_order_of_their_numbers(coordinator):
    for record_id in ("MTP-1000", "MTP-999", "MTP-020"):
        saved("patient", by=coordinator, record_id=record_id)

    assert ids(Asked()) == ["MTP-020", "MTP-999", "MTP-1000"]
    assert ids(Asked(descending=True)) == ["MTP-1000", "MTP-999", "MTP-020"]


def test_a_form_sorts_by_what_is_furthest_behind_then_by_number(coordinator):
    of_patients(4, by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    saved("dosing", by=coordinator, record_id="MTP-002", status="incomplete")
    saved("dosing", by=coordinator, record_id="MTP-003", status="unverified")

    assert ids(Asked(sort="dosing")) == ["MTP-004", "MTP-002", "MTP-003", "MTP-001"]
    assert ids(Asked(sort="dosing", descending=True)) == ["MTP-001", "MTP-003", "MTP-002", "MTP-004"]


def test_open_queries_sort_by_their_number(coordinator, data_manager):
    of_patients(2, by=coordinator)
    asked_about("MTP-002", by=data_manager)

    see_everything()
    assert ids(Asked(sort=overview.QUERIES, descending=True)) == ["MTP-002", "MTP-001"]
    assert ids(Asked(sort=overview.QUERIES)) == ["MTP-001", "MTP-002"]


@pytest.mark.parametrize(
    ("state", "form", "expected"),
    [
        ("none", "dosing", ["MTP-003"]),
        ("incomplete", "dosing", ["MTP-002"]),
        ("incomplete", None, ["MTP-002"]),
        ("incomplete", "patient", []),
        ("complete", "dosing", ["MTP-001"]),
        ("complete", None, ["MTP-001", "MTP-002", "MTP-003"]),
        ("unverified", None, []),
        ("locked", None, []),
        ("queries", None, []),
    ],
)
def test_a_grid_is_filtered_by_the_state_of_one_form_or_of_any(coordinator, state, form, expected):
    of_patients(3, by=coordinator)
    saved("dosing", by=coordinator, record_id="MTP-001")
    saved("dosing", by=coordinator, record_id="MTP-002", status="incomplete")

    grid = grid_of_site("MTP", Asked(state=CellState(state), form=form))

    assert [row.record_id for row in grid.rows] == expected
    assert grid.matched == len(expected)


@pytest.mark.parametrize(("text", "found"), [("01", 3), ("mtp-01", 3), ("MTP-011", 1), ("%", 0), ("_", 0), ("NIM", 0)])
def test_a_search_finds_the_text_in_record_ids_and_nothing_is_a_wildcard(coordinator, text, found):
    for number in (10, 11, 12, 20):
        saved("patient", by=coordinator, record_id=f"MTP-{number:03d}")

    assert len(ids(Asked(search=text))) == found


def test_pages_follow_each_other_without_gap_or_repeat(coordinator, monkeypatch):
    monkeypatch.setattr(overview, "PAGE", 2)
    of_patients(5, by=coordinator)

    pages = [grid_of_site("MTP", Asked(page=page)) for page in (1, 2, 3)]

    assert [row.record_id for page in pages for row in page.rows] == [f"MTP-00{n}" for n in range(1, 6)]
    assert [(page.matched, page.first, page.last) for page in pages] == [(5, 1, 2), (5, 3, 4), (5, 5, 5)]


def test_a_grid_has_only_the_patients_of_its_site(data_manager):
    saved("patient", by=data_manager, site="MTP")
    saved("patient", by=data_manager, site="NIM")

    assert ids(Asked(), "NIM") == ["NIM-001"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_grid_takes_one_query_whatever_the_patients(coordinator, django_assert_num_queries, count):
    of_patients(count, by=coordinator)

    with django_assert_num_queries(1):
        assert len(grid_of_site("MTP", Asked(sort="dosing", state=CellState.COMPLETE)).rows) == count
