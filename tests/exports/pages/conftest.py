import pytest
from django.core.management import call_command

from exports.recompute import recompute_stale
from tests.exports.endpoints.cohort19 import FOLDER


@pytest.fixture
def cohort19(sites):
    """The nineteen cases, computed."""
    call_command("load_forms", str(FOLDER))
    recompute_stale()
