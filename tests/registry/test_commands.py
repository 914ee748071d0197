from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from registry.callers import caller_with_token
from registry.models import Token
from registry.rights import READING, Right, Role
from tests.conftest import Api, make_person


def printed(*arguments):
    """Return what the command prints."""
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def person(sites):
    """A data manager of all sites."""
    return make_person(Role.DATA_MANAGER, username="somebody")


def test_the_token_is_printed_once_and_works(person):
    token = printed("somebody")

    assert token.endswith("\n")
    assert len(token.strip()) == 32
    assert Api(token.strip()).get("/api/v1/me/").json()["username"] == "somebody"


def test_a_token_can_be_for_one_site_and_some_days(person):
    token = printed("somebody", "--site", "NIM", "--days", "30").strip()

    assert Api(token).get("/api/v1/me/").json()["sites"] == ["NIM"]
    assert abs(Token.objects.get().expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no active person with the user name nobody"),
        (["somebody", "--site", "ZZZ"], "no site ZZZ. Choose from: MTP, NIM, STR"),
        (["somebody", "--days", "0"], "from 1 to 3650"),
        (["somebody", "--days", "3651"], "from 1 to 3650"),
        (["somebody", "--days", "x"], "invalid int value"),
        ([], "required: user"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_made(arguments, words, person):
    with pytest.raises(CommandError, match=words):
        printed(*arguments)

    assert not Token.objects.exists()


def test_who_left_gets_no_token(person):
    person.is_active = False
    person.save()

    with pytest.raises(CommandError, match="no active person"):
        printed("somebody")


def test_the_history_says_that_a_command_made_it(person):
    printed("somebody")

    with connection.cursor() as cursor:
        cursor.execute("SELECT pgh_context->>'door', pgh_context->>'username' FROM registry_tokenhistory")
        assert cursor.fetchall() == [("command", "system")]


@pytest.mark.parametrize(
    ("arguments", "rights"),
    [
        ([], set(Right) - {Right.VERIFY, Right.SIGN}),
        (["--read-only"], READING),
        (["--rights", "read", "enter"], {Right.READ, Right.ENTER}),
    ],
)
def test_a_token_keeps_all_rights_those_that_read_or_those_that_are_named(arguments, rights, person):
    token = printed("somebody", "--name", "script", *arguments).strip()

    assert set(caller_with_token(token, now=timezone.now()).rights) == set(rights)
    assert Token.objects.get().name == "script"
