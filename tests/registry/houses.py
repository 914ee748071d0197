"""A database of its own for a test that replaces one: a copy of the test database, gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, connections
from psycopg import sql

from registry.other_databases import working_on
from registry.postgres_tools import owner_connection
from registry.settings import OWNER


@contextmanager
def house() -> Iterator[str]:
    """Work on a copy of the test database."""
    template = connection.settings_dict["NAME"]
    name = f"{template}_house"
    for alias in ("default", OWNER):
        connections[alias].close()
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    with owner_connection(database="postgres") as owner:
        owner.autocommit = True
        owner.execute(drop)
        owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        try:
            with working_on(name):
                yield name
        finally:
            owner.execute(drop)
