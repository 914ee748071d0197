"""Statements that go with the next one, or run while this process goes on."""

import contextlib

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from registry.database import (
    commit,
    ending_with_what_waits,
    execute,
    execute_ahead,
    execute_soon,
    fetch_ahead,
    fetch_all,
    fetch_row,
    forget_what_waits,
    send_what_waits,
)
from tests.registry.statements import BACKEND, INSERT, prepared_here, there, wait_until_it_sleeps

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "SELECT %s::int"
ENDS = [send_what_waits, commit, lambda: there("AAA"), lambda: execute(INSERT, ["BBB", "B"])]


@contextlib.contextmanager
def block():
    with transaction.atomic(), ending_with_what_waits():
        yield


def test_what_waits_is_saved_in_one_message_with_the_end_of_the_transaction(assert_round_trips):
    with transaction.atomic():
        with ending_with_what_waits(), assert_round_trips(1):
            execute_soon(INSERT, ["AAA", "A"])
            execute_soon(INSERT, ["BBB", "B"])
            commit()
        in_transaction = connection.connection.info.transaction_status.name

    assert in_transaction == "IDLE"
    connection.close()
    assert there("AAA", "BBB") == {"AAA", "BBB"}


def test_what_waits_runs_before_the_next_statement_in_one_message_with_it(assert_round_trips):
    names = "SELECT code FROM registry_site WHERE code = ANY(%s)"
    got = []
    with block(), assert_round_trips(1):
        execute_soon(NUMBER, [7], then=got.append)
        execute_soon(INSERT, ["AAA", "A"])
        found = fetch_all((names, [["AAA"]]), (names, [["BBB"]]))

    assert (found, got) == ([[("AAA",)], []], [[(7,)]])


def test_what_waits_runs_before_a_statement_of_django_too_and_once():
    with block():
        execute_soon(INSERT, ["AAA", "A"])
        found = [there("AAA"), there("AAA")]
        with transaction.atomic():
            execute_soon(INSERT, ["BBB", "B"])
        found.append(there("AAA", "BBB"))

    assert found == [{"AAA"}, {"AAA"}, {"AAA", "BBB"}]


def test_what_runs_ahead_is_there_for_the_next_statement_of_whoever_asks():
    with block():
        execute_soon(INSERT, ["AAA", "A"])
        execute_ahead(INSERT, ["BBB", "B"])
        execute_ahead(INSERT, ["CCC", "C"])
        own = fetch_row("SELECT count(*) FROM registry_site WHERE code = ANY(%s)", [["AAA", "BBB", "CCC"]])
        execute_ahead(INSERT, ["DDD", "D"])
        of_django = there("DDD")
        execute_ahead(INSERT, ["EEE", "E"])

    assert (own, of_django) == ((3,), {"DDD"})
    connection.close()
    assert there("AAA", "BBB", "CCC", "DDD", "EEE") == {"AAA", "BBB", "CCC", "DDD", "EEE"}


def ask_for_rows_ahead(sql, parameters):
    fetch_ahead((sql, parameters))


@pytest.mark.parametrize("ask", [execute_soon, execute_ahead, ask_for_rows_ahead])
def test_nothing_is_asked_that_nobody_would_hear(ask):
    with transaction.atomic(), pytest.raises(RuntimeError, match="ending_with_what_waits"):
        ask(INSERT, ["AAA", "A"])

    assert there("AAA") == set()


def test_rows_asked_for_ahead_are_of_their_moment_and_wait_to_be_wanted(assert_round_trips):
    codes = "SELECT code FROM registry_site WHERE code = ANY(%s) ORDER BY 1"
    with block(), assert_round_trips(2):
        execute_soon(INSERT, ["AAA", "A"])
        ahead = fetch_ahead((codes, [["AAA", "BBB"]]), (NUMBER, [7]))
        execute_ahead(INSERT, ["BBB", "B"])
        rows = ahead(), ahead()

    assert rows == ([[("AAA",)], [(7,)]],) * 2
    connection.close()
    assert there("AAA", "BBB") == {"AAA", "BBB"}


