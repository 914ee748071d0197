"""`manage.py create_token USER [--site CODE]`."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.acting import Door, acting, the_system
from registry.callers import TOKEN_LIFETIME, create_token
from registry.models import Person, Site


class Command(BaseCommand):
    """Prints a new API token once; only its hash is kept."""

    help = "Print a new API token of a person, optionally for one site. It is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the person, a site and the days until it expires."""
        parser.add_argument("user")
        parser.add_argument("--site", help="code of the only site the token is for")
        parser.add_argument("--days", type=int, default=TOKEN_LIFETIME.days, help="days until it expires")

    def handle(self, *_args: Any, user: str, site: str | None, days: int, **_options: Any) -> None:
        """Save the token and print it."""
        person = Person.objects.filter(username=user, is_active=True).first()
        if person is None:
            raise CommandError(f"There is no active person with the user name {user}.")
        only = Site.objects.filter(code=site).first() if site else None
        if site and only is None:
            known = ", ".join(Site.objects.values_list("code", flat=True))
            raise CommandError(f"There is no site {site}. Choose from: {known}.")
        if not 1 <= days <= 3650:
            raise CommandError("--days: give a number of days from 1 to 3650.")
        with acting(the_system(), door=Door.COMMAND, reason="create_token"):
            text, _token = create_token(person, site=only, expires_at=timezone.now() + timedelta(days=days))
        self.stdout.write(text)
