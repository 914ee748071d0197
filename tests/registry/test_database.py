import pytest
from django.db import connection, transaction

from registry.database import fetch_row

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "SELECT pg_backend_pid(), %s::int"


def test_a_statement_that_is_run_again_gives_the_row_of_its_new_parameters():
    first = fetch_row(BACKEND, [1])

    second = fetch_row(BACKEND, [2])

    assert first is not None
    assert second == (first[0], 2)


def test_a_statement_that_failed_can_be_run_again_after_its_transaction():
    with pytest.raises(Exception, match="division by zero"), transaction.atomic():
        fetch_row("SELECT 1 / %s::int", [0])

    assert fetch_row("SELECT 1 / %s::int", [1]) == (1,)


def test_a_kept_statement_runs_on_a_new_connection_after_the_old_one_was_closed():
    before = fetch_row(BACKEND, [1])
    connection.close()

    after = fetch_row(BACKEND, [1])

    assert before is not None
    assert after is not None
    assert after[0] != before[0]
