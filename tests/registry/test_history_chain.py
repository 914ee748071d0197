"""What is edited, removed or slipped into the history is named, whoever did it (negative test 21)."""

import json
from io import StringIO

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from crf.forms import forms_by_name
from registry.acting import Door, acting, acting_as_the_system
from registry.history import content_of, history_models
from registry.history_chain import broken_chains, make_checkpoint
from registry.models import HistoryChain
from tests.conftest import as_owner
from tests.crf.conftest import at_once
from tests.crf.examples import saved

pytestmark = pytest.mark.slow


@pytest.fixture
def chart(transactional_db, coordinator):
    """A patient with two doses and an adverse event, committed; return the record id."""
    patient = saved("patient", by=coordinator)
    for form in ("dosing", "adverse_event"):
        saved(form, by=coordinator, record_id=patient.record_id)
    return patient.record_id


def breaks():
    with acting_as_the_system(door=Door.COMMAND):
        return [(found.chain, found.position, found.table, found.what) for found in broken_chains()]


def tamper(*statements):
    """Change the history as the owner of its tables can, once the triggers that refuse it are switched off."""
    with as_owner() as owner:
        for model in history_models():
            owner.execute(f"ALTER TABLE {model._meta.db_table} DISABLE TRIGGER USER")
        for statement in statements:
            assert owner.execute(statement).rowcount == 1, statement
        for model in history_models():
            owner.execute(f"ALTER TABLE {model._meta.db_table} ENABLE TRIGGER USER")


def test_a_history_as_it_was_written_is_whole(chart):
    assert breaks() == []


def test_everything_about_a_patient_is_one_chain_without_gaps(chart):
    links = []
    for model in history_models():
        links += model.objects.filter(pgh_chain=chart).values_list("pgh_seq", "pgh_obj_id")

    assert sorted(place for place, _key in links) == [1, 2, 3]
    assert HistoryChain.objects.get(chain=chart).length == 3


@pytest.mark.parametrize(
    "assignment",
    ["dose_mg = 3", "pgh_created_at = now()", 'pgh_context = \'{"username": "other"}\'', "pgh_label = 'update'"],
)
def test_an_edited_row_is_named(chart, assignment):
    tamper(f"UPDATE crf_dosinghistory SET {assignment}")  # noqa: S608 -- constants of this test

    ((chain, position, table, what),) = breaks()

    assert (chain, position, table) == (chart, 2, "crf_dosinghistory")
    assert what.startswith("edited")


def test_a_row_removed_from_the_middle_is_named_by_the_one_after_it(chart):
    tamper("DELETE FROM crf_dosinghistory")

    ((chain, position, table, what),) = breaks()

    assert (chain, position, table) == (chart, 2, None)
    assert what.startswith("removed, the next one is crf_adverseeventhistory")


def test_a_row_removed_from_the_end_is_missed(chart):
    tamper("DELETE FROM crf_adverseeventhistory")

    assert breaks() == [(chart, 3, None, "removed from the end of the chain")]


def test_a_row_slipped_in_is_named(chart):
    columns = [field.column for field in forms_by_name()["dosing"]._meta.local_fields]
    copied = ", ".join(f'"{name}"' for name in [*columns, "pgh_obj_id", "pgh_label", "pgh_context", "pgh_chain"])
    tamper(
        f"INSERT INTO crf_dosinghistory ({copied}, pgh_created_at, pgh_seq, pgh_digest)"  # noqa: S608 -- columns
        f" SELECT {copied}, now(), 4, pgh_digest FROM crf_dosinghistory"
    )

    ((chain, position, table, _what),) = breaks()

    assert (chain, position, table) == (chart, 4, "crf_dosinghistory")


def test_a_chain_removed_with_its_end_is_found_by_a_checkpoint_alone(chart, tmp_path):
    file = tmp_path / "checkpoint.json"
    call_command("checkpoint_history", str(file), stdout=StringIO())
    tamper(
        "DELETE FROM crf_adverseeventhistory",
        "UPDATE registry_historychain SET length = 2, digest = (SELECT pgh_digest FROM crf_dosinghistory)"  # noqa: S608
        f" WHERE chain = '{chart}'",
    )
    out = StringIO()

    assert breaks() == []
    with pytest.raises(CommandError, match="1 of"):
        call_command("verify_history", checkpoint=file, stdout=out)
    assert out.getvalue() == f"{chart}, position 3: no row: removed since the checkpoint\n"


def test_a_checkpoint_that_was_changed_is_refused(chart, tmp_path):
    file = tmp_path / "checkpoint.json"
    call_command("checkpoint_history", str(file), stdout=StringIO())
    told = json.loads(file.read_text())
    told["chains"][chart] = [1, "00"]
    file.write_text(json.dumps(told))

    with pytest.raises(CommandError, match="was changed after it was signed"):
        call_command("verify_history", checkpoint=file)


def test_a_checkpoint_of_another_installation_is_refused(chart, tmp_path, settings):
    with acting_as_the_system(door=Door.COMMAND):
        checkpoint = make_checkpoint(now=timezone.now())
    file = tmp_path / "checkpoint.json"
    file.write_bytes(msgspec.json.encode(checkpoint))
    settings.SECRET_KEY = "another-secret-of-another-installation"

    with pytest.raises(CommandError, match="was not signed with the key of this installation"):
        call_command("verify_history", checkpoint=file)


