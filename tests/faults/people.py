"""`python -m tests.faults.people CLIENTS`: makes people on an empty installation and prints their tokens as JSON."""

import json
import sys
from datetime import date

import django


def main(clients: int) -> None:
    """Print (key of the person, token) of so many coordinators at MTP, and of a data manager at last."""
    django.setup()
    from registry.acting import Door, acting_as_the_system  # noqa: PLC0415 -- models, after django.setup
    from registry.callers import create_token  # noqa: PLC0415 -- as above
    from registry.models import Membership, Person  # noqa: PLC0415 -- as above
    from registry.rights import Role  # noqa: PLC0415 -- as above

    made = []
    with acting_as_the_system(door=Door.COMMAND):
        for number in range(clients + 1):
            role, site = (Role.COORDINATOR, "MTP") if number < clients else (Role.DATA_MANAGER, None)
            person = Person.objects.create_user(f"client-{number}")
            Membership.objects.create(person=person, role=role, site_id=site, starts_on=date(2020, 1, 1))
            made.append((person.pk, create_token(person)[0]))
    print(json.dumps(made))  # noqa: T201 -- what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]))
