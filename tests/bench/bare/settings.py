"""Our settings with the bare app, and nothing between the server and its view but what Django itself brings."""

from registry.settings import *  # noqa: F403 -- the same servers and options
from registry.settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.bare"]
ROOT_URLCONF = "tests.bench.bare.urls"
REST_FRAMEWORK = {
    **{name: value for name, value in REST_FRAMEWORK.items() if name.startswith("DEFAULT_RENDERER")},
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
