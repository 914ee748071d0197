"""Three sites with twenty users each at work (negative test 44)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crf.models.adverse_event import AdverseEvent
from crf.models.patient import Patient
from registry.acting import Door, acting_as_the_system
from registry.callers import create_token
from registry.history_chain import broken_chains
from registry.models import Token
from registry.rights import Role
from tests.conftest import SITES, Api, make_person
from tests.crf.examples import body

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

USERS = 20
AT_ONCE = 8
PATIENTS = "/api/v1/patients/"
QUERIES = {
    PATIENTS: 3,
    "/api/v1/forms/adverse_event/": 3,
    "/api/v1/queries/": 3,
    "/api/v1/audit/": 3,
    "/api/v1/endpoints/patients/": 3,
}
"""Statements of each page, the two ends of its transaction among them, however much there is to show."""


def day_of(site, token):
    """Do what a coordinator does with one new patient; return the statuses, and the sites that were seen."""
    user, seen, statuses = Api(token), set(), []

    def send(method, path, content=None, **headers):
        response = user.send(method, path, content, **headers) if content else user.get(path)
        statuses.append(response.status_code)
        return response

    try:
        send("get", "/api/v1/me/")
        patient = send("post", PATIENTS, body(site=site), Idempotency_Key="patient").json()
        events = f"{PATIENTS}{patient['record_id']}/adverse_event/"
        for number in range(2):
            send("post", events, {"ae_term": f"Event {number}", "status": "incomplete"}, Idempotency_Key=f"{number}")
        send("patch", f"{events}1/", {"ae_term": "Fatigue"}, If_Match='"1"')
        send("patch", f"{events}1/", {"ae_term": "Too late"}, If_Match='"1"')
        for page in QUERIES:
            for row in send("get", page).json()["results"]:
                seen.add(row["site"] if "site" in row else row["record_id"][:3])
    finally:
        connection.close()
    return statuses, seen


def queries_of_each_page(token):
    """Return how many statements each page takes."""
    user, taken = Api(token), {}
    user.get("/api/v1/me/")  # the first one on a connection looks after more
    for page in QUERIES:
        with CaptureQueriesContext(connection) as queries:
            assert user.get(page).status_code == 200
        taken[page] = len(queries)
    return taken


def test_sixty_users_at_three_sites_meet_no_error_and_nothing_of_another_site(sites):
    users = [
        (site, create_token(make_person(Role.COORDINATOR, site=site, username=f"{site}-{number}"))[0])
        for number in range(USERS)
        for site in SITES
    ]
    before = queries_of_each_page(users[0][1])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        days = list(pool.map(lambda user: day_of(*user), users, timeout=300))

    expected = Counter([200, 201, 201, 201, 200, 412, *[200] * len(QUERIES)])
    assert [Counter(statuses) for statuses, _seen in days] == [expected] * len(users)
    assert [seen for _statuses, seen in days] == [{site} for site, _token in users]
    assert (Patient.objects.count(), AdverseEvent.objects.count()) == (len(users), 2 * len(users))
    assert AdverseEvent.objects.filter(ae_term="Fatigue", version=2).count() == len(users)
    assert Token.objects.count() == len(users)
    with acting_as_the_system(door=Door.COMMAND):
        assert list(broken_chains()) == []
    assert before == queries_of_each_page(users[0][1]) == QUERIES
