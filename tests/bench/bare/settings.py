"""Our settings with the bare app; its web server keeps nothing before the view but what Django itself brings."""

from registry.settings import *  # noqa: F403 -- the same servers and options
from registry.settings import INSTALLED_APPS, MIDDLEWARE, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.bare"]
# Apps of ours refuse to be loaded without theirs: the rest is left out when they are.
BARE_MIDDLEWARE = [
    name
    for name in MIDDLEWARE
    if name.startswith(("django.", "whitenoise.")) and name != "django.contrib.auth.middleware.LoginRequiredMiddleware"
]
ROOT_URLCONF = "tests.bench.bare.urls"
REST_FRAMEWORK = {
    **{name: value for name, value in REST_FRAMEWORK.items() if name.startswith("DEFAULT_RENDERER")},
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
