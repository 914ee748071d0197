"""The bare application: `gunicorn tests.bench.bare.wsgi`."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.bare.settings"

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
