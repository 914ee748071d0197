"""Verifying the chains of the history, and checkpoints of them that a site keeps outside.

Each row of the history carries the digest that `registry.history` computed over it and the digest before it. Reading
every chain from its first row on finds the first row that was edited, removed or slipped in, whoever did it. Who can
rewrite a whole chain and its end together, as a superuser can, is found by a checkpoint kept where they have no hand.
"""

import hashlib
import hmac
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, models

from registry.history import BESIDE_THE_CONTENT, content_of, history_models
from registry.models import HistoryChain

ROWS_AT_A_TIME = 2_000


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain is broken first: the table and key of the row, None where the row is gone, and what is wrong."""

    chain: str
    position: int
    table: str | None
    key: int | None
    what: str

    def __str__(self) -> str:
        row = f"{self.table} {self.key}" if self.table else "no row"
        return f"{self.chain}, position {self.position}: {row}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Link:
    chain: str
    position: int
    table: str
    key: int
    digest: bytes
    content: bytes


class Checkpoint(msgspec.Struct, frozen=True):
    """The ends of all chains at one moment, signed: length and digest (hexadecimal) by chain.

    `key` is the public half of the installation's signing key, Ed25519, hexadecimal.
    """

    at: datetime
    chains: dict[str, tuple[int, str]]
    key: str
    signature: str = ""

    def signed_text(self) -> bytes:
        """Return what is signed: the checkpoint without its signature, names in order."""
        return msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="sorted")


class NotACheckpoint(Exception):
    """The file is no checkpoint of this installation, or was changed since; the message says which."""


def broken_chains(*, checkpoint: Checkpoint | None = None) -> Iterator[Break]:
    """Yield the first break of every chain that is not whole; needs a transaction that sees everything.

    Rows are read in order from a cursor on the server, so that memory does not grow with them.
    """
    ends = {end.chain: end for end in HistoryChain.objects.all()}
    seen = set()
    with closing(_links()) as links:
        for chain, rows in groupby(links, key=lambda link: link.chain):
            seen.add(chain)
            kept = checkpoint.chains.get(chain) if checkpoint else None
            found = _first_break(list(rows), end=ends.get(chain), kept=kept)
            if found is not None:
                yield found
    for chain in sorted((set(ends) | set(checkpoint.chains if checkpoint else ())) - seen):
        yield Break(chain, 1, None, None, "all rows of the chain were removed")


def make_checkpoint(*, now: datetime) -> Checkpoint:
    """Return the ends of all chains as they are, signed; needs a transaction that sees everything."""
    private = _signing_key()
    chains = {end.chain: (end.length, bytes(end.digest).hex()) for end in HistoryChain.objects.order_by("chain")}
    unsigned = Checkpoint(at=now, chains=chains, key=private.public_key().public_bytes_raw().hex())
    return msgspec.structs.replace(unsigned, signature=private.sign(unsigned.signed_text()).hex())


def read_checkpoint(file: Path) -> Checkpoint:
    """Return the checkpoint in a file. Raises NotACheckpoint unless it is signed by this installation and unchanged."""
    try:
        checkpoint = msgspec.json.decode(file.read_bytes(), type=Checkpoint)
    except msgspec.DecodeError:
        raise NotACheckpoint(f"{file} is not a checkpoint of a history.") from None
    public = _signing_key().public_key()
    if checkpoint.key != public.public_bytes_raw().hex():
        raise NotACheckpoint(f"{file} was not signed with the key of this installation (its SECRET_KEY).")
    try:
        public.verify(bytes.fromhex(checkpoint.signature), checkpoint.signed_text())
    except (InvalidSignature, ValueError):
        raise NotACheckpoint(f"{file} was changed after it was signed.") from None
    return checkpoint


def _signing_key() -> Ed25519PrivateKey:
    seed = hmac.new(settings.SECRET_KEY.encode(), b"checkpoints of the history", hashlib.sha256).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def _first_break(links: list[_Link], *, end: HistoryChain | None, kept: tuple[int, str] | None) -> Break | None:
    """Return the first break of one chain, whose rows are in order; `kept` is its end at a checkpoint."""
    before, position = b"", 0
    for position, link in enumerate(links, start=1):
        if link.position < position:
            return _at(link, "slipped in, there are two rows at this position")
        if link.position > position:
            return Break(link.chain, position, None, None, f"removed, the next one is {link.table} {link.key}")
        expected = hashlib.sha256(before + link.content).digest()
        if link.digest != expected:
            return _at(link, "edited or put in the place of another: its digest does not follow the one before it")
        if kept is not None and kept[0] == position and kept[1] != link.digest.hex():
            return _at(link, "rewritten since the checkpoint, with all rows before or after it")
        before = link.digest
    chain, last = links[0].chain, links[-1]
    if kept is not None and kept[0] > position:
        return Break(chain, position + 1, None, None, "removed since the checkpoint")
    if end is None:
        return _at(last, "the chain's end is not recorded any more")
    if (end.length, bytes(end.digest)) != (position, before):
        if end.length > position:
            return Break(chain, position + 1, None, None, "removed from the end of the chain")
        return _at(last, "slipped in at the end of the chain")
    return None


def _at(link: _Link, what: str) -> Break:
    return Break(link.chain, link.position, link.table, link.key, what)


def _links() -> Generator[_Link, None, None]:
    """Yield the rows of all history tables, by chain and position, with the content that their digests are over."""
    parts = [_rows_of(model) for model in history_models()]
    with connection.cursor() as cursor:
        # Moments and dates stand in the content as the triggers wrote them.
        cursor.execute("SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)")
    with connection.chunked_cursor() as cursor:
        cursor.execute(f"{' UNION ALL '.join(parts)} ORDER BY 1, 2, 3, 4")
        while rows := cursor.fetchmany(ROWS_AT_A_TIME):
            for chain, position, table, key, digest, content in rows:
                yield _Link(chain, position, table, key, bytes(digest), bytes(content))


def _rows_of(history: type[models.Model]) -> str:
    """Return the SQL of the rows of a history table: chain, position, table, key, digest and content."""
    table = history._meta.db_table
    columns = {str(field.column) for field in history._meta.local_fields} - BESIDE_THE_CONTENT
    content = content_of({column: f'row."{column}"::text' for column in columns})
    return (
        f"SELECT pgh_chain, pgh_seq, '{table}', pgh_id, pgh_digest, convert_to({content}, 'UTF8')"  # noqa: S608 -- names of tables
        f" FROM {connection.ops.quote_name(table)} row"
    )
