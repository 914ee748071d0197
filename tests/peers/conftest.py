"""Somebody else's clients against our own running server."""

import threading
from decimal import Decimal

import pytest
from django.db import connection
from redcap.request import _session

from registry.callers import create_token
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved


@pytest.fixture
def address(live_server):
    """The address of REDCap's API on a running server."""
    return f"{live_server.url}/redcap/api/"


@pytest.fixture(autouse=True)
def server_is_done(transactional_db):
    """Wait after each test until the server's threads have let go of the database, so that it can be emptied."""
    yield
    _session.close()  # PyCap's one for all projects: an open connection keeps the thread that serves it
    for _attempt in range(1000):
        if not other_sessions():
            return
        threading.Event().wait(0.005)
    pytest.fail("A thread of the server kept its connection.")


def other_sessions():
    """Return how many other sessions this database has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]


@pytest.fixture
def token(live_server, sites):
    """Return a function that makes a token for a new person of a role, at a site or at all."""

    def make(role=Role.DATA_MANAGER, *, site=None, username="manager"):
        return create_token(make_person(role, site=site, username=username))[0]

    return make


@pytest.fixture
def cohort(live_server, sites):
    """Two patients of MTP and one of NIM, with a treatment, three doses and an adverse event."""
    by = caller_now(make_person(Role.DATA_MANAGER, username="typist"))
    saved("patient", {"sex": "F", "cle_subtype": ["dle", "acle"]}, by=by, record_id="MTP-001", site="MTP")
    saved("patient", by=by, record_id="MTP-002", site="MTP", missing={"race": "NASK"})
    saved("patient", {"patient_notes": 'Élan, "vital"\nligne 2'}, by=by, record_id="NIM-001", site="NIM")
    saved("prior_treatment", {"prior_start": "2010-03"}, by=by, record_id="MTP-001")
    saved("dosing", {"dose_end": "2020-01-31"}, by=by, record_id="MTP-001")
    saved("dosing", {"dose_start": "2020-02-01", "dose_mg": Decimal("2.5")}, by=by, record_id="MTP-001")
    saved("adverse_event", by=by, record_id="MTP-001")
    saved("dosing", by=by, record_id="NIM-001")
