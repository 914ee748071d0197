"""Clients that repeat what was not answered, and note what was acknowledged.

Each writes texts that nobody writes twice. A POST is repeated under its idempotency key until it is answered. A PATCH
is repeated with its `If-Match`; when a repeat meets another version, the entry says whether the first one arrived.
"""

import http.client
import itertools
import json
import random
import time
from dataclasses import dataclass, field

PATIENTS = [f"MTP-{number:03d}" for number in range(1, 51)]
PATIENT = {
    "birth_date": "1970-05-01",
    "sex": "M",
    "cle_subtype": ["dle"],
    "systemic_lupus": False,
    "neuropathy_history": False,
    "thrombosis_history": False,
    "non_opposition_date": "2018-11-12",
}
TRIES = 2_000
PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 15
PATIENCE_SECONDS = 60
"""For how long, after the time is over, an answer to the last write is waited for."""
ANSWERS_LOST = 0.03
"""The share of answers that a client throws away unread, as a network does."""


@dataclass(frozen=True)
class Written:
    """A write that was acknowledged: the entry, its version after it, and the text that is its own."""

    form: str
    record_id: str
    instance: int
    version: int
    text: str
    person: int


@dataclass
class Seen:
    """What one client saw."""

    acknowledged: list[Written] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    retried: int = 0
    replayed: int = 0
    stale: int = 0
    unexpected: list[str] = field(default_factory=list)


class GaveUp(Exception):
    """No answer came, however often it was asked."""


class Client:
    """One client with a token of its own, on one connection as long as it lasts."""

    def __init__(self, number, *, person, token, port, until, enrolled):
        self.number, self.person, self.port, self.until = number, person, port, until
        self._enrolled = enrolled  # a barrier of all clients
        self.seen = Seen()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._numbers = itertools.count()
        self._dice = random.Random(number)  # noqa: S311 -- the same choices at each run
        self._connection = None
        self._events = []

    def work(self):
        """Create and change entries of the patients until the time is over; the last one is seen through."""
        try:
            self._work()
        finally:
            self.hang_up()

    def _work(self):
        for number in range(6 * self.number, 6 * self.number + 14):  # each patient by two clients or three
            self.enrol(PATIENTS[number % len(PATIENTS)])
        self._enrolled.wait(self.until - time.monotonic() + PATIENCE_SECONDS)
        while time.monotonic() < self.until:
            record_id = self._dice.choice(PATIENTS)
            chosen = self._dice.random()
            if chosen < 0.4:
                self.add_event(record_id)
            elif chosen < 0.7 and self._events:
                # One of its own: others change the newest ones of the patient too.
                self.change("adverse_event", *self._dice.choice(self._events[-20:]), variable="ae_term")
            elif chosen < 0.98:
                self.change("patient", record_id, 1, variable="patient_notes")
            else:
                self.ask_for_export()

    def enrol(self, record_id):
        """Create a patient, unless another client was first."""
        text = self._new_text()
        body = {**PATIENT, "record_id": record_id, "site": "MTP", "patient_notes": text}
        status, answer, _headers = self.post("/api/v1/patients/", body, key=text)
        if status == 201:
            self._note("patient", answer, text)
        elif (codes := [error["code"] for error in answer.get("errors", [])]) != ["record_exists"]:
            self.seen.unexpected.append(f"enrol {status} {codes}")

    def add_event(self, record_id):
        """Create an adverse event; the first of two clients' ways to add to the same chain at once."""
        text = self._new_text()
        status, answer, _headers = self.post(
            f"/api/v1/patients/{record_id}/adverse_event/", {"ae_term": text, "status": "incomplete"}, key=text
        )
        if status == 201:
            self._note("adverse_event", answer, text)
            self._events.append((record_id, answer["instance"]))
        else:
            self.seen.unexpected.append(f"add {status} {answer}")

    def change(self, form, record_id, instance, *, variable):
        """Change one variable; whoever meets another version reads it and tries again."""
        text = self._new_text()
        path = f"/api/v1/patients/{record_id}/" + ("" if form == "patient" else f"{form}/{instance}/")
        body = json.dumps({variable: text})
        for _try in range(TRIES):
            status, _answer, headers = self.send("GET", path, None, {})[:3]
            if status != 200:
                self.seen.unexpected.append(f"read {status}")
                return
            given = {"If-Match": headers["ETag"], "X-Change-Reason": "faults"}
            status, answer, _headers, was_lost = self.send("PATCH", path, body, given)
            if status == 200:
                self._note(form, answer, text)
                return
            if status != 412:
                self.seen.unexpected.append(f"change {status} {answer}")
                return
            if was_lost and answer["current"][variable] == text:
                self._note(form, answer["current"], text)
                return
            if was_lost:  # it arrived and was overwritten since, or never arrived: the history will tell
                self.seen.in_doubt.append(text)
                return
            self.seen.stale += 1
        raise GaveUp(path)

    def ask_for_export(self):
        """Ask for a workbook of the site."""
        key = self._new_text()
        status, answer, _headers = self.post("/api/v1/exports/", {"format": "xlsx", "sites": ["MTP"]}, key=key)
        if status == 202:
            self.seen.exports.append(answer["id"])
        else:
            self.seen.unexpected.append(f"export {status} {answer}")

    def post(self, path, body, *, key):
        """Return status, answer and headers of a POST that is repeated under its key until it is answered."""
        return self.send("POST", path, json.dumps(body), {"Idempotency-Key": key})[:3]

    def send(self, method, path, body, headers):
        """Return status, answer, headers, and whether an earlier try may have arrived without an answer."""
        was_lost = False
        pause = PAUSE_SECONDS
        for _try in range(TRIES):
            try:
                status, content, received = self._ask(method, path, body, self._headers | headers)
                if self._dice.random() < ANSWERS_LOST:
                    raise ConnectionResetError
            except (OSError, http.client.HTTPException):
                self.hang_up()
            else:
                if status < 500:
                    self.seen.replayed += received.get("Idempotency-Replayed") == "true"
                    return status, json.loads(content), received, was_lost
                if status != 503:
                    self.seen.unexpected.append(f"{method} {path} {status} {content[:200]!r}")
            was_lost = True
            self.seen.retried += 1
            if time.monotonic() > self.until + PATIENCE_SECONDS:
                break
            time.sleep(pause)  # as a patient client does; the number of tries is bounded
        raise GaveUp(path)

    def hang_up(self):
        """Close the connection; the next call makes another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _ask(self, method, path, body, headers):
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read(), response.headers

    def _note(self, form, entry, text):
        place = entry["record_id"], entry["instance"] or 1
        self.seen.acknowledged.append(Written(form, *place, entry["version"], text, self.person))

    def _new_text(self):
        return f"{self.number}-{next(self._numbers)}"
