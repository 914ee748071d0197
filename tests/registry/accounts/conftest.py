"""People who sign in, and the codes that their apps would show."""

import base64
import hashlib
import hmac
import struct
import time

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client

from registry.models import SignInEvent
from registry.rights import Role
from tests.conftest import make_person

PASSWORD = "correct horse battery staple"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    """The real digest takes a third of a second by design; what is shown here does not hang on it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def coordinator(sites):
    """Sees one site: a password is enough."""
    return with_password(make_person(Role.COORDINATOR, site="MTP", username="coordinator"))


@pytest.fixture
def monitor(sites):
    """Sees all sites: must have a second factor, and has none yet."""
    return with_password(make_person(Role.MONITOR, username="monitor"))


def with_password(person, password=PASSWORD):
    person.set_password(password)
    person.email = f"{person.username}@example.org"
    person.save()
    return person


def with_codes(person):
    """Give a person a second factor; returns their recovery codes."""
    TOTP.activate(person, SECRET)
    return RecoveryCodes.activate(person).generate_codes()


def code_now(*, secret=SECRET, step=0):
    """Return what the app shows, `step` times 30 seconds from now."""
    counter = int(time.time()) // 30 + step
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def wrong_code():
    """Return six digits that no app shows about now."""
    near = {code_now(step=step) for step in (-1, 0, 1)}
    return next(f"{number:06}" for number in range(4) if f"{number:06}" not in near)


def sign_in(client=None, *, username="coordinator", password=PASSWORD, address="10.0.0.1", **headers):
    """Type name and password; returns the answer."""
    client = client or Client()
    return client.post("/sign-in/", {"login": username, "password": password}, REMOTE_ADDR=address, headers=headers)


def signed_in(username="coordinator"):
    client = Client()
    assert sign_in(client, username=username).status_code == 302
    return client


def is_in(client):
    """Tell whether the client's session is somebody's."""
    return client.get("/api/v1/me/").status_code != 401


def events(*kinds):
    """Return the record from its beginning: kind and user name, of the kinds that are asked for."""
    found = SignInEvent.objects.order_by("pk").values_list("kind", "person__username")
    return [(kind, name) for kind, name in found if not kinds or kind in kinds]


def seen(answer):
    """Return status and page, without what differs from request to request and what was typed."""
    lines = answer.content.decode().splitlines()
    return answer.status_code, [line for line in lines if "csrfmiddlewaretoken" not in line and "id_login" not in line]
