"""Bringing a backup back: all of it or nothing, checked before and after; and rehearsing that on a scratch database.

The dump becomes SQL that runs in one transaction, which only commits when the last statement went through and the
files are in their places: whatever is killed on the way leaves the database as it was. Files without a row, which
a restore killed between the two leaves, hurt nobody and are written again by the next.
"""

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec
from django.conf import settings
from django.core.management import call_command
from psycopg import sql

from registry.acting import Door, acting_as_the_system
from registry.backup import (
    CHUNK,
    DUMP,
    FILES,
    FORMAT,
    KEYS,
    MANIFEST,
    Contents,
    File,
    Manifest,
    contents_of,
    fingerprints,
    folders,
    modules,
    server_major,
)
from registry.history_chain import broken_chains
from registry.other_databases import scratch_database, working_on
from registry.postgres_tools import Tool, ToolError, owner_connection, owner_settings
from registry.vital_signs import known_migrations

LOCK_SECONDS: Final = 30
LARGEST_MANIFEST: Final = 200_000_000
_LOADED: Final = "every statement of the backup went through"

# What `migrate` and the programs themselves put into an empty database.
_NOT_DATA: Final = frozenset(
    (
        *("django_migrations", "django_content_type", "auth_permission", "django_session"),
        *("registry_site", "registry_sitehistory", "registry_historychain", "registry_heartbeat"),
        "exports_cohortoutcome",
    )
)

Say = Callable[[str], object]


class BackupError(Exception):
    """The file is no whole backup, or must not be restored here; the message says why. Nothing was changed."""


class RestoreError(Exception):
    """What was restored is not what was backed up; the message says where they differ."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup whose every byte was compared with its manifest."""

    archive: zipfile.ZipFile
    manifest: Manifest

    @property
    def files(self) -> dict[str, File]:
        """The files beside the database, by their path under VAR_DIR."""
        members = self.manifest.members.items()
        return {name.removeprefix(FILES): file for name, file in members if name.startswith(FILES)}


@contextmanager
def opened(file: Path) -> Iterator[Backup]:
    """Open a backup and check it. Raises BackupError if it is not whole, was changed, or is not for this software."""
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest_of(archive)
            _refuse_what_is_not_ours(archive, manifest)
            for name, expected in manifest.members.items():
                if _digest_of(archive, name) != expected:
                    raise BackupError(f"{file}: {name} is not as it was written. Take another backup.")
            yield Backup(archive, manifest)
    except (zipfile.BadZipFile, EOFError, msgspec.DecodeError, KeyError) as error:
        raise BackupError(f"{file} is not a whole backup ({type(error).__name__}). Take another one.") from None


def other_keys(manifest: Manifest) -> list[str]:
    """Return the names of the keys that are not those of the installation that was backed up."""
    ours = fingerprints()
    return [name for name in KEYS if manifest.keys.get(name) != ours[name]]


def restore(backup: Backup, *, replace: bool, say: Say) -> None:
    """Bring database and files back, bring the tables up to date, and compare.

    Raises BackupError if there are data and they are not to be replaced, ToolError if PostgreSQL refuses,
    RestoreError if what came back differs.
    """
    database = owner_settings()["NAME"]
    with owner_connection() as owner:
        filled = [] if replace else tables_with_data(owner)
    if filled:
        raise BackupError(
            f"There are data in the database {database} ({', '.join(filled[:3])}). Restore into an empty one, or say "
            "--replace to lose what is there."
        )
    with _extracted(backup) as extracted:
        _load(backup, database=database, before_commit=lambda: _put_in_place(extracted))
    if replace:
        _remove_files_that_are_not_in(backup)
    check(backup, say=say)
    for path, file in backup.files.items():
        with (settings.VAR_DIR / path).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                raise RestoreError(f"The file {path} is not the one that was backed up.")
    say(f"files: {len(backup.files)} are in their places, with their digests")


def rehearse(backup: Backup, *, say: Say) -> None:
    """Restore into a scratch database on the same server, compare, compute the endpoints anew, and drop it.

    Raises ToolError if there can be no scratch database, RestoreError if what came back differs.
    """
    with scratch_database() as name, working_on(name):
        _load(backup, database=name, before_commit=lambda: None)
        check(backup, say=say)
        for module in modules():
            module.compute()
        with owner_connection(database=name) as owner:
            figures = contents_of(owner).figures
        for figure, digest in backup.manifest.contents.figures.items():
            if figures.get(figure) != digest:
                raise RestoreError(f"The {figure} computed from the restored data is not the one that was backed up.")
            say(f"{figure}: computed anew from the restored data, it is the same")
    say(f"files: {len(backup.files)} are in the backup, with their digests")


def check(backup: Backup, *, say: Say) -> None:
    """Compare the database just restored with the manifest, bring it up to date, and verify its history.

    Raises RestoreError where they differ.
    """
    expected = backup.manifest.contents
    with owner_connection() as owner:
        _compare(contents_of(owner), expected)
    say(f"rows: {sum(expected.rows.values())} in {len(expected.rows)} tables, as counted at the backup")
    call_command("migrate", interactive=False, verbosity=0)
    new = len(known_migrations() - set(expected.migrations))
    say(f"migrations: {new} that came after the backup were run" if new else "migrations: none came after the backup")
    with acting_as_the_system(door=Door.COMMAND):
        broken = [str(found) for found in broken_chains()]
    if broken:
        raise RestoreError(f"The history is not whole: {broken[0]}.")
    say(f"history: {expected.links} rows in {expected.chains} chains, each whole")


