"""Django's settings. What a person may set is read and checked by registry/environment.py."""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import django_stubs_ext
import pghistory
from celery.schedules import crontab

from registry.accounts.configuration import account_settings, mail_server, openid_connect
from registry.embedded import EmbeddedServerError, attach
from registry.environment import PROJECT, SettingError, read_environment
from registry.server_user import ServerUserError

# Lets classes name the types inside a field, `models.Field[Any, Any]`, which Django's own do not yet.
django_stubs_ext.monkeypatch()

try:
    ENVIRONMENT = read_environment()
    # Where an address is missing, a server of our own is started, and stays as long as this process.
    _own = attach(ENVIRONMENT.var, postgres=not ENVIRONMENT.database_url, valkey=not ENVIRONMENT.broker_url)
except (SettingError, EmbeddedServerError, ServerUserError) as error:
    # One line for the person who starts it, not a traceback.
    raise SystemExit(str(error)) from None

BASE_DIR = PROJECT
VAR_DIR = ENVIRONMENT.var
PSEUDONYM_KEY = ENVIRONMENT.pseudonym_key
PORT = ENVIRONMENT.port
JOB_LEASE_SECONDS = ENVIRONMENT.job_lease_seconds
METRICS_TOKEN = ENVIRONMENT.metrics_token
INSTALLATION_NAME = ENVIRONMENT.installation_name

SECRET_KEY = ENVIRONMENT.secret_key
DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = ENVIRONMENT.hosts

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "pghistory",
    # Before the apps whose templates it replaces.
    "registry",
    "crf",
    "exports",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
]

MIDDLEWARE = [
    "registry.access_log.AccessLog",
    "registry.security_headers.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "registry.languages.Languages",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "registry.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    # The session ends first; then a page wants somebody signed in, then with both factors.
    "registry.accounts.sessions.SessionLimits",
    "registry.middleware.LoginRequired",
    "registry.accounts.second_factor.SecondFactor",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "registry.urls"
WSGI_APPLICATION = "registry.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "registry.navigation.navigation",
                "registry.looks.looks",
            ],
        },
    },
]

# Limits of one request (the promises of the API): bytes of a body, entries of a bulk call.
MAX_BODY_BYTES = ENVIRONMENT.max_body_bytes
MAX_BULK_ENTRIES = 10_000
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
# A photograph, and what forms send around it. Uploads stay in memory: no patient's picture is ever on a disk beside the
# database, and a request that is larger brings no file.
MAX_PHOTOGRAPH_BYTES = ENVIRONMENT.max_photograph_bytes
MAX_PHOTOGRAPH_PIXELS = ENVIRONMENT.max_photograph_pixels
MAX_UPLOAD_BYTES = max(MAX_BODY_BYTES, MAX_PHOTOGRAPH_BYTES) + 65_536
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
# Calls a minute that are answered (registry/throttling.py), and how many proxies say from which address they come.
RATE_PER_TOKEN = ENVIRONMENT.rate_per_token
RATE_PER_ADDRESS = ENVIRONMENT.rate_per_address
RATE_FAILURES_PER_ADDRESS = ENVIRONMENT.rate_failures_per_address
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
# REDCap clients name each record and field of a call in a form field of its own.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100_000

