"""What the chain of the history costs: 8 clients create entries with it, and without it in a copy of the database.

In the copy the triggers write the same history rows without locking, linking and digests. Both are served alike, and
the rounds are interleaved. Then the clients all write to one patient, who has one chain. While they write to the
database with the chain, the locks that their connections wait for are looked at every 10 ms.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from unittest.mock import patch

import pgtrigger
import psycopg
from django.db import connections

from registry import history, row_security
from registry.application_role import name as application_role
from registry.settings import OWNER
from tests.bench import data
from tests.bench.isolation import milliseconds
from tests.bench.isolation import one_insert as insert_one_event
from tests.bench.load import Load, Request, as_json, measure, server

PATIENTS = 1_000
CLIENTS = 8
ROUNDS = 7
SECONDS = 3.0
WATCH_SECONDS = 0.01
COPY = "ecrf_without_chain"
STATEMENTS = 60

# Positions must differ: a number that nobody waits for.
PLAIN = """
    ecrf_moment := clock_timestamp();
    INSERT INTO "{history}" ({columns}, pgh_seq, pgh_digest)
        SELECT {said}, nextval('bench_position'), ''::bytea FROM {source} AS changed;
    RETURN NULL;
"""
WAITS = """
    SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity
     WHERE datname = current_database() AND usename = current_user AND state = 'active' AND pid <> pg_backend_pid()
"""


def run() -> list[str]:
    """Return the lines of the report."""
    record_ids, token = data.patients_and_token(PATIENTS)
    ways = {"different patients": record_ids, "one patient": record_ids[:1]}
    lines = [f"history with its chain against without, {CLIENTS} clients, {ROUNDS} interleaved rounds:"]
    with (
        copy_without_chain() as address,
        server("registry.wsgi") as chained,
        server("registry.wsgi", DATABASE_URL=address, DATABASE_OWNER_URL="none") as plain,
    ):
        for way, patients in ways.items():
            pairs = rounds(chained, plain, requests_for(patients, token))
            ratio = median(mine.per_second / bare.per_second for mine, bare in pairs)
            mine, bare = (median(load.per_second for load in side) for side in zip(*pairs, strict=True))
            lines.append(f"  {way}: {ratio:.2f}x ({mine:.0f} against {bare:.0f} a second)")
        for way, patients in ways.items():
            with watched_waits() as seen:
                measure(chained, requests_for(patients, token), clients=CLIENTS, seconds=SECONDS)
            lines.append(f"  {way}: of {seen[0]} statements seen at work {seen[1]} waited for another's lock")
        lines.append(f"  one insert with its triggers, on one connection: {one_insert(address, record_ids[-1])}")
    return lines


def rounds(chained: int, plain: int, next_request: Callable[[], Request]) -> list[tuple[Load, Load]]:
    """Return what the clients saw with and without the chain, round by round, the order changing."""
    pairs = []
    for number in range(ROUNDS + 1):
        seen = {}
        for port in (chained, plain) if number % 2 else (plain, chained):
            seen[port] = measure(port, next_request, clients=CLIENTS, seconds=SECONDS if number else 1)
        pairs.append((seen[chained], seen[plain]))
    return pairs[1:]  # the first warmed up


def requests_for(record_ids: list[str], token: str) -> Callable[[], Request]:
    """Return a function that gives the next creation of an adverse event, patients in turn."""
    counter, run_key = itertools.count(), data.new_key()
    body = as_json({"ae_term": "Fatigue", "status": "incomplete"})

    def next_request() -> Request:
        number = next(counter)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{run_key}-{number}",
        }
        return f"/api/v1/patients/{record_ids[number % len(record_ids)]}/adverse_event/", body, headers

    return next_request


@contextmanager
def copy_without_chain() -> Iterator[str]:
    """Copy the database, take the chain out of its triggers, and yield the address of the copy for the application."""
    connections.close_all()  # a database that somebody uses is not copied
    owner = connections[OWNER]
    with psycopg.connect(data.address_of(OWNER, NAME="postgres"), autocommit=True) as server_wide:
        server_wide.execute(f"DROP DATABASE IF EXISTS {COPY}")
        server_wide.execute(f"CREATE DATABASE {COPY} TEMPLATE {owner.settings_dict['NAME']}")
        try:
            _take_chain_out()
            yield data.address_of("default", NAME=COPY)
        finally:
            server_wide.execute(f"DROP DATABASE {COPY} WITH (FORCE)")


def _take_chain_out() -> None:
    connections.databases[COPY] = connections.databases[OWNER] | {"NAME": COPY}
    copy = connections[COPY]
    with copy.cursor() as cursor:
        cursor.execute(f"CREATE SEQUENCE bench_position START {10**12}")
    with patch.multiple(history, LINK_STATEMENT=PLAIN, LINK_ROW=PLAIN):
        for model, trigger in pgtrigger.registered():
            if isinstance(trigger, history.HistoryTrigger):
                trigger.install(model, database=COPY)
    row_security.apply(copy, role=application_role())
    copy.close()


@contextmanager
def watched_waits() -> Iterator[list[int]]:
    """Count, while the block runs, the statements of the application at work, and those that wait for a lock."""
    seen, stop = [0, 0], threading.Event()

    def watch() -> None:
        # As the application: a role sees what its own connections wait for.
        with psycopg.connect(data.address_of("default"), autocommit=True) as watcher:
            while not stop.wait(WATCH_SECONDS):
                working, waiting = watcher.execute(WAITS, prepare=True).fetchone() or (0, 0)
                seen[0], seen[1] = seen[0] + working, seen[1] + waiting

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def one_insert(without_chain: str, record_id: str) -> str:
    """Return how an insert that is taken back compares, on one connection to each database."""
    with psycopg.connect(data.address_of("default")) as chained, psycopg.connect(without_chain) as plain:
        pairs = []
        for number in range(3 * ROUNDS):
            sides = (chained, plain) if number % 2 else (plain, chained)
            took = {side: milliseconds(insert_one_event, side, record_id, times=STATEMENTS) for side in sides}
            pairs.append((took[chained], took[plain]))
    mine, bare = (median(side) for side in zip(*pairs, strict=True))
    return f"{median(mine / bare for mine, bare in pairs):.2f}x ({mine:.2f} ms against {bare:.2f} ms)"
