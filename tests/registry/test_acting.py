import json

import pytest
from django.db import connection, transaction

from registry.acting import Door, acting, the_system
from registry.models import Site
from registry.rights import Right
from tests.conftest import caller_now, make_person


def actor():
    """Return who acts in the transaction at hand, as the history would write it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ecrf_actor()")
        found = cursor.fetchone()[0]
    return json.loads(found) if isinstance(found, str) else found


def test_the_database_knows_person_door_reason_and_request(sites):
    somebody = caller_now(make_person(username="somebody"))

    with acting(somebody, door=Door.REST, reason="“correction”, ' \\ {é}"):
        first = actor()
    with acting(somebody, door=Door.COMMAND):
        second = actor()

    assert {key: first[key] for key in ("person", "username", "token", "door", "reason")} == {
        "person": somebody.person_id,
        "username": "somebody",
        "token": None,
        "door": "rest",
        "reason": "“correction”, ' \\ {é}",
    }
    assert (second["door"], second["reason"]) == ("command", None)
    assert first["request"] != second["request"]


def test_what_failed_leaves_nothing(sites):
    def fail():
        with acting(the_system(), door=Door.COMMAND):
            Site.objects.create(code="LYO", name="Lyon")
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert not Site.objects.filter(code="LYO").exists()


@pytest.mark.django_db(transaction=True)
def test_nobody_acts_before_and_after(sites):
    expected = {"door": "sql", "database_role": connection.settings_dict["USER"]}
    somebody = caller_now(make_person())

    before = actor()
    with acting(somebody, door=Door.REST):
        assert actor()["username"] == somebody.username
    after = actor()
    with transaction.atomic():
        in_the_next_transaction = actor()

    assert [before, after, in_the_next_transaction] == [expected] * 3


@pytest.mark.django_db(transaction=True)
def test_nobody_acts_after_a_transaction_that_failed(sites):
    somebody = caller_now(make_person())

    with pytest.raises(LookupError), acting(somebody, door=Door.REST):
        raise LookupError

    assert actor()["door"] == "sql"


def test_the_system_may_everything_everywhere_and_is_no_person(sites):
    system = the_system()

    assert (system.person_id, system.username, system.token_id) == (None, "system", None)
    assert all(system.sites_with(right) == {"MTP", "NIM", "STR"} for right in Right)
