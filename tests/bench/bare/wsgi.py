"""The bare application: `gunicorn tests.bench.bare.wsgi`."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.bare.settings"

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

django.setup()
settings.MIDDLEWARE = settings.BARE_MIDDLEWARE
application = WSGIHandler()
