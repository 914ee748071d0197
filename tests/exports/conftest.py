import pytest

from exports import jobs
from exports.models import Kind
from registry.rights import Role
from tests.conftest import caller_now, make_person


@pytest.fixture
def data_manager(sites):
    """A data manager of all sites as the services see them."""
    return caller_now(make_person(Role.DATA_MANAGER))


@pytest.fixture
def export_folder(settings, tmp_path):
    """The empty folder of export files."""
    settings.VAR_DIR = tmp_path
    return tmp_path / "exports"


@pytest.fixture
def runner(monkeypatch):
    """Has the jobs of the kind `export` done by another function."""
    return lambda function: monkeypatch.setitem(jobs.RUNNERS, Kind.EXPORT, function)
