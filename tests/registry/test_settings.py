"""Django's settings, as far as they are made by us."""

import os
import secrets
import subprocess
import sys

import pytest

from registry.environment import PROJECT
from registry.settings import database


def test_a_database_address_is_unquoted_and_its_query_goes_to_the_driver():
    settings = database("postgresql://o%27neil:p%40ss%2F@db.example.org:5433/e%20crf?sslmode=require")

    assert {name: settings[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")} == {
        "NAME": "e crf",
        "USER": "o'neil",
        "PASSWORD": "p@ss/",
        "HOST": "db.example.org",
        "PORT": "5433",
        "OPTIONS": {"connect_timeout": 5, "sslmode": "require"},
    }


def test_a_database_may_be_reached_by_a_socket():
    settings = database("postgresql:///ecrf?host=/run/postgresql")

    assert (settings["HOST"], settings["PORT"], settings["USER"]) == ("/run/postgresql", "", "")


@pytest.mark.slow
@pytest.mark.parametrize("program", [["manage.py", "check"], ["-m", "celery", "-A", "registry.celery", "report"]])
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(program):
    done = subprocess.run(
        [sys.executable, *program], cwd=PROJECT, env=os.environ | {"PORT": "eighty"}, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr.splitlines() == ["PORT is not what it should be. Write a port from 1 to 65535, such as 8000."]


@pytest.mark.slow
def test_django_finds_nothing_to_warn_of_in_the_settings_of_a_real_installation():
    production = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "BROKER_URL": "redis://127.0.0.1:1/0",
        "SECRET_KEY": secrets.token_hex(32),
        "PSEUDONYM_KEY": "s" * 32,
        "MAKE_SECRETS": "false",
        "ALLOWED_HOSTS": "ecrf.example.org",
        "HTTPS": "true",
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"} | production,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout.strip()) == (0, "System check identified no issues (0 silenced)."), done.stderr


def test_errors_show_no_settings_and_there_is_no_admin(settings):
    assert not settings.ENVIRONMENT.debug
    assert not [app for app in settings.INSTALLED_APPS if "admin" in app]
