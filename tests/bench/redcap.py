"""A full record export through REDCap's API against our own REST listing of the same rows, from one server process.

REST is read as a script would: every form, in pages of 1,000. Memory is the most that the server's worker ever held.

Goals: faster than the REST listing; the same memory at 1,000 and at 10,000 patients.
"""

import http.client
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlencode, urlsplit

from crf.forms import all_forms
from tests.bench.load import server
from tests.bench.workbook import FEW, MANY, case, environment_of, make_database

ROUNDS = 3
PAGE = 1_000


def run() -> list[str]:
    """Return the lines of the report."""
    few_mb = _peak_after_an_export(FEW)
    with _serving(MANY) as (port, token):
        exports = {
            "flat JSON": lambda: _export(port, token, format="json"),
            "flat CSV": lambda: _export(port, token, format="csv"),
            "EAV CSV": lambda: _export(port, token, format="csv", type="eav"),
        }
        megabytes = {name: size() / 1e6 for name, size in exports.items()}
        many_mb = _peak_mb()
        rounds = [(_timed(lambda: _listing(port, token)), *map(_timed, exports.values())) for _round in range(ROUNDS)]
        rows, with_rest_mb = _listing(port, token), _peak_mb()
    rest, *times = (median(side) for side in zip(*rounds, strict=True))
    ratios = [median(round_[0] / round_[index] for round_ in rounds) for index in range(1, len(rounds[0]))]
    return [
        f"REST listing of {MANY} patients, {rows} rows in pages of {PAGE}: {rest:.1f} s",
        *(
            f"  REDCap {name} of the same: {ratio:.1f}x as fast ({seconds:.1f} s, {megabytes[name]:.0f} MB)"
            for name, ratio, seconds in zip(exports, ratios, times, strict=True)
        ),
        f"  peak memory of the server: {few_mb:.0f} MB at {FEW} patients, {many_mb:.0f} MB at {MANY}"
        f" ({with_rest_mb:.0f} MB after the listing)",
    ]


@contextmanager
def _serving(patients: int) -> Iterator[tuple[int, str]]:
    """Serve the database of so many patients with one worker; yield the port and a token for all sites."""
    make_database(patients)
    case("prepare", patients=patients)
    token = case("token", patients=patients)["token"]
    with server("registry.wsgi", workers=1, **environment_of(patients)) as port:
        yield port, token


def _peak_after_an_export(patients: int) -> float:
    with _serving(patients) as (port, token):
        _export(port, token, format="json")
        return _peak_mb()


def _timed(read: Callable[[], int]) -> float:
    began = perf_counter()
    read()
    return perf_counter() - began


def _export(port: int, token: str, **fields: str) -> int:
    """Read a whole export and return its bytes."""
    body = urlencode({"token": token, "content": "record", **fields})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/redcap/api/", body, {"Content-Type": "application/x-www-form-urlencoded"})
    response, read = connection.getresponse(), 0
    if response.status != 200:
        raise RuntimeError(response.read()[:300])
    while part := response.read(1 << 20):
        read += len(part)
    connection.close()
    return read


def _listing(port: int, token: str) -> int:
    """Read every form page by page and return the number of rows."""
    connection, rows = http.client.HTTPConnection("127.0.0.1", port, timeout=300), 0
    for form in all_forms():
        address = f"/api/v1/forms/{form.form_name()}/?limit={PAGE}"
        while address:
            connection.request("GET", address, headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(response.read()[:300])
            page = json.loads(response.read())
            rows += len(page["results"])
            following = urlsplit(page["next"] or "")
            address = f"{following.path}?{following.query}" if following.path else ""
    connection.close()
    return rows


def _peak_mb() -> float:
    """Return the most memory that a worker of the server, our grandchild, ever held, in MB (Linux only)."""
    masters = [child for child in _children(os.getpid()) if "gunicorn" in Path(f"/proc/{child}/cmdline").read_text()]
    return max(_high_water(worker) for master in masters for worker in _children(master))


def _children(parent: int | str) -> list[str]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def _high_water(process: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")] or ["0"]
    return int(kilobytes) * 1024 / 1e6
