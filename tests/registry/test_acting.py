import json

import pytest
from django.db import connection, transaction

from registry.acting import AnsweredBefore, Door, acting, the_system
from registry.database import execute, fetch_row
from registry.models import IdempotentAnswer, Site
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


def kept_answer(by, key):
    IdempotentAnswer.objects.create(
        person_id=by.person_id, key=key, request_digest=b"d", status=201, headers={}, body=b"b"
    )


@pytest.mark.parametrize("begin_with_first", [True, False])
def test_whoever_was_answered_before_gets_that_answer_and_nothing_of_the_block_is_saved(sites, begin_with_first):
    somebody = caller_now(make_person())
    with acting(somebody, door=Door.REST):
        kept_answer(somebody, "key")

    with (
        pytest.raises(AnsweredBefore) as before,
        acting(somebody, door=Door.REST, idempotency_key="key", begin_with_first=begin_with_first),
    ):
        execute("UPDATE registry_site SET name = %s", ["again"])

    assert before.value.kept[1:] == (201, "{}", b"b")
    assert not Site.objects.filter(name="again").exists()


@pytest.mark.parametrize("key", ["key", None])
def test_a_block_that_fails_before_it_asks_gets_the_answer_that_was_kept(sites, key):
    somebody = caller_now(make_person())
    with acting(somebody, door=Door.REST):
        kept_answer(somebody, "key")

    with (
        pytest.raises(AnsweredBefore if key else LookupError),
        acting(somebody, door=Door.REST, idempotency_key=key, begin_with_first=True),
    ):
        raise LookupError


def test_a_block_begins_in_one_message_with_its_first_question(sites, assert_round_trips):
    somebody = caller_now(make_person())

    with (
        assert_round_trips(3),
        acting(somebody, door=Door.REST, begin_with_first=True),
    ):  # a savepoint, this, its release
        found = fetch_row("SELECT ecrf_actor()->>'username' || %s::text", ["!"])

    assert found == (f"{somebody.username}!",)


def test_a_block_that_asks_through_django_first_has_begun_by_then(sites):
    somebody = caller_now(make_person())

    with acting(somebody, door=Door.REST, begin_with_first=True):
        assert actor()["username"] == somebody.username
