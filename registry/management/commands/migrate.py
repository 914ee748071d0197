"""Django's own migrate, as the owner of the tables, followed by what the application's role may do with them."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections, transaction

from registry import application_role, row_security
from registry.settings import OWNER


class Command(Migrate):
    """Bring the tables up to date, and put row-level security and the rights of the application's role in force."""

    help = f"{Migrate.help} Runs as the owner of the tables."

    def add_arguments(self, parser: Any) -> None:
        """Take the owner's address by default."""
        super().add_arguments(parser)
        parser.set_defaults(database=OWNER)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. Raises CommandError where the owner's address is not known."""
        if OWNER not in settings.DATABASES:  # asked for here: Django checks the database before it handles
            raise CommandError("DATABASE_OWNER_URL is `none` here. Migrate where the owner's address is known.")
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate between two steps of our own. Raises CommandError where a role or a table does not allow it."""
        connection = connections[options["database"]]
        try:
            list(row_security.tables())  # nothing is begun while a table is undecided
            application_role.ensure(connection)
        except (application_role.UnfitRole, row_security.UndecidedTable) as error:
            raise CommandError(str(error)) from None
        # First, because triggers call them: migrations that bring rows leave a trace too.
        row_security.install_functions(connection)
        super().handle(*args, **options)
        with transaction.atomic(using=options["database"]):
            row_security.apply(connection, role=application_role.name())
