"""Logs, file names and job rows carry nothing of a patient, whatever is sent: "nothing private leaks sideways".

Distinctive values go through every door of a real web server and a real worker, with errors, conflicts and a broken
database among the answers. Then everything that is written beside the tables is searched for them.
"""

import http.client
import json
import re
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from crf.forms import all_forms
from exports.models import Job
from registry.callers import create_token
from registry.embedded import Servers
from registry.rights import Role
from registry.settings import ENVIRONMENT
from tests import programs
from tests.conftest import as_owner, make_person
from tests.crf.examples import COMPLETE, REPEATING

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

MARK = "Zwyx"
BIRTH = "1943-07-29"
TERM = f"{MARK}kopfschmerz"
REASON = f"{MARK}grund"
NUMBER = "17.123987"
KEY = f"{MARK}-idempotency"
SENT = [MARK.lower(), BIRTH, NUMBER]


@pytest.fixture
def served(tmp_path, sites):
    """The port of a web server with its worker, as in production but at the most talkative level."""
    port = programs.free_port()
    with programs.empty_broker():
        started = [
            programs.start(*program, log=tmp_path / log, folder=tmp_path, LOG_LEVEL=level, DEBUG=None)
            for log, program, level in (
                ("web.log", programs.web_server(port), "DEBUG"),
                ("worker.log", programs.WORKER, "DEBUG"),
            )
        ]
        try:
            programs.until(lambda: programs.listens(port), why=(tmp_path / "web.log").read_text)
            yield port
        finally:
            programs.end(started)


@pytest.fixture
def send(served):
    """Send one request; return status and JSON."""
    token = create_token(make_person(Role.DATA_MANAGER))[0]

    def request(method, path, body=None, *, token=token, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", served, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body)
        connection.request(
            method,
            f"/api/v1/{path}",
            content,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **named},
        )
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    request.token = token
    return request


def values(form):
    """Return values of a form with something to find in every variable that takes a text, a date or a number."""
    marked = {"birth_date": BIRTH, "ae_term": TERM, "ae_notes": TERM, "initials": MARK[:2]}
    known = next(one for one in all_forms() if one.form_name() == form).variables()
    return {**COMPLETE[form], **{name: value for name, value in marked.items() if name in known}}


def go_through_every_door(send):
    """Send what is accepted and what is refused; return the statuses that were seen."""
    patient = {**values("patient"), "site": "MTP"}
    item = {"form": "adverse_event", "record_id": "MTP-001", "values": values("adverse_event")}
    requests = [
        ("POST", "patients/", patient, {"Idempotency_Key": KEY}),
        ("POST", "patients/", patient, {"Idempotency_Key": KEY}),
        ("POST", "patients/", {**patient, "sex": "F"}, {"Idempotency_Key": KEY}),
        ("POST", "patients/", {**patient, MARK: MARK}, {}),
        ("POST", "patients/", {**patient, "sex": MARK, "birth_date": MARK}, {}),
        ("POST", "patients/", f'{{"initials": "{MARK}"'.encode(), {}),
        ("POST", "patients/", f'{{"{MARK}": 1, "{MARK}": 2}}'.encode(), {}),
        *[("POST", f"patients/MTP-001/{form}/", values(form), {}) for form in REPEATING],
        ("POST", "patients/MTP-001/dosing/", {**values("dosing"), "dose_mg": float(NUMBER)}, {}),
        ("POST", "patients/MTP-001/dosing/", values("dosing"), {}),
        ("PATCH", "patients/MTP-001/", {"sex": "F"}, {"If_Match": '"1"', "X_Change_Reason": REASON}),
        (
            "PATCH",
            "patients/MTP-001/",
            {"birth_date": BIRTH, "sex": "M"},
            {"If_Match": '"1"', "X_Change_Reason": REASON},
        ),
        ("PATCH", "patients/MTP-001/", {"sex": "M"}, {"X_Change_Reason": REASON}),
        ("DELETE", "patients/MTP-001/adverse_event/1/", None, {"If_Match": '"1"', "X_Change_Reason": REASON}),
        ("POST", "entries/", {"entries": [item, item]}, {}),
        ("POST", "entries/", {"entries": [item, {**item, "values": {"ae_term": TERM, MARK: 1}}]}, {}),
        ("POST", "exports/", {"format": "xlsx", "forms": [MARK]}, {}),
        ("POST", "exports/", {"format": MARK, MARK: MARK}, {}),
        ("GET", "endpoints/patients/", None, {}),
        ("POST", "no-such-address/", {MARK: MARK}, {}),
        ("PUT", "patients/", {MARK: MARK}, {}),
    ]
    return {send(method, path, body, **headers)[0] for method, path, body, headers in requests}