def tables_with_data(owner: Any) -> list[str]:
    """Return the tables that hold more than `migrate` brings; none for an empty database."""
    tables = owner.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        " ORDER BY relname"
    ).fetchall()
    return [
        name
        for (name,) in tables
        if name not in _NOT_DATA
        and owner.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(name))).fetchone()[0]
    ]


def _compare(found: Contents, expected: Contents) -> None:
    for table in sorted(found.rows.keys() | expected.rows.keys()):
        if found.rows.get(table) != expected.rows.get(table):
            raise RestoreError(
                f"The table {table} has {found.rows.get(table, 'no')} rows; at the backup there were "
                f"{expected.rows.get(table, 'none')}."
            )
    if found != expected:
        raise RestoreError("The ends of the history's chains or the computed figures are not those of the backup.")


def _load(backup: Backup, *, database: str, before_commit: Callable[[], object]) -> None:
    """Put the dump in the place of all that is in a database, in one transaction. Raises ToolError."""
    with owner_connection(database=database) as owner:
        major = server_major(owner)
        (schema,) = owner.execute("SELECT quote_ident(current_schema())").fetchone() or ("public",)
    first = (
        f"BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL lock_timeout = '{LOCK_SECONDS}s';\n"
        f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema};\n"
    )
    with Tool(
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        major=major,
        database=database,
    ) as psql:
        psql.stdin.write(first.encode())
        psql.stdin.flush()
        _run_dump(backup, psql, major=major)
        # Only after this line has come back is everything known to be there, and only COMMIT makes it so.
        _write(psql, f"\nSELECT '{_LOADED}';\n")
        if not any(line.decode().strip() == _LOADED for line in psql.stdout):
            psql.finish()
            raise ToolError("psql ended before the backup was loaded.")
        before_commit()
        _write(psql, "COMMIT;\n")
        psql.finish()


def _run_dump(backup: Backup, psql: Tool, *, major: int) -> None:
    options = ("--no-owner", "--no-privileges", "--no-comments", "--file=-")
    with (
        Tool("pg_restore", *options, major=major, database=None, to=psql.stdin) as program,
        backup.archive.open(DUMP) as dump,
    ):
        with suppress(BrokenPipeError):  # the programs say why, below
            shutil.copyfileobj(dump, program.stdin, CHUNK)
        try:
            program.finish()
        except ToolError:
            psql.finish()  # if that is what broke off, its reason counts
            raise


def _write(psql: Tool, text: str) -> None:
    try:
        psql.stdin.write(text.encode())
        psql.stdin.flush()
    except BrokenPipeError:
        psql.finish()
        raise


def _manifest_of(archive: zipfile.ZipFile) -> Manifest:
    if archive.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
        raise BackupError("The manifest is larger than any that was written.")
    manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    # With another key nobody can tell whether the seal is right; the digests below still hold.
    if "SECRET_KEY" not in other_keys(manifest) and manifest.sealed() != manifest:
        raise BackupError("The manifest of the backup was changed after it was sealed. Take another backup.")
    return manifest


def _refuse_what_is_not_ours(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    unknown = sorted(set(manifest.contents.migrations) - known_migrations())
    if manifest.format > FORMAT or unknown:
        raise BackupError(
            f"The backup was made by a newer version ({manifest.software}). Install that version or a later one first."
        )
    names = archive.namelist()
    if sorted(names) != sorted([*manifest.members, MANIFEST]) or DUMP not in manifest.members:
        raise BackupError("The backup holds other files than its manifest says. Take another backup.")
    for name in set(manifest.members) - {DUMP}:
        parts = PurePosixPath(name).parts
        if len(parts) < 3 or parts[0] != FILES.rstrip("/") or parts[1] not in folders() or ".." in parts:
            raise BackupError("The backup holds a file that belongs to no folder of ours.")
        if re.search(r"[\x00\\]", name):
            raise BackupError("The backup holds a file with a name that we never give.")


def _digest_of(archive: zipfile.ZipFile, name: str) -> File:
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as member:
        while chunk := member.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return File(digest.hexdigest(), size)


@contextmanager
def _extracted(backup: Backup) -> Iterator[Path]:
    """Give a folder under VAR_DIR, on the disk of the places that the files go to, with the files in it."""
    settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.VAR_DIR) as name:
        folder = Path(name)
        for path in backup.files:
            target = folder / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with backup.archive.open(FILES + path) as member, os.fdopen(handle, "wb") as stream:
                shutil.copyfileobj(member, stream, CHUNK)
        yield folder


def _put_in_place(extracted: Path) -> None:
    for source in sorted(path for path in extracted.rglob("*") if path.is_file()):
        target = settings.VAR_DIR / source.relative_to(extracted)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source.replace(target)


def _remove_files_that_are_not_in(backup: Backup) -> None:
    for folder in folders():
        for path in (settings.VAR_DIR / folder).rglob("*"):
            if path.is_file() and path.relative_to(settings.VAR_DIR).as_posix() not in backup.files:
                path.unlink()
