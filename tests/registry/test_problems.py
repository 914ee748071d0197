"""What the database does not take, as problems."""

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from registry.database import execute
from registry.problems import problem_of


@pytest.mark.django_db(transaction=True)
def test_whoever_waited_for_another_in_vain_is_told_to_send_it_again():
    parameters = connection.get_connection_params() | {"cursor_factory": None}

    def wait():
        with transaction.atomic():
            execute("SELECT set_config('lock_timeout', %s::text, true)", ["10ms"])
            execute("SELECT pg_advisory_xact_lock(%s::bigint)", [1])

    with psycopg.connect(**parameters, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(1)")
        with pytest.raises(OperationalError) as in_vain:
            wait()

    problem = problem_of(in_vain.value)
    assert problem is not None
    assert (problem.status, problem.code, problem.headers) == (503, "database_busy", {"Retry-After": "5"})
