"""Schemathesis over the whole OpenAPI document, as each role and as nobody.

Whatever is sent, within the schemas or beside them: no answer is a failure of ours, and none is off its schema.
"""

from functools import cache

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from exports.models import Job, Kind, State
from registry.callers import create_token
from registry.models import Membership, Token
from registry.rights import Role
from tests.conftest import caller_now, make_person, see_everything
from tests.crf.examples import REPEATING, saved

EXAMPLES = 10
"""Requests to each operation as each caller, the same ones in every run."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@cache
def operations():
    """Return every operation of the document as it is served."""
    schema = schemathesis.openapi.from_wsgi("/api/schema/", get_wsgi_application())
    return [result.ok() for result in schema.get_all_operations()]


@pytest.fixture(autouse=True)
def _requests_leave_the_connection_of_the_test_alone():
    """Spare the transaction of the test what Django does around a request of a server; its own client does the same."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def something(sites):
    """Arguments of addresses at which something is, for who may see NIM."""
    data_manager = caller_now(make_person(Role.DATA_MANAGER, username="manager"))
    saved("patient", by=data_manager, site="NIM")
    for form in REPEATING:
        saved(form, by=data_manager, record_id="NIM-001")

    def of(person):
        cut = {"forms": ["patient"], "sites": ["NIM"], "privacy": "full", "labels": True, "filter": None}
        see_everything()
        job = Job.objects.create(
            kind=Kind.EXPORT, requested_by=person, sites=["NIM"], state=State.WAITING, parameters=cut
        )
        return {
            "record_id": "NIM-001",
            "instance": 1,
            "code": "NIM",
            "username": person.username,
            "job_id": str(job.pk),
            "membership_id": getattr(Membership.objects.filter(person=person).first(), "pk", 1),
            "token_id": getattr(Token.objects.filter(person=person).first(), "pk", 1),
        }

    return of


@pytest.mark.slow
@pytest.mark.parametrize("role", [*Role, None, "nobody"])
def test_no_request_makes_us_fail_and_no_answer_is_off_its_schema(role, something):
    person = make_person(None if role == "nobody" else role, username="somebody")
    headers = {"Authorization": f"Bearer {create_token(person)[0]}"} if role != "nobody" else {}
    there = something(person)
    called = 0

    def call(case, to_what_is_there):
        nonlocal called
        called += 1
        if to_what_is_there:
            case.path_parameters = {name: there.get(name, 1) for name in case.path_parameters or {}}
        with transaction.atomic():  # each request meets the same data
            response = case.call(headers=headers)
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)
        if role == "nobody":
            assert response.status_code in (401, 404)

    for operation in operations():
        SETTINGS(hypothesis.given(operation.as_strategy(), st.booleans())(call))()

    assert called >= len(operations()) * EXAMPLES / 2