def break_the_table():
    """Let an insert fail inside the database in a way that no code expects, with the row in the error."""
    with as_owner() as owner:
        owner.execute(
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no such thing as %', NEW.ae_term; END $$;"
            "CREATE TRIGGER broken BEFORE INSERT ON crf_adverseevent FOR EACH ROW EXECUTE FUNCTION broken()"
        )


def mend_the_table():
    with as_owner() as owner:
        owner.execute("DROP TRIGGER broken ON crf_adverseevent; DROP FUNCTION broken()")


@contextmanager
def a_table_gone():
    """Run the block while a query of an export fails."""
    with as_owner() as owner:
        owner.execute("ALTER TABLE crf_adverseevent RENAME TO elsewhere")
    try:
        yield
    finally:
        with as_owner() as owner:
            owner.execute("ALTER TABLE elsewhere RENAME TO crf_adverseevent")


def server_log():
    """Return the log of our own PostgreSQL, nothing where it is another's."""
    file = Servers(settings.VAR_DIR).data / "server.log"
    return file.read_text(errors="replace") if ENVIRONMENT.database_url is None else ""


def found_in(text):
    return [line for line in text.splitlines() if any(sent in line.lower() for sent in SENT)]


def test_what_is_sent_is_in_the_tables_and_nowhere_else(send, tmp_path):
    before = len(server_log())
    statuses = go_through_every_door(send)
    assert statuses >= {200, 201, 204, 400, 404, 405, 412, 422, 428}
    break_the_table()
    try:
        status, answer = send("POST", "patients/MTP-001/adverse_event/", values("adverse_event"))
    finally:
        mend_the_table()
    assert status == 500
    assert found_in(answer.decode()) == []

    status, answer = send("POST", "exports/", {"format": "xlsx"})
    job = json.loads(answer)
    programs.until(
        lambda: json.loads(send("GET", f"exports/{job['id']}/")[1])["state"] == "done",
        why=(tmp_path / "worker.log").read_text,
    )
    with a_table_gone():
        broken = json.loads(send("POST", "exports/", {"format": "xlsx"})[1])
        programs.until(
            lambda: broken["id"] in (tmp_path / "worker.log").read_text(), why=(tmp_path / "worker.log").read_text
        )
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "adverse_event.csv").write_text(f"record_id,ae_term,ae_grade\nMTP-001,{TERM},{MARK}\n")
    with pytest.raises(CommandError):
        call_command("load_forms", str(tmp_path / "files"))

    logs = {name: (tmp_path / name).read_text() for name in ("web.log", "worker.log")}
    assert "answered with 500 at adverse_event-instances" in logs["web.log"]
    assert f"job {broken['id']} broke off in attempt 1: ProgrammingError" in logs["worker.log"]
    assert {name: found_in(text) for name, text in logs.items()} == {"web.log": [], "worker.log": []}
    assert not any(send.token in text or send.token.lower() in text for text in logs.values())
    assert found_in(server_log()[before:]) == []
    row = Job.objects.filter(pk=job["id"]).values().get()
    assert found_in(json.dumps(row, default=str)) == []
    names = [row["file_name"], *(path.name for path in (tmp_path / "exports").iterdir())]
    assert all(re.fullmatch(r"cut-[0-9TZ]+-full\.xlsx|[0-9a-f-]{36}\.xlsx", name) for name in names), names
