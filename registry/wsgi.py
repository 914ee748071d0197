"""The web application: `gunicorn registry.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from registry.application_role import refuse_to_serve_unfit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")

application = get_wsgi_application()
refuse_to_serve_unfit()