# Servers
DATABASE_URL = ENVIRONMENT.database_url or _own.database_url
_owner_url = ENVIRONMENT.database_owner_url or _own.database_owner_url or DATABASE_URL
BROKER_URL = (ENVIRONMENT.broker_url or _own.broker_url).replace("valkey://", "redis://", 1)


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for one `postgresql://` address; its query string goes to the driver."""
    parts = urlsplit(url)
    options: dict[str, Any] = {"connect_timeout": 5} | dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        # Connecting costs more than most requests; a connection the server closed meanwhile is noticed.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }


def application_address(owner_url: str, *, secret: str) -> str:
    """Return the address of the role that `migrate` makes for the application, where only the owner's is given.

    Its password comes from a secret, so that every process knows it and none has to keep it.
    """
    parts = urlsplit(owner_url)
    password = hmac.new(secret.encode(), b"the application's database role", hashlib.sha256).hexdigest()
    role = f"{unquote(parts.path.removeprefix('/'))[:50]}_app"
    server = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{password}@{server}"))


# A pooler in transaction mode that knows no prepared statements (PgBouncer before 1.21) needs this off.
PREPARE_STATEMENTS = ENVIRONMENT.prepare_statements
_application_url = DATABASE_URL
if _owner_url == DATABASE_URL:
    _application_url = application_address(DATABASE_URL, secret=SECRET_KEY)
# The application's role owns no table, so that row-level security holds for it; the owner's is for `migrate` alone.
OWNER = "owner"
DATABASES = {"default": database(_application_url)}
if _owner_url != "none":
    DATABASES[OWNER] = database(_owner_url)

# What sign-in remembers for a moment (used codes, attempts a minute): shared by all web processes, and there as long as
# anything is. It is not for what every request needs.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "registry_cacheentry"},
}

# History: pghistory makes the tables; what is written to them is decided in registry/history.py.
PGHISTORY_APPEND_ONLY = True
# Every index of a history table is paid for at every entry: that of its chain finds the rows of a patient.
PGHISTORY_OBJ_FIELD = pghistory.ObjForeignKey(db_index=False, related_name="+")
PGHISTORY_FOREIGN_KEY_FIELD = pghistory.ForeignKey(db_index=False)

# People
AUTH_USER_MODEL = "registry.Person"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

# Getting in: what is the same for everybody stands in registry/accounts/configuration.py.
globals().update(account_settings())
SOCIALACCOUNT_PROVIDERS = openid_connect(ENVIRONMENT)
REQUIRE_TOTP = ENVIRONMENT.require_totp

# Sessions end on the server: the row's `expire_date` follows the cookie's age, registry/accounts/sessions.py the rest.
SESSION_IDLE_SECONDS = SESSION_COOKIE_AGE = ENVIRONMENT.session_idle_minutes * 60
SESSION_LIMIT_SECONDS = 12 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
PASSWORD_RESET_TIMEOUT = 3600

# E-mail, for resetting passwords only. Without a server the page says whom to ask.
MAIL_IS_SENT = ENVIRONMENT.email_url is not None
EMAIL_BACKEND = "registry.mail.Later" if MAIL_IS_SENT else "django.core.mail.backends.dummy.EmailBackend"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENVIRONMENT.email_from
globals().update(mail_server(ENVIRONMENT.email_url))

# Security. Cookies and redirects for https only where the site is reached by https; a proxy ends TLS and says so.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT = ENVIRONMENT.https
SESSION_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.https else None
# Probes of the same machine come without TLS.
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if ENVIRONMENT.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
SECURE_REFERRER_POLICY = "same-origin"
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS] if ENVIRONMENT.https else []
CSRF_FAILURE_VIEW = "registry.error_pages.csrf_failure"
X_FRAME_OPTIONS = "DENY"
OIDC_ISSUER = ENVIRONMENT.oidc_issuer

# Language and time: data are dates, moments are kept in UTC. What is kept, logged or exported is in LANGUAGE_CODE.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
# Ours before those of Django and of packages, which use the same words in other places ("None").
LOCALE_PATHS = [PROJECT / package / "locale" for package in ("registry", "crf", "exports")]
USE_I18N = True
# Addresses for programs, whose answers are in one language whatever the browser beside them speaks.
IN_ONE_LANGUAGE = ("/redcap/", "/api/schema/")
# Numbers and dates look the same in every language, as they are typed and exported: 2.5, 2024-03-12.
FORMAT_MODULE_PATH = "registry.formats"
# What `makemessages` takes from declarations: a file that it makes meanwhile, and the function with its texts.
DECLARED_TEXTS = {
    "registry/names_in_the_trail.py": "registry.declared_texts.names_in_the_trail",
    "crf/texts_of_the_forms.py": "crf.declared_texts.declared_texts",
}
USE_TZ = True
TIME_ZONE = "UTC"

# Static files are served by ourselves: straight from the packages, or collected once (Dockerfile).
STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.static_dir
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site loads anything from here
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}

# Views read and write JSON themselves (registry/api.py): REST framework authenticates, dispatches and describes.
REST_FRAMEWORK: dict[str, Any] = {
    # Views say who may come in (registry/api.py). REST framework's own choice has passwords in a header: never.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "registry.negotiation.OnlyJson",
    "DEFAULT_SCHEMA_CLASS": "registry.openapi.ApiSchema",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "eCRF",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # Enumerations stay where they stand: named by the field alone, those of two things would be told apart by a hash.
    "POSTPROCESSING_HOOKS": [],
}

# Jobs. A job is a row; the message only says that there is one, and may be lost, doubled or late.
CELERY_BROKER_URL = BROKER_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker as long as it takes
# A request that cannot ring the doorbell must not wait for the broker, only a worker may: the sweep finds the row.
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "max_retries": 0,
    "socket_connect_timeout": 2,
    "socket_timeout": 2,  # longer than the second that a worker's call for messages blocks
    "socket_keepalive": True,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
# Each expires before the next comes, so that no backlog builds up while no worker runs.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "show that scheduler and worker are alive": {
        "task": "registry.show_life",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "take up waiting and abandoned jobs": {
        "task": "exports.sweep_jobs",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "recompute endpoints after changes": {
        "task": "exports.recompute_stale",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "forget answers that nobody will ask for again": {
        "task": "registry.forget_answers",
        "schedule": crontab(hour=3, minute=10),
        "options": {"expires": 3600},
    },
    "forget drafts that nobody came back to": {
        "task": "crf.forget_old_drafts",
        "schedule": crontab(hour=3, minute=20),
        "options": {"expires": 3600},
    },
    "forget sessions that are over": {
        "task": "registry.forget_sessions",
        "schedule": crontab(hour=3, minute=20),
        "options": {"expires": 3600},
    },
    "check that no change was missed": {
        "task": "exports.nightly_check",
        "schedule": crontab(hour=2, minute=15),
        "options": {"expires": 3600},
    },
}

# Logs go to stderr and name records, never values: no request body, no query string, no address, no SQL.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "registry.logs.JsonLines"}, "line": {"()": "registry.logs.Lines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": ENVIRONMENT.log_format}},
    "root": {"handlers": ["stderr"], "level": ENVIRONMENT.log_level},
    "loggers": {
        "django": {"handlers": [], "level": ENVIRONMENT.log_level, "propagate": True},
        "django.request": {"level": "ERROR"},  # every request has its line (registry.access), refused ones too
        "axes": {"level": "WARNING"},  # it tells three lines about each sign-in; registry_signinevent has them in one
        # Every task that comes and goes, each two seconds, is nothing to read.
        "celery": {"level": "WARNING"},
    },
}