def test_writers_of_one_patient_at_the_same_instant_leave_one_whole_chain(chart, coordinator):
    def write():
        saved("adverse_event", by=coordinator, record_id=chart)

    assert at_once(*[write] * 4) == [None] * 4

    assert HistoryChain.objects.get(chain=chart).length == 7
    assert breaks() == []


def test_ends_of_chains_have_room_to_change_in_their_page(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = 'registry_historychain'::regclass")

        assert cursor.fetchone() == (["fillfactor=50"],)


ROWS_OF = (
    "INSERT INTO crf_adverseevent (record_id, site_id, instance, status, version, missing, locked, ae_term)"
    " SELECT %s, 'MTP', number, 0, 1, '{}', false, 'Fatigue' FROM"
)


def test_a_transaction_that_stays_open_holds_up_writers_of_its_own_patient_alone(chart, coordinator):
    other = saved("patient", by=coordinator).record_id

    def write(record_id, *, instance):
        with acting(coordinator, door=Door.REST), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            cursor.execute(f"{ROWS_OF} (VALUES (%s)) AS one (number)", [record_id, instance])

    with acting(coordinator, door=Door.REST), connection.cursor() as cursor:
        cursor.execute(f"{ROWS_OF} (VALUES (8)) AS one (number)", [chart])
        of_another, of_the_same = at_once(
            lambda: write(other, instance=9),
            lambda: write(chart, instance=9),
        )

    assert of_another is None
    assert of_the_same.__cause__.sqlstate == "55P03"  # PostgreSQL: lock_not_available
    assert breaks() == []


def test_a_statement_of_no_one_and_two_rows_is_linked_alike(chart, coordinator):
    """The two ways of linking, by one row and by many, give digests of one rule; no row is no link."""
    before = HistoryChain.objects.get(chain=chart).length

    with acting(coordinator, door=Door.REST), connection.cursor() as cursor:
        for numbers in ([], [10], [11, 12], [13]):
            cursor.execute(f"{ROWS_OF} unnest(%s::int[]) AS number", [chart, numbers])

    assert HistoryChain.objects.get(chain=chart).length == before + 4
    assert breaks() == []


def test_many_rows_of_many_patients_are_linked_each_in_its_chain(chart, coordinator):
    """Patients with a chain and patients whose chain is new, some with several rows, in no order."""
    for record_id in ("MTP-003", "MTP-010", "MTP-1000"):
        saved("patient", by=coordinator, record_id=record_id)
    with as_owner() as owner:  # as if nothing had ever been written about them
        owner.execute("ALTER TABLE crf_patienthistory DISABLE TRIGGER USER")
        owner.execute("DELETE FROM crf_patienthistory WHERE record_id = ANY('{MTP-003,MTP-1000}')")
        owner.execute("ALTER TABLE crf_patienthistory ENABLE TRIGGER USER")
        owner.execute("DELETE FROM registry_historychain WHERE chain = ANY('{MTP-003,MTP-1000}')")
    before = dict(HistoryChain.objects.values_list("chain", "length"))
    rows = [["MTP-1000", 1], [chart, 20], ["MTP-003", 2], ["MTP-010", 1], ["MTP-003", 1], [chart, 10], ["MTP-003", 3]]

    with acting(coordinator, door=Door.REST), connection.cursor() as cursor:
        columns = "record_id, site_id, instance, status, version, missing, locked, ae_term"
        rows_of = "SELECT record_id, 'MTP', number, 0, 1, '{}', false, 'Fatigue' FROM"
        given = "unnest(%s::text[], %s::int[]) AS given (record_id, number)"
        record_ids, numbers = ([row[place] for row in rows] for place in (0, 1))
        cursor.execute(f"INSERT INTO crf_adverseevent ({columns}) {rows_of} {given}", [record_ids, numbers])

    after = dict(HistoryChain.objects.values_list("chain", "length"))
    added = {chain: length - before.get(chain, 0) for chain, length in after.items() if length != before.get(chain)}
    assert added == {chart: 2, "MTP-003": 3, "MTP-010": 1, "MTP-1000": 1}
    assert breaks() == []


def test_a_row_is_whole_whatever_way_its_writer_spells_moments_and_dates(chart, coordinator):
    with acting(coordinator, door=Door.REST), connection.cursor() as cursor:
        cursor.execute("SET LOCAL datestyle = 'German'")
        cursor.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        cursor.execute("UPDATE crf_dosing SET dose_start = '2021-02-03', version = 2 WHERE record_id = %s", [chart])
        cursor.execute(f"{ROWS_OF} (VALUES (10), (11)) AS several (number)", [chart])

    assert HistoryChain.objects.get(chain=chart).length == 6
    assert breaks() == []


@pytest.mark.parametrize(
    ("row", "other"),
    [
        ({"start": "2021", "stop": None}, {"start": None, "stop": "2021"}),
        ({"start": "1',stop='2", "stop": None}, {"start": "1", "stop": "2"}),
        ({"start": "", "stop": None}, {"start": None, "stop": None}),
        ({"start": "\\", "stop": None}, {"start": "\\\\", "stop": None}),
    ],
)
def test_rows_that_differ_say_something_else(db, row, other):
    assert what_says(row) != what_says(other)


def test_a_column_that_is_added_changes_nothing_for_rows_without_it(db):
    assert what_says({"start": "2021", "a_new_one": None}) == what_says({"start": "2021"})


def what_says(row):
    """Return the text that the digest of a history row with these values is over."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {content_of(dict.fromkeys(row, '%s::text'))}", [row[name] for name in sorted(row)])
        return cursor.fetchone()[0]
