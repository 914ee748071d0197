"""What tests of the forms may use: saved patients, and a second writer with a connection of its own."""

import threading

import pytest
from django.db import connection

from registry.acting import Door, acting
from registry.rights import Role
from tests.conftest import caller_now, make_person
from tests.crf.examples import saved


@pytest.fixture
def data_manager(sites):
    """A data manager of all sites as the services see them."""
    return caller_now(make_person(Role.DATA_MANAGER))


@pytest.fixture
def patient(coordinator):
    """A complete patient of MTP."""
    return saved("patient", by=coordinator)


@pytest.fixture
def count(db):
    """Count the rows of a table."""

    def rows(table):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 -- a name from a test
            return cursor.fetchone()[0]

    return rows


def at_once(*functions):
    """Run functions at the same instant, each on a thread and connection of its own; return what each returned.

    An exception that a function raises is returned in its place.
    """
    start = threading.Barrier(len(functions))
    results = [None] * len(functions)

    def run(index, function):
        try:
            start.wait(timeout=10)
            results[index] = function()
        except Exception as error:  # handed to the test
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results


class OtherWriter:
    """Another session, of `by`, that wrote something and has not committed yet."""

    def __init__(self, write, by):
        self.written, self.may_end = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(write, by))
        self.thread.start()
        assert self.written.wait(timeout=10)

    def _run(self, write, by):
        try:
            with acting(by, door=Door.COMMAND):
                write()
                self.written.set()
                self.may_end.wait(timeout=30)
        finally:
            self.written.set()
            connection.close()

    def commits_when_somebody_waits(self):
        """Commit as soon as another session waits for a lock, without making the caller wait."""

        def wait_and_end():
            try:
                for _attempt in range(1000):
                    if somebody_waits():
                        break
                    threading.Event().wait(0.005)
            finally:
                self.may_end.set()
                connection.close()

        self.watcher = threading.Thread(target=wait_and_end)
        self.watcher.start()

    def ends(self):
        """Wait until the other session is done."""
        self.may_end.set()
        self.thread.join(timeout=30)
        if hasattr(self, "watcher"):
            self.watcher.join(timeout=30)


def somebody_waits():
    """Return whether a session of this database waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


@pytest.fixture
def other_writer(transactional_db):
    """Starts another session that holds its transaction open; it is ended after the test."""
    writers = []

    def start(write, *, by):
        writers.append(OtherWriter(write, by))
        return writers[-1]

    yield start
    for writer in writers:
        writer.ends()
