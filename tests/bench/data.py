"""What the benchmarks run on: a database of their own under VAR_DIR, patients, a token, and the bare table."""

import uuid
from datetime import date

from django.db import connection

from crf.entry import create_entries
from crf.forms import patient_form
from crf.reading import Submission, read_json
from registry.acting import Door, acting, the_system
from registry.callers import create_token
from registry.models import Membership, Person
from registry.rights import Role

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

    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {BareEvent._meta.db_table}")
    with connection.schema_editor() as editor:
        editor.create_model(BareEvent)


def _patient() -> Submission:
    submission = read_json(patient_form(), PATIENT, creating=True)
    submission.site = "MTP"
    return submission
