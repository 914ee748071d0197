import contextlib
import threading

import psycopg
import pytest
from django.db import (
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from registry.database import commit, execute, fetch_all, fetch_row
from registry.models import Site
from tests.conftest import as_owner, make_person
from tests.registry.statements import BACKEND, INSERT, prepared_here, there, wait_until_it_sleeps

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_statement_that_is_run_again_gives_the_row_of_its_new_parameters():
    first = fetch_row(BACKEND, [1])

    second = fetch_row(BACKEND, [2])

    assert first is not None
    assert second == (first[0], 2)


def test_values_come_back_as_they_went():
    sent = [None, True, -1, 2.5, "é \U0001f469 ' \\ %", b"\x00\xff", ["a", 'b"c', None]]
    types = ["text", "boolean", "int", "numeric", "text", "bytea", "text[]"]

    found = fetch_row(f"SELECT {', '.join(f'%s::{kind}' for kind in types)}", sent)

    assert found == tuple(sent)


def test_several_statements_give_the_rows_of_each_whether_they_ran_before_or_not():
    numbers = "SELECT n FROM generate_series(1, %s::int) AS series (n)"
    fetch_row(numbers, [1])

    found = fetch_all((BACKEND, [7]), (numbers, [3]), ("SELECT %s::text", ["new"]), (numbers, [0]), (numbers, [2]))

    assert [len(rows) for rows in found] == [1, 3, 1, 0, 2]
    assert (found[0][0][1], found[2]) == (7, [("new",)])


def test_a_statement_that_failed_can_be_run_again_after_its_transaction():
    with pytest.raises(Exception, match="division by zero"), transaction.atomic():
        fetch_row("SELECT 1 / %s::int", [0])

    assert fetch_row("SELECT 1 / %s::int", [1]) == (1,)


def test_the_first_that_fails_ends_a_message_and_none_of_it_is_saved():
    insert = "INSERT INTO registry_site (code, name) VALUES (%s, %s)"

    with pytest.raises(IntegrityError) as refused:
        fetch_all((insert, ["AAA", "A"]), (insert, ["AAA", "again"]), (insert, ["BBB", "B"]))

    assert refused.value.__cause__.diag.constraint_name == "registry_site_pkey"
    assert not Site.objects.filter(code__in=["AAA", "BBB"]).exists()
    assert fetch_row(BACKEND, [1])[1] == 1


def test_what_was_written_in_a_transaction_is_undone_with_it():
    with transaction.atomic():
        execute("INSERT INTO registry_site (code, name) VALUES (%s, %s)", ["AAA", "A"])
        there = Site.objects.filter(code="AAA").exists()
        transaction.set_rollback(True)

    assert there
    assert not Site.objects.filter(code="AAA").exists()


def test_a_transaction_that_is_to_be_undone_is_not_committed():
    with transaction.atomic():
        execute(INSERT, ["AAA", "A"])
        transaction.set_rollback(True)
        commit()

    assert there("AAA") == set()


def test_a_commit_after_a_failure_that_was_passed_over_says_that_nothing_was_saved():
    def passing_over():
        with transaction.atomic():
            execute(INSERT, ["AAA", "A"])
            with contextlib.suppress(IntegrityError):
                execute(INSERT, ["AAA", "again"])
            commit()

    with pytest.raises(InternalError, match="nothing of this was saved"):
        passing_over()

    assert there("AAA") == set()


def test_a_statement_is_prepared_once_and_stays_so_after_a_rollback():
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'ecrf%%' AND statement = %s"
    for _time in range(2):
        with transaction.atomic():
            fetch_row(BACKEND, [1])
            transaction.set_rollback(True)

    with connection.cursor() as cursor:
        cursor.execute(prepared, [BACKEND.replace("%s", "$1")])
        assert cursor.fetchone() == (1,)


def test_a_statement_that_fails_again_and_again_is_prepared_once():
    connection.close()
    for _time in range(5):
        with pytest.raises(DataError), transaction.atomic():
            fetch_row("SELECT 1 / %s::int", [0])

    assert prepared_here() == 1


def test_a_statement_that_is_not_to_be_prepared_is_not():
    connection.close()

    assert fetch_all((BACKEND, [1]), prepare=False)[0][0][1] == 1
    assert prepared_here() == 0


def test_a_table_that_was_changed_fails_one_request_and_not_those_after_it():
    question = "SELECT name FROM registry_site WHERE code = %s"
    fetch_row(question, ["MTP"])
    with as_owner() as owner:
        owner.execute("ALTER TABLE registry_site ALTER name TYPE varchar(201)")
    try:
        with pytest.raises(NotSupportedError, match="cached plan"):
            fetch_row(question, ["MTP"])
        again = fetch_row(question, ["none"])
    finally:
        with as_owner() as owner:
            owner.execute("ALTER TABLE registry_site ALTER name TYPE varchar(200)")

    assert again is None


def test_without_prepared_statements_the_answers_are_the_same(settings):
    settings.PREPARE_STATEMENTS = False
    connection.close()

    assert fetch_all(("SELECT %s::text", ["a"]), ("SELECT %s::int", [1])) == [[("a",)], [(1,)]]
    assert fetch_row("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE %s", ["ecrf%"]) == (0,)


def test_a_value_that_cannot_be_sent_is_refused_and_the_connection_stays():
    before = fetch_row(BACKEND, [1])

    with pytest.raises(DataError, match="NUL"):
        fetch_row("SELECT %s::text", ["a\x00b"])

    assert fetch_row(BACKEND, [1]) == before


def test_what_is_no_statement_is_refused_and_the_connection_stays():
    before = fetch_row(BACKEND, [1])

    with pytest.raises(ProgrammingError, match="syntax error"):
        fetch_all(("SELEKT %s", [1]), (BACKEND, [1]))

    assert fetch_row(BACKEND, [1]) == before


def test_values_larger_than_every_buffer_go_and_come_back():
    large = "x" * 5_000_000

    found = fetch_all(*[("SELECT %s::text", [large])] * 3)

    assert [rows[0][0] == large for rows in found] == [True] * 3


def test_a_kept_statement_runs_on_a_new_connection_after_the_old_one_was_closed():
    before = fetch_row(BACKEND, [1])
    connection.close()

    after = fetch_row(BACKEND, [1])

    assert before is not None
    assert after is not None
    assert after[0] != before[0]


def test_a_server_process_that_is_gone_is_an_error_and_no_endless_wait():
    backend, _one = fetch_row(BACKEND, [1])

    with pytest.raises(OperationalError):
        fetch_row("SELECT pg_terminate_backend(%s::int)", [backend])

    assert fetch_row(BACKEND, [1])[0] != backend


def test_whoever_is_interrupted_while_waiting_leaves_no_answer_for_the_next(monkeypatch):
    class Interrupted(BaseException):
        pass

    def interrupt(*_arguments):
        wait_until_it_sleeps(backend)
        raise Interrupted

    backend, _one = fetch_row(BACKEND, [1])
    with monkeypatch.context() as patched:
        patched.setattr("registry.messenger.Messenger._results", interrupt)
        with pytest.raises(Interrupted):
            fetch_all(("SELECT pg_sleep(%s::int)", [60]), (INSERT, ["AAA", "A"]))

    gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s::int AND state = 'active'"
    while fetch_row(gone, [backend]) != (0,):
        pass
    assert there("AAA") == set()
    assert fetch_row("SELECT %s::text", ["mine"]) == ("mine",)


def test_who_waits_for_a_lock_lets_the_other_threads_of_the_process_go_on(sites):
    make_person(None, username="held")
    lock = "SELECT username FROM registry_person WHERE username = %s FOR UPDATE"
    waiting, got = threading.Event(), []

    def wait_for_it():
        with transaction.atomic():
            fetch_row(BACKEND, [1])
            waiting.set()
            got.append(fetch_row(lock, ["held"]))
        connection.close()

    with transaction.atomic():
        fetch_row(lock, ["held"])
        other = threading.Thread(target=wait_for_it)
        other.start()
        assert waiting.wait(10)
        # Only a thread that runs can see the other one wait.
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}, autocommit=True) as watch:
            while not watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
                pass
    other.join(10)

    assert got == [("held",)]
