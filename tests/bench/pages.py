"""Server time and round trips to the database of every page of the route table, with 10,000 patients at three sites.

A page is asked for as the browser asks, through every middleware, in this process: the time is that of the server
without the network. A data manager of all sites looks, who may open most pages. Of the patients a part is incomplete,
which the lists of work are about. The median and the quickest of the rounds are told: a machine that is busy with other
work makes the median longer. What the processor does for a page, in Python and in the one process of PostgreSQL
that serves it, depends on that much less: together it is about the time of the page where nothing else runs.

A page whose address has an argument that `arguments` does not name is said to be left out: whoever adds one names it.

Goals: every page within 100 ms; the same number of round trips whatever the number of patients.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

import psycopg
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, override_settings
from django.urls import URLPattern, get_resolver, resolve, reverse

from crf.forms import forms_by_name, patient_form, repeating_forms
from crf.models.data_query import DataQuery
from exports.endpoints.store import recompute_outcomes, summarise
from registry import database
from registry.accounts.second_factor import PROVEN_BY
from registry.models import Membership, Person
from registry.page_views import PageView
from registry.rights import Role
from tests.bench.data import as_owner, new_key
from tests.bench.endpoints import count_patients, have_patients

ROUNDS = 15
ASKED = {
    "page-site": (
        "",
        "?page=20",
        "?sort=lesion_assessment&order=desc",
        "?state=incomplete",
        "?state=complete",
        "?state=queries&sort=queries&order=desc",
    ),
    "page-queries": ("", "?state=all", "?site=MTP&form=lesion_assessment"),
    "page-endpoint-patients": ("", "?page=20", "?page=100", "?who=others"),
    "page-endpoint-patients-at": ("", "?page=20"),
    "page-import-template": ("?site=MTP&form=dosing&format=csv",),
}
"""What else is asked of a page, by the name of its address."""
SENT: dict[str, tuple[dict[str, str], ...]] = {
    "home": ({"search": "MTP"},),
    "page-audit": ({}, {"record_id": "MTP-002"}, {"form": "dosing", "variable": "dose_mg"}, {"user": "nobody"}),
    "page-site": ({"search": "12"},),
}
"""What is sent to a page that only reads, by the name of its address."""


def run() -> list[str]:
    """Return the lines of the report."""
    have_patients()
    recompute_outcomes()
    summarise()
    leave_some_incomplete()
    with override_settings(ROOT_URLCONF="registry.urls", ALLOWED_HOSTS=["*"]):
        client = data_manager()
        everywhere = {**arguments(), **rows_of(client)}
        lines = [f"pages at {count_patients()} patients, server time of {ROUNDS} rounds each:"]
        for name, wanted in pages():
            known = {**everywhere, **of_form(name)}
            if set(wanted) - known.keys():
                lines.append(
                    f"  {name}: left out, nothing is known for {', '.join(sorted(set(wanted) - known.keys()))}"
                )
                continue
            address = reverse(name, kwargs={argument: known[argument] for argument in wanted})
            lines += [f"  {name}{query}: {measured(client, address + query)}" for query in ASKED.get(name, ("",))]
            lines += [f"  {name} sent {sent}: {measured(client, address, sent)}" for sent in SENT.get(name, ())]
    return lines


def pages() -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the arguments of every page that answers GET."""

    def walk(patterns: Any) -> Iterator[tuple[str, list[str]]]:
        for pattern in patterns:
            if not isinstance(pattern, URLPattern):
                yield from walk(pattern.url_patterns)
                continue
            view = getattr(pattern.callback, "view_class", None)
            if isinstance(view, type) and issubclass(view, PageView) and "get" in view.needs:
                yield str(pattern.name), list(pattern.pattern.converters)

    yield from sorted(walk(get_resolver().url_patterns))


def arguments() -> dict[str, Any]:
    """Return what stands in addresses: a site, its first patient who has an entry of every form, and the first one."""
    patients = patient_form().objects.filter(site_id="MTP", deleted_at=None)
    for form in repeating_forms():
        patients = patients.filter(record_id__in=form.objects.filter(instance=1, deleted_at=None).values("patient_id"))
    patient = patients.order_by("number").first()
    assert patient is not None
    return {"code": "MTP", "record_id": patient.record_id, "instance": 1}


