"""What the application's database role may see and change, table by table; PostgreSQL refuses everything else.

The role owns no table and passes no policy by. Every model says in `access` what decides over its rows; a table that
says nothing stops the migration, so that nothing is open because somebody forgot it. `manage.py migrate` puts all
this in force, as the owner of the tables, each time it has run.

The sites and the person that policies compare with belong to one transaction (`registry.acting`): a connection that a
pooler hands on carries nothing of the request before, and where nothing was set nothing is seen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

from django.apps import apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import module_has_submodule

POLICY: Final = "ecrf_rows"

# Asked for once in a statement, not for each row: a subquery without references is run first.
_OF_THE_SITES: Final = "site_id = ANY ((SELECT ecrf_sites())::text[])"
OF_THE_SYSTEM: Final = "(SELECT current_setting('ecrf.person', true)) = 'system'"
"""In SQL: whether commands and jobs of nobody ask."""
_OF_THE_PERSON: Final = "(SELECT current_setting('ecrf.person', true)) IN ({column}::text, 'system')"


class UndecidedTable(Exception):
    """A table says nothing about who may see its rows; the message names it."""


@dataclass(frozen=True, slots=True)
class Access:
    """What the application's role may do with a table (`grants`), and with which of its rows (`condition`, in SQL).

    Without a condition there is no policy: the table holds nothing about patients.
    """

    grants: str = "SELECT, INSERT, UPDATE, DELETE"
    condition: str | None = None


SHARED: Final = Access()
"""Nothing about patients: people, roles, sites, sessions."""
READ_ONLY: Final = Access("SELECT")
ADDED_TO: Final = Access("SELECT, INSERT")
"""Nothing about patients, and nothing is changed or taken away."""
OF_A_SITE: Final = Access("SELECT, INSERT, UPDATE", _OF_THE_SITES)
"""Patients' data: rows of the transaction's sites. They are hidden, never deleted."""
OF_A_SITE_FOR_A_TIME: Final = Access(condition=_OF_THE_SITES)
"""Derived from patients' data, and thrown away when it is out of date."""


def of_a_person(column: str) -> Access:
    """Return the access to rows that belong to the person named in `column`, and to the system."""
    return Access(condition=_OF_THE_PERSON.format(column=column))


def history_of(access: Access) -> Access:
    """Return the access to the history of a table: the same rows, to be read. Triggers alone write it."""
    return replace(access, grants="SELECT")


# Tables of libraries, by the label of their app.
_OF_LIBRARIES: Final[Mapping[str, Access]] = {
    "account": SHARED,
    "auth": READ_ONLY,
    "axes": SHARED,
    "contenttypes": READ_ONLY,
    "mfa": SHARED,
    "pghistory": READ_ONLY,
    "sessions": SHARED,
    "socialaccount": SHARED,
}


def access_to(model: type[models.Model]) -> Access:
    """Return what a model declares, or what is decided here for a library's. Raises UndecidedTable."""
    declared: Access | None = getattr(model, "access", None) or _OF_LIBRARIES.get(model._meta.app_label)
    if declared is None:
        raise UndecidedTable(f"{model._meta.label} does not say who sees its rows. Give the class an `access`.")
    return declared


def tables() -> Iterator[tuple[str, Access]]:
    """Yield every table of the installed apps with the access to it. Raises UndecidedTable."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield model._meta.db_table, access_to(model)
    yield "django_migrations", READ_ONLY


def apply(connection: BaseDatabaseWrapper, *, role: str) -> None:
    """Give `role` what the tables declare and nothing else; `connection` is their owner's. Can be repeated."""
    quote = connection.ops.quote_name
    to = quote(role)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_schema()")
        database, schema = (quote(name) for name in cursor.fetchone())
        cursor.execute(f"REVOKE TEMPORARY, CREATE ON DATABASE {database} FROM PUBLIC, {to}")
        cursor.execute(f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {to}")
        cursor.execute(f"GRANT CONNECT ON DATABASE {database} TO {to}")
        cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {to}")
        cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {to}")
        for table, access in tables():
            for statement in _statements(quote(table), access, to=to):
                cursor.execute(statement)
        _let_functions_act_as_the_owner(cursor, schema=schema)


def _statements(table: str, access: Access, *, to: str) -> Iterator[str]:
    yield f"DROP POLICY IF EXISTS {POLICY} ON {table}"
    if access.condition is None:
        yield f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
    else:
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"CREATE POLICY {POLICY} ON {table} USING ({access.condition}) WITH CHECK ({access.condition})"
    yield f"GRANT {access.grants} ON {table} TO {to}"


def functions() -> Iterator[str]:
    """Yield the SQL of the functions that the installed apps keep in a module `database_functions`."""
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "database_functions"):
            yield from import_module(f"{app.name}.database_functions").FUNCTIONS


def install_functions(connection: BaseDatabaseWrapper) -> None:
    """Make the functions, or bring them up to date; `connection` is the owner's."""
    with connection.cursor() as cursor:
        for function in functions():
            cursor.execute(function)


def _let_functions_act_as_the_owner(cursor: Any, *, schema: str) -> None:
    """Make the functions of our triggers write where the role itself may not: to the history.

    What acts as the owner looks for tables in our schema first and among temporary ones last, so that nobody can put
    another in the way. It writes moments and dates alike for everybody: the history's digests are over them. pgtrigger
    lets whoever is connected switch triggers off by a setting; here nobody listens.
    """
    cursor.execute(
        "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean"
        " LANGUAGE sql IMMUTABLE AS 'SELECT false'"
    )
    cursor.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace"
        " AND (p.prosecdef OR p.proname LIKE 'pgtrigger_%')"
    )
    for (function,) in cursor.fetchall():
        cursor.execute(
            f"ALTER FUNCTION {function} SECURITY DEFINER SET search_path = {schema}, pg_temp"
            " SET timezone = 'UTC' SET datestyle = 'ISO'"
        )