def test_rows_asked_for_ahead_are_kept_for_who_wants_them_after_other_statements():
    with block():
        ahead = fetch_ahead((NUMBER, [7]))
        own = fetch_row(NUMBER, [8])
        of_django = there("AAA")
        rows = ahead()

    assert (own, of_django, rows) == ((8,), set(), [[(7,)]])


def test_rows_that_were_asked_for_ahead_and_refused_are_an_error_for_who_wants_them():
    def read():
        with block():
            execute_soon(INSERT, ["AAA", "A"])
            rows = fetch_ahead((NUMBER, [7]), ("SELECT 1 / %s::int", [0]))
            rows()

    with pytest.raises(DataError, match="division by zero"):
        read()

    assert there("AAA") == set()
    assert fetch_row(NUMBER, [1]) == (1,)


# What is refused


@pytest.mark.parametrize("end", ENDS)
def test_a_row_that_is_refused_later_raises_what_its_writer_wanted(end):
    def as_asked(error):
        return LookupError(error.__cause__.diag.constraint_name)

    def write():
        with block():
            execute(INSERT, ["AAA", "A"])
            execute_soon(INSERT, ["AAA", "again"], or_else=as_asked)
            end()

    with pytest.raises(LookupError, match="registry_site_pkey"):
        write()

    assert there("AAA", "BBB") == set()


@pytest.mark.parametrize("end", ENDS)
def test_what_runs_ahead_and_is_refused_is_raised_with_the_next_statement_and_undoes_all(end):
    def write():
        with block():
            execute_ahead(INSERT, ["AAA", "A"])
            execute_ahead(INSERT, ["AAA", "again"])
            execute_ahead(INSERT, ["CCC", "C"])
            end()

    with pytest.raises(IntegrityError) as refused:
        write()

    assert refused.value.__cause__.diag.constraint_name == "registry_site_pkey"
    assert there("AAA", "BBB", "CCC") == set()


def test_what_another_statement_is_refused_for_is_not_told_as_that_of_what_waited():
    def write():
        with block():
            execute_soon(INSERT, ["AAA", "A"], or_else=lambda _error: LookupError())
            execute(INSERT, ["AAA", "again"])

    with pytest.raises(IntegrityError):
        write()

    assert there("AAA") == set()


def test_an_end_that_fails_undoes_everything():
    def twice():
        with block():
            execute(INSERT, ["AAA", "A"])
            execute_soon(INSERT, ["AAA", "again"])

    with pytest.raises(IntegrityError):
        twice()

    assert there("AAA") == set()


def test_a_savepoint_around_what_runs_ahead_is_where_it_is_refused():
    def write():
        with transaction.atomic():
            execute_ahead(INSERT, ["AAA", "again"])

    with block():
        execute(INSERT, ["AAA", "A"])
        with pytest.raises(IntegrityError):
            write()
        execute(INSERT, ["BBB", "B"])

    assert there("AAA", "BBB") == {"AAA", "BBB"}


def test_what_a_savepoint_undoes_is_undone_even_if_it_would_have_been_refused():
    def write():
        with transaction.atomic():
            execute_ahead(INSERT, ["AAA", "again"])
            raise LookupError

    with block():
        execute(INSERT, ["AAA", "A"])
        with pytest.raises(LookupError):
            write()
        execute(INSERT, ["BBB", "B"])

    assert there("AAA", "BBB") == {"AAA", "BBB"}


@pytest.mark.parametrize("ask", [execute_soon, execute_ahead])
def test_an_answer_that_undoes_everything_comes_before_the_commit(ask):
    def undo(rows):
        raise LookupError(rows)

    def write():
        with block():
            execute_soon(NUMBER, [7], then=undo)
            ask(INSERT, ["AAA", "A"])

    with pytest.raises(LookupError, match="7"):
        write()

    assert there("AAA") == set()


