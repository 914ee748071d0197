"""`manage.py demo`, run by `bin/demo`."""

from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from registry.children import ChildError
from registry.demo import Demo, DemoError
from registry.front_door import CallError


class Command(BaseCommand):
    help = "Starts everything, takes the published cohort through it, prints the endpoint table and serves."
    requires_system_checks = []  # each program that it starts does its own

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop after the endpoint table")

    def handle(self, *_: Any, once: bool, **__: Any) -> None:
        demo = Demo(folder=settings.VAR_DIR, port=settings.PORT, say=self._say)
        try:
            demo.run(servers=_servers(), once=once)
        except (DemoError, ChildError, CallError) as error:
            raise CommandError(str(error)) from None

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _servers() -> str:
    environment = settings.ENVIRONMENT
    parts = {
        "PostgreSQL": (environment.database_url, settings.DATABASE_URL),
        "Valkey": (environment.broker_url, settings.BROKER_URL),
    }
    return ", ".join(
        f"{'the given' if given else 'our own'} {name} on port {urlsplit(url).port or 'as usual'}"
        for name, (given, url) in parts.items()
    )
