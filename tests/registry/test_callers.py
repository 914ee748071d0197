from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from registry.callers import LAST_USE_IS_KEPT_TO, TOKEN_LIFETIME, caller_of, caller_with_token, create_token, digest_of
from registry.models import Membership, Person, Token
from registry.rights import Right, Role
from tests.conftest import make_person

NOW = datetime(2024, 3, 12, 9, 30, tzinfo=UTC)
TODAY = date(2024, 3, 12)


@pytest.fixture
def person(sites):
    """A coordinator of MTP who monitors all sites."""
    person = make_person(Role.COORDINATOR, site="MTP", username="somebody")
    Membership.objects.create(person=person, role=Role.MONITOR, starts_on=date(2020, 1, 1))
    return person


def test_a_caller_has_person_roles_and_rights(person):
    caller = caller_of(person.pk, now=NOW)

    assert (caller.person_id, caller.username, caller.token_id) == (person.pk, "somebody", None)
    assert sorted(caller.roles, key=str) == [("coordinator", "MTP"), ("monitor", None)]
    assert caller.sites_with(Right.ENTER) == {"MTP"}
    assert caller.sites_with(Right.READ) == caller.sites == {"MTP", "NIM", "STR"}


def test_a_caller_with_a_token_is_its_person_and_names_the_token(person):
    text, token = create_token(person, expires_at=NOW + timedelta(days=1))

    caller = caller_with_token(text, now=NOW)

    assert (caller.person_id, caller.token_id) == (person.pk, token.pk)
    assert caller.rights == caller_of(person.pk, now=NOW).rights


def test_a_token_for_one_site_narrows_the_rights(person, sites):
    text, _token = create_token(person, site=sites["NIM"], expires_at=NOW + timedelta(days=1))

    caller = caller_with_token(text, now=NOW)

    assert caller.sites_with(Right.READ) == {"NIM"}
    assert caller.sites_with(Right.ENTER) == frozenset()


@pytest.mark.parametrize(("after", "counts"), [(-1, True), (0, False), (1, False)])
def test_a_token_counts_until_the_moment_it_expires(after, counts, person):
    text, _token = create_token(person, expires_at=NOW)

    assert (caller_with_token(text, now=NOW + timedelta(microseconds=after)) is not None) is counts


def test_a_token_lasts_a_year_unless_it_says_otherwise(person):
    _text, token = create_token(person)

    assert abs(token.expires_at - timezone.now() - TOKEN_LIFETIME) < timedelta(minutes=1)


def test_no_two_tokens_are_alike_and_none_is_kept(person):
    texts = [create_token(person)[0] for _number in range(20)]

    assert len(set(texts)) == 20
    assert sorted(map(bytes, Token.objects.values_list("digest", flat=True))) == sorted(map(digest_of, texts))


@pytest.mark.parametrize("change", [{"revoked_at": NOW}, {"revoked_at": NOW - timedelta(days=1)}])
def test_a_revoked_token_is_nobody_s(change, person):
    text, _token = create_token(person, expires_at=NOW + timedelta(days=1))

    Token.objects.update(**change)

    assert caller_with_token(text, now=NOW) is None


def test_a_person_who_is_not_active_is_nobody(person):
    text, _token = create_token(person, expires_at=NOW + timedelta(days=1))

    Person.objects.update(is_active=False)

    assert caller_of(person.pk, now=NOW) is None
    assert caller_with_token(text, now=NOW) is None


@pytest.mark.parametrize("token", ["", "x", "F" * 32, "' OR 1=1 --", "\x00", "é", "\ud7ff"])
def test_an_unknown_token_is_nobody_s(token, person):
    create_token(person)

    assert caller_with_token(token, now=NOW) is None


def test_an_unknown_person_is_nobody(sites):
    assert caller_of(0, now=NOW) is None


def test_a_person_without_roles_may_nothing(sites):
    caller = caller_of(make_person().pk, now=NOW)

    assert (caller.rights, caller.roles) == ({}, ())


@pytest.mark.parametrize(
    ("starts", "ends", "holds"),
    [
        (TODAY, None, True),
        (TODAY + timedelta(days=1), None, False),
        (TODAY - timedelta(days=9), TODAY, True),
        (TODAY - timedelta(days=9), TODAY - timedelta(days=1), False),
    ],
)
def test_a_membership_counts_from_its_first_to_its_last_day(starts, ends, holds, sites):
    person = make_person()
    Membership.objects.create(person=person, role=Role.MONITOR, starts_on=starts, ends_on=ends)
    text, _token = create_token(person, expires_at=NOW + timedelta(days=1))

    for caller in (caller_of(person.pk, now=NOW), caller_with_token(text, now=NOW)):
        assert caller.may(Right.READ, at="STR") is holds


def test_the_last_use_of_a_token_is_noted_now_and_then(person):
    text, token = create_token(person, expires_at=NOW + timedelta(days=1))

    for after, noted in (
        (timedelta(0), timedelta(0)),
        (LAST_USE_IS_KEPT_TO, timedelta(0)),
        (LAST_USE_IS_KEPT_TO * 2, LAST_USE_IS_KEPT_TO * 2),
    ):
        caller_with_token(text, now=NOW + after)
        token.refresh_from_db()
        assert token.last_used_at == NOW + noted


def test_using_a_token_leaves_no_history(person):
    text, _token = create_token(person, expires_at=NOW + timedelta(days=1))

    caller_with_token(text, now=NOW)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_label FROM registry_tokenhistory")
        assert cursor.fetchall() == [("insert",)]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_meanwhile_is_replaced(sites):
    person = make_person(Role.MONITOR)
    text, _token = create_token(person, expires_at=NOW + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    finally:
        other.close()

    assert caller_with_token(text, now=NOW).person_id == person.pk