def test_an_answer_is_given_even_if_a_later_statement_of_the_message_fails():
    got = []

    def fail():
        with block():
            execute_soon(NUMBER, [7], then=got.append)
            fetch_row("SELECT 1 / %s::int", [0])

    with pytest.raises(DataError):
        fail()

    assert got == [[(7,)]]


# How it ends


def test_inside_another_transaction_nothing_is_committed():
    with transaction.atomic():
        with block():
            execute_soon(INSERT, ["AAA", "A"])
        inside = there("AAA")
        transaction.set_rollback(True)

    assert (inside, there("AAA")) == ({"AAA"}, set())


def test_what_waited_for_an_end_that_never_came_is_not_saved_with_the_next():
    with block():
        execute_soon(INSERT, ["AAA", "A"])
        forget_what_waits()
        transaction.set_rollback(True)
    with block():
        execute(INSERT, ["BBB", "B"])

    assert there("AAA", "BBB") == {"BBB"}


def test_a_block_that_fails_leaves_nothing_and_a_connection_that_works():
    def write():
        with block():
            execute_ahead(INSERT, ["AAA", "A"])
            execute_soon(INSERT, ["BBB", "B"])
            raise LookupError

    before = fetch_row(BACKEND, [1])
    with pytest.raises(LookupError):
        write()

    assert there("AAA", "BBB") == set()
    assert fetch_row(BACKEND, [1]) == before


def test_what_runs_ahead_runs_while_this_process_goes_on_and_whoever_is_interrupted_waits_for_none_of_it():
    backend, _one = fetch_row(BACKEND, [1])

    def write():
        with block():
            execute_ahead(INSERT, ["AAA", "A"])
            execute_ahead("SELECT pg_sleep(%s::float)", [60])
            wait_until_it_sleeps(backend)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()

    assert there("AAA") == set()
    assert fetch_row(NUMBER, [1]) == (1,)


@pytest.mark.parametrize("ask", [execute_soon, execute_ahead, execute])
def test_a_value_that_cannot_be_sent_undoes_what_ran_before_and_mixes_up_no_answers(ask):
    def write():
        with block():
            execute_ahead(INSERT, ["AAA", "A"])
            with contextlib.suppress(DataError):
                ask(INSERT, ["BBB", "a\x00b"])
                send_what_waits()
            assert fetch_row("SELECT %s::text", ["mine"]) == ("mine",)
            raise LookupError

    with pytest.raises((LookupError, DataError)):
        write()

    assert there("AAA") == set()
    assert fetch_row("SELECT %s::text", ["mine"]) == ("mine",)


def test_a_server_process_that_goes_while_something_runs_ahead_is_an_error_and_leaves_nothing():
    def write():
        with block():
            execute_ahead(INSERT, ["AAA", "A"])
            execute_ahead("SELECT pg_terminate_backend(pg_backend_pid()), %s::int", [1])
            send_what_waits()

    with pytest.raises(OperationalError):
        write()

    assert there("AAA") == set()
    with block():
        execute_ahead(INSERT, ["BBB", "B"])
    assert there("BBB") == {"BBB"}


# What is prepared


def test_a_statement_that_runs_ahead_again_and_again_is_prepared_once():
    connection.close()
    with block():
        for code in ("AAA", "BBB", "CCC"):
            execute_ahead(INSERT, [code, code])
        send_what_waits()
        transaction.set_rollback(True)

    assert prepared_here() == 1


def test_statements_that_came_after_one_that_failed_are_prepared_when_they_come_again():
    def write(first):
        with block():
            execute_ahead(first, [0])
            execute_ahead("SELECT 'later', %s::int", [1])
            fetch_row("SELECT 'last', %s::int", [1])

    connection.close()
    with pytest.raises(DataError):
        write("SELECT 1 / %s::int")

    write("SELECT %s::int")
    assert prepared_here() == 5  # COMMIT is one of them
