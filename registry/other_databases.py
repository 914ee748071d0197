"""Working on another database of the same server for a while: a rehearsal must not touch the one in use."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from psycopg import sql

from registry.postgres_tools import ToolError, owner_connection, owner_settings
from registry.settings import OWNER


@contextmanager
def scratch_database() -> Iterator[str]:
    """Make an empty database, and drop it afterwards with all that is in it; return its name.

    Raises ToolError if the owner may make none, or if somebody else is rehearsing.
    """
    name = f"{owner_settings()['NAME'][:40]}_rehearsal"
    # Not by force: that would need rights over the sessions of other roles. It waits for those that are ending.
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    owner = owner_connection()
    owner.autocommit = True
    with owner:
        if not owner.execute("SELECT pg_try_advisory_lock(hashtext('ecrf rehearsal'))").fetchone() == (True,):
            raise ToolError("Somebody else rehearses a restore on this database. Wait until they are done.")
        owner.execute(drop)  # of a rehearsal that was killed
        try:
            # Of the empty template: what an administrator added to the other one is in the backup.
            owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            role = owner_settings()["USER"]
            raise ToolError(
                f"The role {role} may not make a database to rehearse in. Have an administrator run: "
                f'ALTER ROLE "{role}" CREATEDB'
            ) from None
        try:
            yield name
        finally:
            owner.execute(drop)


@contextmanager
def working_on(name: str) -> Iterator[None]:
    """Run the block with this process's connections on another database of the server."""
    aliases = [connections[alias] for alias in ("default", OWNER)]
    before = [connection.settings_dict["NAME"] for connection in aliases]
    try:
        for connection in aliases:
            connection.close()
            connection.settings_dict["NAME"] = name
        yield
    finally:
        for connection, own in zip(aliases, before, strict=True):
            connection.close()
            connection.settings_dict["NAME"] = own
