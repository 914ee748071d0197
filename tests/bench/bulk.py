"""A bulk call of 1,000 entries, checks and history on, against REST framework's `many=True` with `bulk_create`.

Goal: at least 5 times the entries a second, and no history row without its actor.
"""

import itertools
from statistics import median

from django.db import connection

from tests.bench import data
from tests.bench.create import EVENT
from tests.bench.load import Request, as_json, measure, server

ROWS = 1000
ROUNDS = 7
WARM_UP_SECONDS = 3


def run() -> list[str]:
    """Return the lines of the report."""
    record_ids, token = data.patients_and_token(ROWS)
    data.bare_table()
    counter = itertools.count()
    bare_rows = [{**EVENT, "record_id": name, "site": "MTP", "instance": 1} for name in record_ids]
    values = {name: value for name, value in EVENT.items() if value is not None}
    our_rows = [{"form": "adverse_event", "record_id": name, "values": values} for name in record_ids]
    our_body, bare_body = as_json({"entries": our_rows}), as_json(bare_rows)

    def ours() -> Request:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{data.new_key()}-{next(counter)}"}
        return "/api/v1/entries/", our_body, {**headers, "Content-Type": "application/json"}

    def bare() -> Request:
        return "/many/", bare_body, {"Content-Type": "application/json"}

    pairs = []
    with server("registry.wsgi") as our_port, server("tests.bench.bare.wsgi") as bare_port:
        for port, requests in ((our_port, ours), (bare_port, bare)):
            measure(port, requests, clients=8, seconds=WARM_UP_SECONDS)  # every thread of every worker has connected
        for _round in range(ROUNDS):
            mine = measure(our_port, ours, clients=1, seconds=1)
            pairs.append((mine.p50, measure(bare_port, bare, clients=1, seconds=1).p50))
    ratio = median(bare_ms / mine_ms for mine_ms, bare_ms in pairs)
    mine_ms, bare_ms = (median(side) for side in zip(*pairs, strict=True))
    return [
        f"bulk call of {ROWS} entries: {ratio:.1f}x REST framework's many=True with bulk_create"
        f" ({1000 * ROWS / mine_ms:.0f} against {1000 * ROWS / bare_ms:.0f} entries a second)",
        f"  history rows without an actor: {_history_without_actor()}",
    ]


def _history_without_actor() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM crf_adverseeventhistory WHERE pgh_context->>'username' IS NULL")
        without: int = cursor.fetchone()[0]
        return without
