"""`manage.py demo_people`: the people of the demo, who exist nowhere else."""

import json
import os
import secrets
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from registry.acting import Door, acting, the_system
from registry.callers import create_token
from registry.models import Membership, Person
from registry.rights import Role

PEOPLE: tuple[tuple[str, str, Role, str | None], ...] = (
    ("coordinator.mtp", "Coordinator in Montpellier", Role.COORDINATOR, "MTP"),
    ("coordinator.nim", "Coordinator in Nîmes", Role.COORDINATOR, "NIM"),
    ("coordinator.str", "Coordinator in Strasbourg", Role.COORDINATOR, "STR"),
    ("investigator", "Investigator", Role.INVESTIGATOR, None),
    ("datamanager", "Data manager", Role.DATA_MANAGER, None),
    ("monitor", "Monitor", Role.MONITOR, None),
)
"""User name, name, role and site (None: all sites) of each of the demo's people."""
SINCE = date(2020, 1, 1)


class Command(BaseCommand):
    """Makes the demo's people at the first start, and prints how each gets in at every one."""

    help = "Make the people of the demo, with passwords and tokens kept in VAR_DIR/demo-logins.json."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print user name, password and token of each."""
        file = settings.VAR_DIR / "demo-logins.json"
        logins: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
        known = set(Person.objects.values_list("username", flat=True))
        with acting(the_system(), door=Door.COMMAND, reason="demo_people"):
            for username, full_name, role, site in PEOPLE:
                if username not in logins or username not in known:
                    logins[username] = _make(username, full_name, role, site)
            _write_private(file, json.dumps(logins))
        self.stdout.write(f"{'user name':<16} {'password':<22} token")
        for username, login in logins.items():
            self.stdout.write(f"{username:<16} {login['password']:<22} {login['token']}")


def _make(username: str, full_name: str, role: Role, site: str | None) -> dict[str, str]:
    """Make a person, or give one whose login was lost a new one; return password and token."""
    password = secrets.token_urlsafe(16)
    person, _new = Person.objects.get_or_create(username=username, defaults={"full_name": full_name})
    person.set_password(password)
    person.save()
    Membership.objects.get_or_create(person=person, role=role, site_id=site, starts_on=SINCE)
    token, _row = create_token(person)
    return {"password": password, "token": token}


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = file.with_suffix(".part")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    draft.replace(file)
