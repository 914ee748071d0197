"""Looking after it: somebody is added and comes in for the first time; a token is made, used and revoked."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from registry.models import Person
from registry.rights import Role
from tests.browser.conftest import violations
from tests.conftest import make_person
from tests.registry.accounts.conftest import PASSWORD, code_now, with_codes


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def visitor(at, chromium, live_server):
    """Return a function that opens a tab in which nobody is signed in; closed before the server is waited for."""
    contexts = []

    def open_tab(**options):
        contexts.append(chromium.new_context(base_url=live_server.url, **options))
        contexts[-1].set_default_timeout(15_000)
        return contexts[-1].new_page()

    yield open_tab
    for context in contexts:
        context.close()


def test_a_data_manager_adds_somebody_who_signs_in_chooses_a_password_and_sets_up_codes(at, visitor):
    manager = at(Role.DATA_MANAGER, site=None, username="manager")
    manager.goto("/people/")
    manager.get_by_role("link", name="Add a person").click()
    manager.get_by_label("User name").fill("a.name")
    manager.get_by_label("Role").select_option("Monitor")
    manager.get_by_label("Site").select_option("All sites")
    manager.get_by_role("button", name="Add").click()
    first = manager.locator("#secret").text_content()
    assert violations(manager) == []
    manager.get_by_role("link", name="I have it").click()
    assert manager.get_by_text("Monitor").first.is_visible()

    tab = visitor()
    tab.goto("/")
    tab.get_by_label("User name").fill("a.name")
    tab.get_by_label("Password").fill(first)
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_label("Present password").fill(first)
    tab.get_by_label("New password", exact=True).fill(PASSWORD)
    tab.get_by_label("New password again").fill(PASSWORD)
    assert violations(tab) == []
    tab.get_by_role("button", name="Change password").click()
    secret = tab.locator("code.secret").text_content()
    assert violations(tab) == []
    tab.get_by_label("Code", exact=True).fill(code_now(secret=secret))
    tab.get_by_role("button", name="Use codes from now on").click()
    assert tab.locator(".codes li").count() == 10
    assert violations(tab) == []
    tab.get_by_role("link", name="I have them").click()
    tab.get_by_role("link", name="Patients").wait_for()


def test_a_token_is_made_used_by_a_program_and_refused_once_it_is_revoked(at, live_server):
    tab = at(Role.COORDINATOR, site="MTP", username="coordinator")
    tab.goto("/tokens/")
    tab.get_by_label("What it is for").fill("nightly export")
    assert tab.get_by_label("Read entries").is_hidden()
    tab.get_by_label("Only what I tick").check()
    tab.get_by_label("Read entries").check()
    tab.get_by_role("button", name="Make the token").click()
    token = tab.locator("#secret").text_content()

    assert who_am_i(live_server, token) == ("coordinator", ["read"])
    tab.get_by_role("link", name="I have it").click()
    tab.locator("summary", has_text="Revoke").click()
    tab.get_by_role("button", name="Revoke").click()
    tab.get_by_text("The token is revoked.").wait_for()

    with pytest.raises(HTTPError, match="401"):
        who_am_i(live_server, token)


def test_two_quick_clicks_make_one_person_and_show_the_password(at):
    tab = at(Role.DATA_MANAGER, site=None, username="manager")
    tab.goto("/new-person/")
    tab.get_by_label("User name").fill("a.name")
    tab.get_by_label("Role").select_option("Monitor")
    tab.get_by_label("Site").select_option("All sites")
    tab.get_by_role("button", name="Add").dblclick()

    shown = tab.locator("#secret").text_content()
    assert Person.objects.get(username="a.name").check_password(shown)


def test_the_dark_is_chosen_against_what_the_device_says(at):
    tab = at(Role.COORDINATOR, site="MTP")
    tab.goto("/account/")
    light = ground(tab)
    tab.locator("#looks").select_option("Dark")
    tab.locator("form", has=tab.locator("#looks")).get_by_role("button").click()
    tab.locator("html[data-looks=dark]").wait_for()

    assert ground(tab) != light
    assert violations(tab) == []


def test_the_health_page_says_when_the_server_is_silent(at):
    tab = at(Role.DATA_MANAGER, site=None)
    tab.goto("/health/")
    tab.route("**/health/", lambda route: route.abort())

    tab.evaluate("htmx.ajax('GET', '/health/', '#signs').catch(() => {})")

    tab.get_by_text("The server does not answer.").wait_for()


PUBLIC = [
    "/sign-in/",
    "/accounts/password/reset/",
    "/accounts/password/reset/sent/",
    "/accounts/cancelled/",
    "/nothing/",
]


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_on_what_is_seen_before_signing_in(dark, visitor, settings):
    settings.MAIL_IS_SENT = True
    person = make_person(Role.MONITOR, username="monitor")
    person.set_password(PASSWORD)
    person.save()
    with_codes(person)
    tab = visitor(color_scheme="dark" if dark else "light")

    for address in PUBLIC:
        tab.goto(address)
        assert (address, violations(tab)) == (address, [])
    tab.goto("/sign-in/")
    for password in ("wrong", PASSWORD):
        tab.get_by_label("User name").fill("monitor")
        tab.get_by_label("Password").fill(password)
        tab.get_by_role("button", name="Sign in").click()
        assert violations(tab) == []
    assert tab.locator("#id_code").get_attribute("autocomplete") == "one-time-code"
    tab.get_by_role("button", name="FR").click()
    tab.locator("html[lang=fr] #id_code").wait_for()


def who_am_i(live_server, token):
    request = Request(f"{live_server.url}/api/v1/me/", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310 -- our own server
        me = json.load(answer)
    return me["username"], list(me["rights"])


def ground(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")
