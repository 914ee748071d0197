"""A real Chromium at a running server.

Tests here are skipped where there is no Chromium, and say so; with REQUIRE_BROWSER=1 that is a failure.
"""

import os
import shutil
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.db import connection, connections
from playwright.sync_api import sync_playwright

from registry.rights import Role
from tests.conftest import Browser, make_person

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OF_DEBIAN = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SIZES = {"desk": (1366, 768), "tablet": (768, 1024)}
A11Y_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

# Playwright's event loop runs in the thread of the tests, which look at the database meanwhile.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def pytest_collection_modifyitems(items):
    """Mark what is here as slow, and skip it where there is no browser."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.slow)
            if CHROMIUM is None and os.environ.get("REQUIRE_BROWSER") != "1":
                item.add_marker(pytest.mark.skip(reason="No Chromium here. As root: apt install chromium"))


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests of this process."""
    assert CHROMIUM, "REQUIRE_BROWSER=1, but there is no Chromium. As root: apt install chromium"
    connections.close_all()  # Django keeps others where an event loop runs: these would never be let go of
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OF_DEBIAN)
        yield browser
        browser.close()


@pytest.fixture
def at(chromium, live_server, sites):
    """Return a function that opens a tab in which a new person of a role is signed in.

    What fails in the tab (a script, an answer with 5xx, anything loaded from elsewhere) fails the test.
    """
    contexts, failures, before = [], [], other_sessions()

    def note(response):
        if response.status >= 500:
            failures.append(f"{response.status} {response.url}")
        if not response.url.startswith((live_server.url, "data:", "blob:")):
            failures.append(f"from elsewhere: {response.url}")

    def open_tab(role=Role.COORDINATOR, *, site="MTP", username=None, person=None, size="desk", dark=False, **options):
        client = Browser()
        client.sign_in(person or make_person(role, site=site, username=username))
        width, height = SIZES[size]
        context = chromium.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            **options,
        )
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        context.set_default_timeout(15_000)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: failures.append(str(error)))
        tab.on("response", note)
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    wait_until_the_server_is_done(before=before)
    assert failures == []


def violations(tab, rules=A11Y_RULES):
    """Return what axe-core finds on a page: the rule, its words, and where."""
    found = Axe().run(tab, options=rules).response["violations"]
    return [(rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]


def other_sessions():
    """Return the sessions that this database has beside that of the test."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def wait_until_the_server_is_done(*, before):
    """Wait until the server's threads have let go of the database, so that it can be emptied.

    `before` are the sessions that were there before the server was asked for anything: they are not its own.
    """
    for _attempt in range(2000):
        if other_sessions() <= before:
            return
        threading.Event().wait(0.005)
    pytest.fail("A thread of the server kept its connection.")
