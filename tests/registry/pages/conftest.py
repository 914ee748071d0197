"""Data managers at their pages, and what is read off these."""

import re
from html import unescape

import pytest

from registry.rights import Role


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    """The real digest takes a third of a second by design; what is shown here does not hang on it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def manager(browser):
    """The data manager of all sites."""
    return browser(Role.DATA_MANAGER, site=None, username="manager")


@pytest.fixture
def of_nim(browser):
    """The data manager of NIM."""
    return browser(Role.DATA_MANAGER, site="NIM", username="manager.nim")


def errors_of(response):
    """Return what is said beside fields and above the form."""
    page = response.content.decode()
    return [
        unescape(text) for text in re.findall(r'(?:class="error" id="[^"]+"|error[^"]*" role="alert")>([^<]+)<', page)
    ]


def secret_of(response):
    """Return what a page shows once."""
    return unescape(re.search(r'id="secret">([^<]+)<', response.content.decode())[1])
