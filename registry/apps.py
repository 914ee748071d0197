"""The Django app at the bottom."""

from django.apps import AppConfig


class Registry(AppConfig):
    """Connects what is recorded at a sign-in, in web processes and wherever else somebody signs in."""

    name = "registry"

    def ready(self) -> None:
        """Import the modules that listen to signals."""
        from registry.accounts import events, second_factor, sessions  # noqa: F401, PLC0415 -- models are loaded now
