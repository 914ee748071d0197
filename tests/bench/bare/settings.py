"""Our settings with the bare app; its web server keeps nothing before the view but what Django itself brings."""

from registry.settings import *  # noqa: F403 -- the same servers and options
from registry.settings import INSTALLED_APPS, MIDDLEWARE, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.bare"]
# Apps of ours refuse to be loaded without theirs: the rest is left out when they are.
DJANGOS_OWN = {"registry.middleware.Messages": "django.contrib.messages.middleware.MessageMiddleware"}
BARE_MIDDLEWARE = [
    name for name in (DJANGOS_OWN.get(name, name) for name in MIDDLEWARE) if name.startswith(("django.", "whitenoise."))
]
ROOT_URLCONF = "tests.bench.bare.urls"
REST_FRAMEWORK = {
    **{name: value for name, value in REST_FRAMEWORK.items() if name.startswith("DEFAULT_RENDERER")},
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