def rows_of(client: Client) -> dict[str, Any]:
    """Return further arguments: a figure, a query, a person and a role, and a file and an export of the client's."""
    patients = patient_form().objects.filter(site_id="MTP", deleted_at=None, status=2).order_by("number")[:200]
    lines = [f"{record_id},UNK" for record_id in patients.values_list("record_id", flat=True)]
    file = SimpleUploadedFile("sexes.csv", "\n".join(["record_id,sex", *lines]).encode())
    brought = client.post(reverse("page-import-new"), {"file": file, "site": "MTP"})
    wish = {"forms": ["dosing"], "sites": ["MTP"], "privacy": "full", "labels": "1", "filter": ""}
    confirmation = client.post(reverse("page-exports"), wish)
    (seen,) = re.findall(r'name="seen" value="([0-9a-f]{64})"', confirmation.content.decode())
    asked = client.post(reverse("page-exports"), {**wish, "seen": seen})
    return {
        "key": "months_to_bor",
        "query_id": DataQuery.objects.order_by("pk").values_list("pk", flat=True).first(),
        "username": Person.objects.order_by("pk").values_list("username", flat=True).first(),
        "membership_id": Membership.objects.order_by("pk").values_list("pk", flat=True).first(),
        "import_id": resolve(brought["Location"]).kwargs["import_id"],
        "job_id": resolve(asked["Location"]).kwargs["job_id"],
    }


def of_form(name: str) -> dict[str, Any]:
    """Return what else stands in the address of a page of one form: a variable of it."""
    form = next((form for key, form in forms_by_name().items() if name.endswith(f"-{key}")), None)
    if form is None:
        return {}
    files = [name for name, variable in form.variables().items() if variable.field_type == "file"]
    required = [name for name, variable in form.variables().items() if variable.required and name != "record_id"]
    return {"variable": required[0], **({"file_variable": files[0]} if files else {})}


def data_manager() -> Client:
    """Return a browser in which a new data manager of all sites is signed in."""
    person = Person.objects.create_user(f"bench-{new_key()}")
    Membership.objects.create(person=person, role=Role.DATA_MANAGER, starts_on=date(2020, 1, 1))
    client = Client()
    client.force_login(person)
    session = client.session
    session[PROVEN_BY] = person.pk
    session.save()
    return client


def leave_some_incomplete() -> None:
    """Take a required value from one dose in eleven and one patient in 23, and leave some assessments unverified."""
    as_owner("UPDATE crf_dosing SET status = 0, dose_schedule = NULL WHERE id % 11 = 0 AND status = 2")
    as_owner("UPDATE crf_patient SET status = 0, systemic_lupus = NULL WHERE id % 23 = 0 AND status = 2")
    as_owner("UPDATE crf_lesionassessment SET status = 1 WHERE id % 13 = 0 AND status = 2")
    as_owner("VACUUM ANALYZE")


def measured(client: Client, address: str, sent: dict[str, str] | None = None) -> str:
    """Return the figures of one page: time, processor time, round trips, size."""

    def ask() -> Any:
        return client.get(address) if sent is None else client.post(address, sent)

    response = ask()
    if response.status_code != 200:
        return f"answers {response.status_code}"
    times, python, database = [], process_time(), seconds_of_the_database()
    for _round in range(ROUNDS):
        start = perf_counter()
        ask()
        times.append(1000 * (perf_counter() - start))
    python, database = (process_time() - python) / ROUNDS, (seconds_of_the_database() - database) / ROUNDS
    with counted() as trips:
        ask()
    return (
        f"{median(times):.0f} ms (quickest {min(times):.0f} ms), processor {1000 * (python + database):.0f} ms"
        f" ({1000 * python:.0f} of Python, {1000 * database:.0f} of PostgreSQL),"
        f" {len(trips)} round trips, {len(response.content) / 1000:.0f} kB"
    )


def seconds_of_the_database() -> float:
    """Return the processor time that the process of PostgreSQL behind this connection has had, in s (proc(5), stat)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give a list that every statement sent to the database is added to, whichever way it goes."""
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def counting(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(str(query)[:80])
        return execute(cursor, query, *args, **kwargs)

    fetch_all = database._Messenger.fetch_all

    def counting_messages(messenger: Any, statements: Any, **how: Any) -> Any:
        sent.append("; ".join(text for text, _given in statements)[:80])
        return fetch_all(messenger, statements, **how)

    with (
        patch.object(psycopg.Cursor, "execute", counting),
        patch.object(database._Messenger, "fetch_all", counting_messages),
    ):
        yield sent
