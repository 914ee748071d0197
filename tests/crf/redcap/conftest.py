"""What tests of REDCap's API may use: somebody who calls it as a client does, and a small cohort."""

import csv
import io
import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from crf.locks import Target, lock
from registry.acting import Door, acting
from registry.callers import create_token
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved

ADDRESS = "/redcap/api/"
URLENCODED = "application/x-www-form-urlencoded"


def locked(record_id, *, by, **place):
    """Lock a patient, a form or an instance of theirs."""
    with acting(by, door=Door.REST):
        lock(Target(record_id=record_id, **place), reason="cleaned for the data cut", by=by, now=timezone.now())


class Redcap:
    """Calls with one token."""

    def __init__(self, token, *, by=None):
        self.token, self.by, self.client = token, by, Client(raise_request_exception=False)

    def __call__(self, content, *, address=ADDRESS, **fields):
        """Send fields as PyCap does: lists with numbers from 0."""
        sent = {"token": self.token, "content": content}
        for name, value in fields.items():
            if isinstance(value, list):
                sent |= {f"{name}[{index}]": element for index, element in enumerate(value)}
            else:
                sent[name] = value
        return Answer(self.client.post(address, urlencode(sent), content_type=URLENCODED))

    def multipart(self, content, *, address=ADDRESS, **fields):
        """Send fields as redcapAPI does: multipart, lists with numbers from 1."""
        sent = {"token": self.token, "content": content}
        for name, value in fields.items():
            if isinstance(value, list):
                sent |= {f"{name}[{index}]": element for index, element in enumerate(value, start=1)}
            else:
                sent[name] = value
        return Answer(self.client.post(address, sent))

    def raw(self, body, content_type=URLENCODED):
        """Send bytes as they are."""
        return Answer(self.client.post(ADDRESS, body, content_type=content_type))


class Answer:
    """What came back: status, headers and the whole body."""

    def __init__(self, response):
        self.status, self.headers = response.status_code, response.headers
        self.body = response.getvalue() if response.streaming else response.content

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def csv(self):
        return list(csv.DictReader(io.StringIO(self.text, newline="")))

    @property
    def error(self):
        """Status and text of an error told in JSON."""
        return self.status, self.json["error"]


@pytest.fixture
def redcap(sites):
    """Return a function that makes a caller for a new person of a role, at a site or at all."""

    def make(role=Role.DATA_MANAGER, *, site=None, username=None, token_site=None):
        person = make_person(role, site=site, username=username)
        return Redcap(create_token(person, site=token_site and sites[token_site])[0], by=caller_now(person))

    return make


@pytest.fixture
def manager(redcap):
    """Somebody who may do everything at all sites."""
    return redcap(username="manager")


@pytest.fixture
def cohort(data_manager):
    """Two patients of MTP and one of NIM; MTP-001 has two doses, a treatment and an adverse event."""
    by = data_manager
    saved("patient", {"sex": "F", "cle_subtype": ["dle", "acle"]}, by=by, record_id="MTP-001", site="MTP")
    saved("patient", by=by, record_id="MTP-002", site="MTP", missing={"race": "NASK"})
    saved("patient", {"patient_notes": 'Élan, "vital"\nligne 2'}, by=by, record_id="NIM-001", site="NIM")
    saved("prior_treatment", {"prior_start": "2010-03"}, by=by, record_id="MTP-001")
    saved("dosing", {"dose_end": "2020-01-31"}, by=by, record_id="MTP-001")
    saved("dosing", {"dose_start": "2020-02-01", "dose_mg": Decimal("2.5")}, by=by, record_id="MTP-001")
    saved("adverse_event", by=by, record_id="MTP-001")
    saved("dosing", by=by, record_id="NIM-001")
