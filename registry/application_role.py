"""The database role that web server, worker and commands run as. It owns nothing and passes no policy by."""

from contextlib import suppress
from typing import Any, Final

import psycopg.sql
from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# A member of the owner's role counts as the owner. A role with nothing to see yet, before `migrate`, is fit.
IS_UNFIT: Final = """
    SELECT bool_or(rolsuper OR rolbypassrls) OR EXISTS (
        SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND pg_has_role(relowner, 'MEMBER'))
      FROM pg_roles WHERE rolname IN (session_user, current_user)
"""


class UnfitRole(Exception):
    """The application's role cannot be made, or may do too much; the message says what to do."""


def name() -> str:
    """Return the name of the role."""
    role: str = connections["default"].settings_dict["USER"]
    return role


def ensure(connection: BaseDatabaseWrapper) -> None:
    """Make the role if it is not there, as the owner whose `connection` it is.

    Raises UnfitRole if it cannot be made, or if row-level security would not hold for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('ecrf role'))")  # two copies may migrate at the same time
        try:
            if _passes_policies_by(cursor) is None:
                _make(cursor)
            else:
                _set_password(connection)
            if _passes_policies_by(cursor):
                raise UnfitRole(
                    f"The role {name()} is a superuser, has BYPASSRLS or belongs to the owner's role, so row-level "
                    "security would not hold for it. Set DATABASE_URL to a plain role of its own."
                )
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext('ecrf role'))")


def refuse_to_serve_unfit() -> None:
    """End the program with one line if row-level security would not hold for whoever it is connected as.

    For what serves or works, before it begins. Without a database there is nothing to see: then it may begin.
    """
    with suppress(OperationalError), connections["default"].cursor() as cursor:
        cursor.execute(IS_UNFIT)
        (unfit,) = cursor.fetchone()
        if unfit:
            raise SystemExit(
                f"DATABASE_URL connects as {name()}, a superuser, a role with BYPASSRLS or the owner of tables, so "
                "row-level security does not hold. Set DATABASE_URL to the application's role; the owner's address is "
                "for `manage.py migrate`, as DATABASE_OWNER_URL."
            )
    # A server forks after this, and its children must not share the connection.
    connections["default"].close()


def _passes_policies_by(cursor: Any) -> bool | None:
    """Return whether row-level security would not hold for the role, None when there is no such role."""
    cursor.execute(
        "SELECT rolsuper OR rolbypassrls OR pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles WHERE rolname = %s",
        [name()],
    )
    row = cursor.fetchone()
    return None if row is None else bool(row[0])


def _with_password(statement: str) -> psycopg.sql.Composed:
    password: str = connections["default"].settings_dict["PASSWORD"]
    return psycopg.sql.SQL(statement).format(psycopg.sql.Identifier(name()), psycopg.sql.Literal(password))


def _set_password(connection: BaseDatabaseWrapper) -> None:
    """Give the role the password that the settings say: one made from a secret changes with the secret."""
    # An administrator's role is not the owner's to change, and has its password already.
    with suppress(DatabaseError), transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_with_password("ALTER ROLE {} PASSWORD {}"))


def _make(cursor: Any) -> None:
    try:
        cursor.execute(_with_password("CREATE ROLE {} LOGIN PASSWORD {}"))
    except DatabaseError:
        raise UnfitRole(
            f"There is no database role {name()} for the application, and the owner of the tables may not make one. "
            "Have it made (CREATE ROLE ... LOGIN PASSWORD ...), and set DATABASE_URL to it and DATABASE_OWNER_URL to "
            "the owner; or give the owner CREATEROLE."
        ) from None
