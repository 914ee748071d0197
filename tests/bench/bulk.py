"""A bulk call of 1,000 entries, checks and history on, against REST framework's `many=True` with `bulk_create`.

Goal: at least 5 times the entries a second, and no history row without its actor. Each entry is of another patient,
which is the most that a call can ask for, or twenty are of one, as when whole charts are sent. What the chain of the
history takes of it is seen in a copy of the database whose triggers write the history without it (`tests.bench.chain`).
"""

import itertools
from collections.abc import Callable, Mapping
from statistics import median

import psycopg
from django.db import connection, connections

from registry.settings import OWNER
from tests.bench import data
from tests.bench.chain import COPY, copy_without_chain
from tests.bench.create import EVENT
from tests.bench.load import Request, as_json, measure, server

ROWS = 1000
FEW = 50
ROUNDS = 7
WARM_UP_SECONDS = 3


def run() -> list[str]:
    """Return the lines of the report."""
    record_ids, token = data.patients_and_token(ROWS)
    data.bare_table()
    lines = []
    with (
        copy_without_chain() as address,
        server("registry.wsgi") as ours,
        server("registry.wsgi", DATABASE_URL=address, DATABASE_OWNER_URL="none") as plain,
        server("tests.bench.bare.wsgi") as bare,
    ):
        for patients in (ROWS, FEW):
            of = record_ids[:patients] * (ROWS // patients)
            requests = {ours: _our_requests(of, token), plain: _our_requests(of, token), bare: _bare_requests(of)}
            took = _seconds(requests)
            speeds = f"{_per_second(took[ours])} against {_per_second(took[bare])} entries a second"
            lines += [
                f"bulk call of {ROWS} entries of {patients} patients against many=True with bulk_create:",
                f"  {_ratio(took[bare], took[ours]):.1f}x ({speeds})",
                f"  {_ratio(took[bare], took[plain]):.1f}x with a history that is no chain",
            ]
    return [*lines, f"  history rows without an actor: {_history_without_actor()}"]


def _our_requests(record_ids: list[str], token: str) -> Callable[[], Request]:
    values = {name: value for name, value in EVENT.items() if value is not None}
    rows = [{"form": "adverse_event", "record_id": name, "values": values} for name in record_ids]
    body, run_key, counter = as_json({"entries": rows}), data.new_key(), itertools.count()

    def next_request() -> Request:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{run_key}-{next(counter)}"}
        return "/api/v1/entries/", body, {**headers, "Content-Type": "application/json"}

    return next_request


def _bare_requests(record_ids: list[str]) -> Callable[[], Request]:
    body = as_json([{**EVENT, "record_id": name, "site": "MTP", "instance": 1} for name in record_ids])
    return lambda: ("/many/", body, {"Content-Type": "application/json"})


def _seconds(requests: Mapping[int, Callable[[], Request]]) -> dict[int, list[float]]:
    """Return how long a call to each port took, round by round: medians of one second of calls, in seconds."""
    for port, next_request in requests.items():
        measure(port, next_request, clients=8, seconds=WARM_UP_SECONDS)  # every thread of every worker has connected
    _settle()
    took: dict[int, list[float]] = {port: [] for port in requests}
    for number in range(ROUNDS):
        for port in reversed(requests) if number % 2 else requests:
            took[port].append(measure(port, requests[port], clients=1, seconds=1).p50 / 1000)
    return took


def _settle() -> None:
    """Do what autovacuum would do in the next minute, and take a core for: the rows are some seconds old."""
    for name in (connections[OWNER].settings_dict["NAME"], COPY):
        with psycopg.connect(data.address_of(OWNER, NAME=name), autocommit=True) as owner:
            owner.execute("VACUUM (ANALYZE)")


def _ratio(one: list[float], other: list[float]) -> float:
    return median(mine / yours for mine, yours in zip(one, other, strict=True))


def _per_second(took: list[float]) -> int:
    return round(ROWS / median(took))


def _history_without_actor() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM crf_adverseeventhistory WHERE pgh_context->>'username' IS NULL")
        without: int = cursor.fetchone()[0]
        return without
