"""Django settings: one file, filled from the environment only (see .env.example)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import dj_database_url
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from duolog.environment import env, env_bool, env_choice, env_list, env_number, env_options

BASE_DIR = Path(__file__).resolve().parents[2]

# Torch's threads spin while they wait for each other. Beside web server, database and other workers they then burn the
# very cores the other one needs: training ran 16 times slower. Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# --- state ------------------------------------------------------------------------------------------------------
# All state lives in one folder; deleting it resets everything.
HOME = Path(env("DUOLOG_HOME", str(BASE_DIR / ".duolog"))).resolve()
ARTIFACTS = Path(env("DUOLOG_ARTIFACTS", str(HOME / "artifacts")))


def _secret_key() -> str:
    """Return DUOLOG_SECRET_KEY, or a key made once and kept in the home folder."""
    file = HOME / "secret_key"
    if key := env("DUOLOG_SECRET_KEY", ""):
        return key
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        # "x" makes two first starts race safely: one writes, the other reads.
        with file.open("x", encoding="ascii") as stream:
            file.chmod(0o600)
            stream.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return file.read_text(encoding="ascii")


SECRET_KEY = _secret_key()
# Keys of earlier times: sessions and stored secrets of theirs stay good.
SECRET_KEY_FALLBACKS = env_list("DUOLOG_SECRET_KEY_FALLBACKS", "")
# Where the stack's own web server listens; a port that is taken makes way for the next free one.
WEB_HOST = env("DUOLOG_HOST", "127.0.0.1")
WEB_PORT = int(env_number("DUOLOG_PORT", 8000, least=1))
# Where people's browsers find us: the links of alerts.
PUBLIC_URL = env("DUOLOG_URL", f"http://{WEB_HOST}:{WEB_PORT}").rstrip("/")
DEBUG = env_bool("DUOLOG_DEBUG", False)
ALLOWED_HOSTS = env_list("DUOLOG_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("DUOLOG_ORIGINS", "")

# --- services ---------------------------------------------------------------------------------------------------
# Where no URL is given, embedded servers run in the home folder (duolog/embedded.py).
from duolog.embedded import Services  # noqa: E402

SERVICES = Services(HOME, database_url=env("DATABASE_URL", ""), redis_url=env("REDIS_URL", ""))
DATABASES = {"default": dj_database_url.parse(SERVICES.database_url, conn_max_age=60, conn_health_checks=True)}
# A server that vanished without a word must not hold a heartbeat for longer than a lease. What the URL says comes last.
DATABASES["default"]["OPTIONS"] = {
    "application_name": env("DUOLOG_PROCESS", "duolog"),
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    **DATABASES["default"].get("OPTIONS", {}),
}
CELERY_BROKER_URL = env("CELERY_BROKER_URL", SERVICES.redis_url)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# max_retries 0: who announces a run does not wait for a broker that is away (workers have a retry of their own).
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 10, "socket_connect_timeout": 5, "max_retries": 0}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
# A message is only a doorbell, so it is acknowledged early and never held back by a busy process:
# redelivery is the sweeper's work (workers/leases.py).
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "cpu"

# --- runs (seconds) ---------------------------------------------------------------------------------------------
RUN_LEASE = env_number("DUOLOG_RUN_LEASE", 60, least=1)
# A beat renews the lease, saves progress and sees a cancel: often enough for a person who watches.
RUN_HEARTBEAT = env_number("DUOLOG_RUN_HEARTBEAT", 2, least=0.1)
RUN_SWEEP = env_number("DUOLOG_RUN_SWEEP", 15, least=0.1)
RUN_RING_AGAIN = env_number("DUOLOG_RUN_RING_AGAIN", 30, least=0.1)
RUN_BACKOFF = env_number("DUOLOG_RUN_BACKOFF", 5, least=0)
RUN_CANCEL_GRACE = env_number("DUOLOG_RUN_CANCEL_GRACE", 30, least=0)
WORKER_ALIVE = env_number("DUOLOG_WORKER_ALIVE", 45, least=1)

# --- limits -----------------------------------------------------------------------------------------------------
MAX_LINE_BYTES = int(env_number("DUOLOG_MAX_LINE_BYTES", 1 << 20, least=1024))
MAX_UPLOAD_BYTES = int(env_number("DUOLOG_MAX_UPLOAD_BYTES", 8 << 30, least=1024))
# Of a compressed file: a bomb unpacks to 1,000 times its size, one line over and over to 350.
MAX_UNPACKED_BYTES = int(env_number("DUOLOG_MAX_UNPACKED_BYTES", 64 << 30, least=1024))
MAX_GZIP_RATIO = int(env_number("DUOLOG_MAX_GZIP_RATIO", 600, least=2))
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 << 20
# --- ingest -----------------------------------------------------------------------------------------------------
# Of one request, packed and unpacked (OTLP's default).
INGEST_BYTES = int(env_number("DUOLOG_INGEST_BYTES", 64 << 20, least=1024))
# Stored lines that may wait for their sequences before shippers are told to wait, too.
BACKLOG_LINES = int(env_number("DUOLOG_BACKLOG_LINES", 2_000_000, least=1))
# How long the same bytes are taken for the same batch sent again.
RETRY_SECONDS = env_number("DUOLOG_RETRY_SECONDS", 24 * 3600, least=1)
# How long lines are kept where a source does not say.
LINE_DAYS = int(env_number("DUOLOG_LINE_DAYS", 30, least=1))
# What a token may send if it does not say; 0: as much as it likes.
TOKEN_LINES_PER_SECOND = int(env_number("DUOLOG_TOKEN_LINES_PER_SECOND", 0))
# The Elasticsearch that shippers are told they talk to: Beats refuse one that is older than themselves.
ELASTIC_VERSION = env("DUOLOG_ELASTIC_VERSION", "8.17.0")
# Where `duolog listen` listens.
LISTEN = env_list(
    "DUOLOG_LISTEN",
    "syslog+udp://127.0.0.1:5514, syslog+tcp://127.0.0.1:5514, gelf+udp://127.0.0.1:12201, gelf+tcp://127.0.0.1:12201, "
    "otlp+grpc://127.0.0.1:4317",
)
# Templates of a project; lines that would need one more share a template that says nothing.
MAX_TEMPLATES = int(env_number("DUOLOG_MAX_TEMPLATES", 10_000, least=1))
VECTOR_CACHE_ROWS = int(env_number("DUOLOG_VECTOR_CACHE_ROWS", 200_000, least=1000))

# --- models -----------------------------------------------------------------------------------------------------
ENCODER = env("DUOLOG_ENCODER", "multilingual-e5-small")
PLUGINS_OFF = env_list("DUOLOG_PLUGINS_OFF", "")
# Protocols that a scorecard must show a version to be no worse under than trivial floors, before it becomes champion.
REQUIRED_PROTOCOLS = env_list("DUOLOG_REQUIRED_PROTOCOLS", "random,template")
# New verdicts from which on a retrain is suggested: with 20 labels a detector does better than without, as a rule.
LEARN_AFTER = int(env_number("DUOLOG_LEARN_AFTER", 20, least=1))
# --- reports ----------------------------------------------------------------------------------------------------
# Who explains findings: an analyst's name, or a model (name@alias, name:version); unset: the project's champion of that
# kind, else the rules.
ANALYST = env("DUOLOG_ANALYST", "")
# Options of analysts by name, as JSON. They may hold no secrets: those have variables of their own.
ANALYST_OPTIONS = env_options("DUOLOG_ANALYST_OPTIONS")
# What a project may spend a day (UTC) on remote analysts, in the currency of the prices that were set; 0: no limit.
ANALYST_DAILY_COST = env_number("DUOLOG_ANALYST_DAILY_COST", 0)
# From which severity on a new finding gets its text by itself; those below get the verdict alone. "never": neither.
EXPLAIN_FROM = env_choice("DUOLOG_EXPLAIN_FROM", "medium", ("low", "medium", "high", "critical", "never"))

# --- alerts -----------------------------------------------------------------------------------------------------
# Networks (10.1.0.0/16) and hosts of a private network that channels of users may connect to (duolog/addresses.py).
PRIVATE_ADDRESSES = env_list("DUOLOG_PRIVATE_ADDRESSES", "")
# Days that the log of deliveries is kept.
DELIVERY_DAYS = int(env_number("DUOLOG_DELIVERY_DAYS", 90, least=1))

# --- Django -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "duolog",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "workers",
    "logs",
    "detection",
    "analysis",
    "training",
    # Plugins that need tables of their own are named here by the operator, never found by themselves.
    *env_list("DUOLOG_APPS", ""),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "duolog.urls"
WSGI_APPLICATION = "duolog.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
# DUOLOG_HTTPS: a proxy in front speaks TLS, redirects plain HTTP to it, and sets X-Forwarded-Proto.
HTTPS = env_bool("DUOLOG_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# The proxy redirects, and HSTS is for this host only.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

LANGUAGE_CODE = env("DUOLOG_LANGUAGE", "en")
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "platform" / "duolog" / "locale"]
USE_TZ = True
TIME_ZONE = env("TZ", "UTC")
STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns about a missing one, though it needs none
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True


def _rate(name: str, default: int) -> str | None:
    """Return so many requests a minute as DRF writes them; 0: without a limit."""
    most = int(env_number(name, default))
    return f"{most}/min" if most else None


REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "duolog.rest.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "duolog.rest.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "duolog.api.problem",
    # Counted in the memory of the web process: a database or broker in trouble must not be asked once more.
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": _rate("DUOLOG_API_ANONYMOUS_PER_MINUTE", 60),
        "user": _rate("DUOLOG_API_PER_MINUTE", 1200),
    },
    # How many reverse proxies to believe about where a request comes from; 0: none, for anybody can claim anything.
    "NUM_PROXIES": int(env_number("DUOLOG_PROXIES", 0)),
    # `?format=` names the format of an export, never that of an answer.
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Duolog",
    "VERSION": "1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "FindingStateEnum": "analysis.models.Finding.State",
        "ReportStateEnum": "analysis.models.AnomalyReport.State",
        "DeliveryStateEnum": "analysis.models.Delivery.State",
        "DeliveryKindEnum": "analysis.models.Delivery.Kind",
        "ItemKindEnum": "analysis.models.Item.Kind",
        "ItemStateEnum": "analysis.models.Item.State",
        "EventActionEnum": "analysis.models.Event.Action",
        "TemplateActionEnum": "logs.models.TemplateChange.Action",
        "VersionKindEnum": "detection.models.ModelVersion.Kind",
    },
}
UNFOLD = {
    "SITE_TITLE": "Duolog",
    "SITE_HEADER": "Duolog",
    "SITE_SUBHEADER": _("anomalous sequences in your logs"),
    "SITE_SYMBOL": "forum",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("duolog/icon.svg")}],
    "SHOW_LANGUAGES": True,
    "STYLES": [lambda request: static("duolog/duolog.css")],
    "DASHBOARD_CALLBACK": "duolog.admin.dashboard",
    "SIDEBAR": {"navigation": "duolog.admin.navigation"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("DUOLOG_LOG_LEVEL", "INFO")},
    # Below that it tells the addresses that it asks, and those of bots hold their keys.
    "loggers": {"urllib3": {"level": "INFO"}},
}
