"""The application's database role: made by `migrate`, refused where row-level security would not hold for it."""

from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connections

from registry.application_role import IS_UNFIT
from registry.embedded import Servers
from registry.settings import ENVIRONMENT, OWNER
from tests import programs

pytestmark = pytest.mark.slow

REFUSED = "a superuser, a role with BYPASSRLS or the owner of tables, so row-level security does not hold."
LOOK = """
from django.db import connection
from crf.forms import patient_form
from registry.models import Site
with connection.cursor() as cursor:
    cursor.execute("SELECT current_user")
    print(cursor.fetchone()[0], Site.objects.count(), patient_form().objects.count())
"""
WEB = programs.web_server(1)


def superuser(database):
    """Return the address of a superuser of our own server."""
    return programs.address_of(
        USER="postgres", PASSWORD=Servers(settings.VAR_DIR).kept.superuser_password, NAME=database
    )


own_server = pytest.mark.skipif(
    ENVIRONMENT.database_url is not None, reason="DATABASE_URL is set: only of our own server a superuser is known"
)


@pytest.fixture
def scratch():
    """The name of an empty database of the superuser, dropped afterwards with the role made for it."""
    name = f"scratch_{uuid4().hex[:12]}"
    with psycopg.connect(superuser("postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield name
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE IF EXISTS {name}_app")


@own_server
def test_where_only_the_owner_is_given_migrate_makes_the_role_and_the_application_is_it(scratch, tmp_path):
    only = {"DATABASE_URL": superuser(scratch), "DATABASE_OWNER_URL": None}

    for _time in range(2):
        migrated = programs.run("manage.py", "migrate", "-v0", folder=tmp_path, **only)
        assert (migrated.returncode, migrated.stderr) == (0, "")
    looked = programs.run("manage.py", "shell", "-v0", "-c", LOOK, folder=tmp_path, **only)

    assert looked.stdout.split() == [f"{scratch}_app", "3", "0"]


@own_server
def test_a_changed_secret_changes_the_password_of_the_role_at_the_next_migrate(scratch, tmp_path):
    only = {"DATABASE_URL": superuser(scratch), "DATABASE_OWNER_URL": None}
    programs.run("manage.py", "migrate", "-v0", folder=tmp_path, **only)
    changed = only | {"SECRET_KEY": "another secret of 32 characters or more"}

    before = programs.run("manage.py", "shell", "-v0", "-c", LOOK, folder=tmp_path, **changed)
    programs.run("manage.py", "migrate", "-v0", folder=tmp_path, **changed)
    after = programs.run("manage.py", "shell", "-v0", "-c", LOOK, folder=tmp_path, **changed)

    assert "password authentication failed" in before.stderr
    assert after.returncode == 0


@own_server
def test_migrate_refuses_a_superuser_as_the_applications_role(scratch, tmp_path):
    addresses = {"DATABASE_URL": superuser(scratch), "DATABASE_OWNER_URL": programs.address_of(OWNER, NAME=scratch)}

    done = programs.run("manage.py", "migrate", folder=tmp_path, **addresses)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: The role postgres is a superuser, has BYPASSRLS or belongs to")


@pytest.mark.django_db(transaction=True)
def test_migrate_says_what_to_do_where_the_owner_may_not_make_the_role(tmp_path):
    owner = {"DATABASE_URL": programs.address_of(OWNER), "DATABASE_OWNER_URL": None}

    done = programs.run("manage.py", "migrate", folder=tmp_path, **owner)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: There is no database role ")
    assert "set DATABASE_URL to it and DATABASE_OWNER_URL to" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_migrate_refuses_where_the_owner_is_not_known(tmp_path):
    done = programs.run("manage.py", "migrate", folder=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: DATABASE_OWNER_URL is `none` here.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("program", [WEB, programs.WORKER], ids=["web", "worker"])
def test_web_server_and_worker_do_not_start_as_the_owner_of_the_tables(program, tmp_path):
    done = programs.run(*program, folder=tmp_path, DATABASE_URL=programs.address_of(OWNER))

    user = connections[OWNER].settings_dict["USER"]
    assert done.returncode != 0
    assert f"DATABASE_URL connects as {user}, {REFUSED}" in done.stderr
    assert "Traceback" not in done.stderr


@own_server
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("program", [WEB, programs.WORKER], ids=["web", "worker"])
def test_web_server_and_worker_do_not_start_as_a_superuser(program, tmp_path):
    name = connections["default"].settings_dict["NAME"]

    done = programs.run(*program, folder=tmp_path, DATABASE_URL=superuser(name))

    assert done.returncode != 0
    assert f"DATABASE_URL connects as postgres, {REFUSED}" in done.stderr


@own_server
@pytest.mark.parametrize(("power", "unfit"), [("", False), ("BYPASSRLS", True), ("SUPERUSER", True)])
def test_a_role_is_unfit_by_what_it_may_do(power, unfit):
    with psycopg.connect(superuser("postgres")) as server:
        server.execute(f"CREATE ROLE somebody {power}")
        server.execute("SET SESSION AUTHORIZATION somebody")

        assert server.execute(IS_UNFIT).fetchone() == (unfit,)
        server.rollback()


@own_server
def test_a_member_of_the_owners_role_is_unfit():
    with psycopg.connect(superuser("postgres")) as server:
        for statement in (
            "CREATE ROLE owns",
            "CREATE ROLE somebody IN ROLE owns",
            "CREATE TABLE public.theirs ()",
            "ALTER TABLE public.theirs OWNER TO owns",
            "SET SESSION AUTHORIZATION somebody",
        ):
            server.execute(statement)

        assert server.execute(IS_UNFIT).fetchone() == (True,)
        server.rollback()
