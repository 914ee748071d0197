"""A backup: one file with the database at one moment, the files under VAR_DIR, and a manifest to check both against.

The file is a zip without compression of its own (PostgreSQL compresses the dump): `database.dump`, the files under
`files/`, and last `manifest.json`. It is written as a stream, in memory that does not grow with the data, to a draft
that becomes FILE when it is whole. SECRET_KEY and PSEUDONYM_KEY are never in it: whoever finds it can neither sign
in nor tell who is behind a pseudonym of an earlier export. The manifest has a fingerprint of each, so that a restore
can tell that another key is set.
"""

import hashlib
import hmac
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

import msgspec
import psycopg
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import module_has_submodule
from psycopg import sql

from registry import __version__
from registry.postgres_tools import Tool, owner_connection, owner_settings

FORMAT: Final = 1
DUMP: Final = "database.dump"
FILES: Final = "files/"
MANIFEST: Final = "manifest.json"
DRAFT_SUFFIX: Final = ".part"
"""Of files that somebody is writing, ours among them: they are nobody's yet."""
CHUNK: Final = 1 << 20
KEYS: Final = ("SECRET_KEY", "PSEUDONYM_KEY")


class File(msgspec.Struct, frozen=True):
    """A member of the backup: digest (hexadecimal) and bytes."""

    sha256: str
    size: int


class Contents(msgspec.Struct, frozen=True):
    """What a database holds, for comparison: rows by table, and where the chains of the history stand.

    `chain_ends` is the SHA-256 over chain, length and digest of all chains in their order.
    """

    rows: dict[str, int]
    migrations: list[str]
    chains: int
    links: int
    chain_ends: str
    figures: dict[str, str]


class Manifest(msgspec.Struct, frozen=True):
    """What the backup holds and where it comes from. `seal` is made with SECRET_KEY, over all the rest."""

    format: int
    made_at: datetime
    software: str
    postgresql: int
    contents: Contents
    keys: dict[str, str]
    members: dict[str, File]
    seal: str = ""

    def sealed(self) -> "Manifest":
        """Return the manifest with its seal."""
        text = msgspec.json.encode(msgspec.structs.replace(self, seal=""), order="sorted")
        key = hmac.digest(settings.SECRET_KEY.encode(), b"the seal of a backup", "sha256")
        return msgspec.structs.replace(self, seal=hmac.new(key, text, hashlib.sha256).hexdigest())


def make_backup(file: Path, *, now: datetime) -> Manifest:
    """Write a backup to `file`, readable by this user only; it is there when it is whole, or not at all.

    Raises ToolError if the database cannot be dumped, and OSError if the file cannot be written.
    """
    with _whole_or_not_at_all(file) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        members: dict[str, File] = {}
        with owner_connection() as owner:
            owner.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            owner.read_only = True
            snapshot = _value(owner, "SELECT pg_export_snapshot()")
            contents = contents_of(owner)
            major = server_major(owner)
            members[DUMP] = _dump(archive, snapshot=snapshot, major=major)
        for path in _files():
            added = _add(archive, path)
            if added is not None:
                members[_name_of(path)] = added
        manifest = Manifest(FORMAT, now, __version__, major, contents, fingerprints(), members).sealed()
        with _member(archive, MANIFEST) as written:
            written.write(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def contents_of(owner: psycopg.Connection[Any]) -> Contents:
    """Return what the database of a connection holds, in the snapshot of its transaction."""
    tables = [
        name
        for (name,) in owner.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = current_schema()::regnamespace ORDER BY relname"
        )
    ]
    rows = {name: _value(owner, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))) for name in tables}
    applied = owner.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1").fetchall()
    chains, links, ends = _chains(owner)
    figures = {name: found for name, query in _figures() if (found := _value(owner, query)) is not None}
    return Contents(rows, [name for (name,) in applied], chains, links, ends, figures)


def server_major(owner: psycopg.Connection[Any]) -> int:
    """Return the major version of the server."""
    return owner.info.server_version // 10_000


def fingerprints() -> dict[str, str]:
    """Return what tells one key from another and nothing of the key; keys are long and random."""
    return {name: hashlib.sha256(f"{name} {getattr(settings, name)}".encode()).hexdigest()[:16] for name in KEYS}


def modules() -> Iterator[Any]:
    """Yield the modules in which apps say what of theirs is backed up and compared."""
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "backed_up"):
            yield import_module(f"{app.name}.backed_up")


def folders() -> list[str]:
    """Return the folders under VAR_DIR that are backed up."""
    return sorted(folder for module in modules() for folder in module.FOLDERS)


def _figures() -> Iterator[tuple[str, str]]:
    for module in modules():
        yield from module.FIGURES.items()


def _chains(owner: psycopg.Connection[Any]) -> tuple[int, int, str]:
    """Return the number of chains and of their links, and the digest over their ends, read a few at a time."""
    ends, chains, links = hashlib.sha256(), 0, 0
    with owner.cursor(name="chains") as cursor:
        cursor.execute('SELECT chain, length, digest FROM registry_historychain ORDER BY chain COLLATE "C"')
        for chain, length, digest in cursor:
            ends.update(msgspec.json.encode((chain, length, digest.hex())))
            chains, links = chains + 1, links + length
    return chains, links, ends.hexdigest()


def _dump(archive: zipfile.ZipFile, *, snapshot: str, major: int) -> File:
    options = ("--format=custom", f"--snapshot={snapshot}", "--no-owner", "--no-privileges", "--no-comments")
    with (
        Tool("pg_dump", *options, major=major, database=owner_settings()["NAME"]) as dump,
        _member(archive, DUMP) as member,
    ):
        added = _copy(dump.stdout, member)
        dump.finish()
    return added


def _files() -> Iterator[Path]:
    for folder in folders():
        yield from sorted(path for path in (settings.VAR_DIR / folder).rglob("*") if path.is_file())


def _name_of(path: Path) -> str:
    return FILES + path.relative_to(settings.VAR_DIR).as_posix()


def _add(archive: zipfile.ZipFile, path: Path) -> File | None:
    """Copy a file; None for a draft, and for one whose time has come meanwhile."""
    if path.suffix == DRAFT_SUFFIX:
        return None
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return None
    with source, _member(archive, _name_of(path)) as member:
        return _copy(source, member)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as member:
        yield member


def _copy(source: IO[bytes], to: IO[bytes]) -> File:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        size += to.write(chunk)
    return File(digest.hexdigest(), size)


@contextmanager
def _whole_or_not_at_all(file: Path) -> Iterator[IO[bytes]]:
    """Give a draft beside `file` that becomes it at the end, once the disk has it; an error leaves nothing."""
    _remove_drafts(file)
    draft = file.with_name(f".{file.name}.{uuid4().hex}{DRAFT_SUFFIX}")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_drafts(file: Path) -> None:
    """Remove what a backup to the same file left that was killed."""
    for left in file.parent.glob(f".{file.name}.{'[0-9a-f]' * 32}{DRAFT_SUFFIX}"):
        left.unlink(missing_ok=True)


def _value(owner: psycopg.Connection[Any], query: Any) -> Any:
    row = owner.execute(query).fetchone()
    return row[0] if row else None
