"""One validated create through HTTP with everything on, against a bare REST framework create of the same row.

Ours: token, rights, edit checks, history by trigger, changed chart listed, idempotency key kept. Bare: none of it.
Goals: at least as many a second at 1, 4 and 8 clients, and p99 at most 3 times p50.
"""

import itertools
from collections.abc import Callable
from statistics import median

from tests.bench import data
from tests.bench.load import Load, Request, as_json, measure, server

CLIENTS = (1, 4, 8)
ROUNDS = 3
SECONDS = 4.0
EVENT = {
    "ae_term": "Fatigue after the second week",
    "ae_category": "general",
    "ae_grade": "3",
    "ae_start": "2013-01",
    "ae_end": "2013-02-12",
    "ae_serious": True,
    "ae_serious_criteria": ["hospitalisation"],
    "ae_related": "possible",
    "ae_action": "none",
    "ae_outcome": "recovered",
    "ae_special_interest": "none",
    "ae_notes": None,
}


def run() -> list[str]:
    """Return the lines of the report."""
    record_ids, token = data.patients_and_token(2000)
    data.bare_table()
    ours, bare = _our_requests(record_ids, token), _bare_requests(record_ids)
    seen: dict[int, list[tuple[Load, Load]]] = {clients: [] for clients in CLIENTS}
    with server("registry.wsgi") as our_port, server("tests.bench.bare.wsgi") as bare_port:
        for port, requests in ((our_port, ours), (bare_port, bare)):
            measure(port, requests, clients=4, seconds=1)
        for _round in range(ROUNDS):
            for clients in CLIENTS:
                mine = measure(our_port, ours, clients=clients, seconds=SECONDS)
                seen[clients].append((mine, measure(bare_port, bare, clients=clients, seconds=SECONDS)))
    return ["create through HTTP, everything on, against a bare REST framework create:", *map(_line, seen.items())]


def _line(item: tuple[int, list[tuple[Load, Load]]]) -> str:
    clients, pairs = item
    ratio = median(mine.per_second / bare.per_second for mine, bare in pairs)
    mine, bare = (median(load.per_second for load in side) for side in zip(*pairs, strict=True))
    p50, p99 = (median(getattr(pair[0], name) for pair in pairs) for name in ("p50", "p99"))
    spread = median(pair[0].p99 / pair[0].p50 for pair in pairs)
    return (
        f"  {clients} clients: {ratio:.2f}x ({mine:.0f} against {bare:.0f} a second),"
        f" ours p50 {p50:.1f} ms, p99 {p99:.1f} ms = {spread:.1f}x"
    )


def _our_requests(record_ids: list[str], token: str) -> Callable[[], Request]:
    body = as_json({name: value for name, value in EVENT.items() if value is not None})
    counter = itertools.count()
    run_key = data.new_key()

    def next_request() -> Request:
        number = next(counter)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{run_key}-{number}",
        }
        return f"/api/v1/patients/{record_ids[number % len(record_ids)]}/adverse_event/", body, headers

    return next_request


def _bare_requests(record_ids: list[str]) -> Callable[[], Request]:
    counter = itertools.count()

    def next_request() -> Request:
        number = next(counter)
        row = {
            **EVENT,
            "record_id": record_ids[number % len(record_ids)],
            "site": "MTP",
            "instance": number // len(record_ids) + 1,
        }
        return "/events/", as_json(row), {"Content-Type": "application/json"}

    return next_request
