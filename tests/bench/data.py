"""What the benchmarks run on: a database of their own under VAR_DIR, patients, a token, and the bare table."""

import uuid
from datetime import date
from typing import Any
from urllib.parse import quote

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from crf.entry import create_entries
from crf.forms import patient_form
from crf.reading import Submission, read_json
from registry import application_role
from registry.acting import Door, acting, the_system
from registry.callers import create_token
from registry.models import Membership, Person
from registry.rights import Role
from registry.settings import OWNER

PATIENT = {
    "birth_date": "1969-01-22",
    "sex": "F",
    "cle_subtype": ["dle"],
    "systemic_lupus": False,
    "neuropathy_history": False,
    "thrombosis_history": False,
    "childbearing_potential": False,
    "non_opposition_date": "2018-11-12",
}


def new_key() -> str:
    """Return a key that no other run has used."""
    return uuid.uuid4().hex


def patients_and_token(count: int) -> tuple[list[str], str]:
    """Save `count` new patients at MTP; return their record ids and the token of a coordinator there."""
    by = the_system()
    with acting(by, door=Door.COMMAND):
        results = create_entries([_patient() for _ in range(count)], by=by)
    token = new_token(Role.COORDINATOR, site="MTP")
    return [result.entry.record_id for result in results if result.entry], token


def new_token(role: Role, *, site: str | None) -> str:
    """Return the token of a new person with a role at a site, or at all."""
    person = Person.objects.create_user(f"bench-{new_key()}")
    Membership.objects.create(person=person, role=role, site_id=site, starts_on=date(2020, 1, 1))
    return create_token(person)[0]


def bare_table() -> None:
    """Make the table of the bare app anew."""
    from tests.bench.bare.models import BareEvent  # noqa: PLC0415 -- its app is installed by the bench alone

    owner = connections[OWNER]
    table = BareEvent._meta.db_table
    with owner.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
    with owner.schema_editor() as editor:
        editor.create_model(BareEvent)
    with owner.cursor() as cursor:
        cursor.execute(f"GRANT ALL ON {table} TO {owner.ops.quote_name(application_role.name())}")


def see_everything() -> None:
    """Let the statements of this process see every site; servers and workers see what they set for themselves."""

    def see(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if connection.alias == "default":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('ecrf.person', 'system', false)")
                cursor.execute("SELECT set_config('ecrf.sites', string_agg(code, ','), false) FROM registry_site")

    connections["default"].close()
    connection_created.connect(see, weak=False)


def as_owner(statement: str) -> None:
    """Run one statement as the owner of the tables."""
    with connections[OWNER].cursor() as cursor:
        cursor.execute(statement)


def _patient() -> Submission:
    submission = read_json(patient_form(), PATIENT, creating=True)
    submission.site = "MTP"
    return submission


def address_of(alias: str, **other: str) -> str:
    """Return the address of the database of the benchmarks for one of the two roles."""
    database = connections[alias].settings_dict | other
    user, password, host = (quote(database[part], safe="") for part in ("USER", "PASSWORD", "HOST"))
    return f"postgresql://{user}:{password}@{host}:{database['PORT']}/{database['NAME']}"
