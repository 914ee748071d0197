"""`manage.py create_token USER [--site CODE] [--days N] [--read-only | --rights RIGHT ...] [--name TEXT]`."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.acting import Door, acting, the_system
from registry.callers import TOKEN_LIFETIME, create_token
from registry.models import Person, Site
from registry.rights import READING, Right


class Command(BaseCommand):
    """Prints a new API token once; only its hash is kept."""

    help = "Print a new API token of a person, optionally for one site. It is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the person, what narrows the token, and the days until it expires."""
        parser.add_argument("user")
        parser.add_argument("--site", help="code of the only site the token is for")
        parser.add_argument("--name", default="", help="what the token is for")
        some = parser.add_mutually_exclusive_group()
        some.add_argument("--read-only", action="store_true", help="keep only the rights that change no data")
        some.add_argument(
            "--rights", nargs="+", choices=[right.value for right in Right], help="keep only these rights"
        )
        parser.add_argument("--days", type=int, default=TOKEN_LIFETIME.days, help="days until it expires")

    def handle(self, *_args: Any, user: str, site: str | None, days: int, name: str, **options: Any) -> None:
        """Save the token and print it."""
        person = Person.objects.filter(username=user, is_active=True).first()
        if person is None:
            raise CommandError(f"There is no active person with the user name {user}.")
        only = Site.objects.filter(code=site).first() if site else None
        if site and only is None:
            known = ", ".join(Site.objects.values_list("code", flat=True))
            raise CommandError(f"There is no site {site}. Choose from: {known}.")
        if len(name) > 100:
            raise CommandError("--name: shorten it to 100 characters.")
        if not 1 <= days <= 3650:
            raise CommandError("--days: give a number of days from 1 to 3650.")
        with acting(the_system(), door=Door.COMMAND, reason="create_token"):
            rights = READING if options["read_only"] else options["rights"]
            expires_at = timezone.now() + timedelta(days=days)
            text, _token = create_token(person, site=only, expires_at=expires_at, rights=rights, name=name)
        self.stdout.write(text)
