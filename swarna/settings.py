"""All of Swarna's settings. This file alone reads the environment; `.env.example` explains each variable.

A variable that cannot be read takes its default here and an entry in `ENVIRONMENT_ERRORS`, which `manage.py check`
reports with a hint and every server process refuses to start with (swarna/checks.py).
"""

import datetime as dt
import logging
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from environs import EnvValidationError
from marshmallow.validate import NoneOf, Range

from infra.addresses import Network
from infra.redaction import TOKEN_PREFIX
from prices.domain.calendar import Calendar
from prices.domain.provider_table import PROVIDER_TABLE
from swarna import __version__, environment
from swarna.environment import read
from swarna.state_dir import announced_redis_url, kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
_env_file = os.environ.get("SWARNA_ENV_FILE", str(BASE_DIR / ".env"))
# An empty list is a value: nobody may read the metrics then.
env = environment.reader(Path(_env_file) if _env_file else None, may_be_empty={"METRICS_ALLOWED_FROM"})

# --- where it runs -------------------------------------------------------------------------------------------------
# Seen from the checkout, so that every process finds the same one, whatever folder it was started in.
STATE_DIR = (BASE_DIR / (env.str("SWARNA_STATE_DIR", "") or "var")).resolve()
BIND_ADDRESS = read(env.str, "BIND_ADDRESS", "127.0.0.1")
_port = Range(1, 65535)
WEBSOCKET_PORT = read(env.int, "WEBSOCKET_PORT", 0, validate=_port) or read(env.int, "WS_PORT", 3001, validate=_port)
WEB_PROCESSES = read(env.int, "WEB_PROCESSES", 1, validate=Range(1, 256))
DEBUG = read(env.bool, "DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", [], subcast=str.strip) or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS: list[str] = read(env.list, "CSRF_TRUSTED_ORIGINS", [], subcast=str.strip)
TRUSTED_PROXIES: list[Network] = read(env.networks, "TRUSTED_PROXIES", [])
SECRET_KEY: str = env.str("SECRET_KEY", "") or kept_secret(STATE_DIR)
LOG_LEVEL = read(env.log_level, "LOG_LEVEL", logging.INFO)
TOKEN_TTL = read(env.duration, "TOKEN_TTL", dt.timedelta(days=30))
# Less than a minute is a slip: 24 would be milliseconds.
SESSION_TTL = read(env.duration, "SESSION_TTL", dt.timedelta(hours=24), shortest=dt.timedelta(minutes=1))

# --- prices --------------------------------------------------------------------------------------------------------
BASE_CURRENCY = read(env.currency, "BASE_CURRENCY", "INR")
PRICE_PROVIDERS: list[str] = list(dict.fromkeys(env.list("PRICE_PROVIDERS", [], subcast=str.strip) or ["gold_api_com"]))
# GOLDAPI_IO_URL, GOLDAPI_IO_QUOTA, GOLDAPI_IO_KEY and the like: one of each for every provider that has it.
for _provider in PROVIDER_TABLE.values():
    if _provider.url:
        globals()[_provider.setting("URL")] = read(env.http_url, _provider.setting("URL"), _provider.url)
        globals()[_provider.setting("QUOTA")] = env.quota(_provider.setting("QUOTA"), _provider.quota)
    if _provider.needs_key:
        globals()[_provider.setting("KEY")] = read(env.api_key, _provider.setting("KEY"), "")
# The settings whose values no log line may show.
SECRET_SETTINGS = [_provider.setting("KEY") for _provider in PROVIDER_TABLE.values() if _provider.needs_key]
# Exchange rates, for sources that quote only US dollars.
FRANKFURTER_URL = read(env.http_url, "FRANKFURTER_URL", "https://api.frankfurter.dev")
OPEN_ER_API_URL = read(env.http_url, "OPEN_ER_API_URL", "https://open.er-api.com")
# What follows is how Swarna is deployed; staff may set another threshold, freshness limit and interval in the admin.
# As short and as long as the schedule can keep: prices/schedule.py.
PRICE_UPDATE_INTERVAL = read(
    env.duration,
    "PRICE_UPDATE_INTERVAL",
    dt.timedelta(minutes=1),
    shortest=dt.timedelta(milliseconds=100),
    longest=dt.timedelta(days=1),
)
# Less than a second, here and below, is a slip: 60 would be milliseconds.
_A_SECOND = dt.timedelta(seconds=1)
FRESHNESS_LIMIT: dt.timedelta | None = (
    env.duration("FRESHNESS_LIMIT", shortest=_A_SECOND) if env.str("FRESHNESS_LIMIT", "") else None
)
CHANGE_THRESHOLD_PERCENT = read(
    env.decimal, "CHANGE_THRESHOLD_PERCENT", Decimal(1), validate=Range(min=0, max=1000, min_inclusive=False)
)
# How long ticks are kept; candles are kept for good. None: ticks are too.
TICKS_KEPT_FOR: dt.timedelta | None = env.retention("TICKS_KEPT_FOR", "400d")
# When spot metals trade: only then do quotes age, and are sources asked at each update interval.
MARKET_CALENDAR = read(env.market_calendar, "MARKET_HOLIDAYS", Calendar())
CLOSED_UPDATE_INTERVAL = read(env.duration, "CLOSED_UPDATE_INTERVAL", dt.timedelta(minutes=15))
FALLBACK_AFTER = read(env.duration, "FALLBACK_AFTER", dt.timedelta(hours=1), shortest=_A_SECOND)
# All sources together may take this long in one refresh; one that hangs costs no more.
PROVIDER_BUDGET = read(env.duration, "PROVIDER_BUDGET", dt.timedelta(seconds=10), shortest=_A_SECOND)
# A price further than this from the last one is held until it is confirmed.
MAX_JUMP_PERCENT = read(
    env.decimal, "MAX_JUMP_PERCENT", Decimal(5), validate=Range(min=0, max=1000, min_inclusive=False)
)
# How many sources have to agree on a price; 0: the first that answers is believed.
CONSENSUS_SOURCES = read(
    env.int,
    "CONSENSUS_SOURCES",
    0,
    validate=[Range(min=0, max=20), NoneOf([1], error="Nobody agrees with one alone: write 0, or 2 and more.")],
)
CONSENSUS_TOLERANCE_PERCENT = read(
    env.decimal, "CONSENSUS_TOLERANCE_PERCENT", Decimal(1), validate=Range(min=0, max=100, min_inclusive=False)
)

# --- the stream ----------------------------------------------------------------------------------------------------
WS_MAX_CONNECTIONS = read(env.int, "WS_MAX_CONNECTIONS", 100, validate=Range(min=1))
WS_MAX_CONNECTIONS_PER_IP = read(env.int, "WS_MAX_CONNECTIONS_PER_IP", 0, validate=Range(min=0))
WS_AUTH_REQUIRED = read(env.bool, "WS_AUTH_REQUIRED", False)
# Half a minute at most: a revoked token's connections are to end within one.
WS_AUTH_RECHECK = read(env.duration, "WS_AUTH_RECHECK", dt.timedelta(seconds=20), longest=dt.timedelta(seconds=30))
WS_RATE_LIMIT = read(env.int, "WS_RATE_LIMIT", 10, validate=Range(min=1))
WS_USER_RATE_LIMIT = read(env.int, "WS_USER_RATE_LIMIT", 300, validate=Range(min=1))
WS_RATE_WINDOW = read(env.duration, "WS_RATE_WINDOW", dt.timedelta(minutes=1))
WS_MAX_MESSAGE_BYTES = read(env.int, "WS_MAX_MESSAGE_BYTES", 16 * 1024, validate=Range(min=256))
# Less is a slip: 30 would be milliseconds, and drop whoever comes.
WS_TIMEOUT = read(env.duration, "WS_TIMEOUT", dt.timedelta(seconds=30), shortest=_A_SECOND)
WS_BATCH_INTERVAL = read(env.duration, "WS_BATCH_INTERVAL", dt.timedelta(seconds=1), shortest=dt.timedelta(0))
WS_COMPRESSION_THRESHOLD = read(env.int, "WS_COMPRESSION_THRESHOLD", 1024, validate=Range(min=0))
WS_DRAIN_TIMEOUT = read(env.duration, "WS_DRAIN_TIMEOUT", dt.timedelta(milliseconds=2500))
WS_RESTART_SPREAD = read(env.duration, "WS_RESTART_SPREAD", dt.timedelta(seconds=5))

# --- the API -------------------------------------------------------------------------------------------------------
# Requests in API_RATE_WINDOW from one address, or of one user; 0 is any number.
API_RATE_LIMIT = read(env.int, "API_RATE_LIMIT", 600, validate=Range(min=0))
API_USER_RATE_LIMIT = read(env.int, "API_USER_RATE_LIMIT", 1200, validate=Range(min=0))
API_RATE_WINDOW = read(env.duration, "API_RATE_WINDOW", dt.timedelta(minutes=1))
# Pages of these origins may read the API; `*` is any. Never with a login: a token says who asks.
_origins: list[str] = read(env.origins, "CORS_ALLOWED_ORIGINS", [])
CORS_ALLOW_ALL_ORIGINS: bool = "*" in _origins
CORS_ALLOWED_ORIGINS: list[str] = [origin for origin in _origins if origin != "*"]
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match"]
CORS_EXPOSE_HEADERS = ["ETag", "Link", "Retry-After"]

# --- metrics -------------------------------------------------------------------------------------------------------
# The web processes of one host share it; nothing in it is kept beyond their run.
METRICS_DIR = (BASE_DIR / (env.str("METRICS_DIR", "") or STATE_DIR / "metrics")).resolve()
# Who may ask for /metrics: by default this machine and private networks.
METRICS_ALLOWED_FROM = read(
    env.networks,
    "METRICS_ALLOWED_FROM",
    environment.networks("127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"),
)

# --- how long anything is waited for -------------------------------------------------------------------------------
# In seconds, in every process; none is over ten, so that prices reach everybody again within half a minute of whatever
# falls silent. docs/operations.md has the table of all connections, tests/db/test_waits.py sees each of them end.
# (Sources and exchange rates: PROVIDER_BUDGET. Counts: infra/fixed_window.py.)
DATABASE_CONNECT_TIMEOUT = 4  # for each address of a host
DATABASE_ANSWER_TIMEOUT = 8.0
# What works on much data for nobody who waits: retention, migrations, backfill, export, candles made anew.
DATABASE_LONG_ANSWER_TIMEOUT = 3600.0
# A transaction in which nothing happens, as of a machine that lost its network, loses its locks.
DATABASE_IDLE_TIMEOUT = 6.0
# From asking for a connection of a web process's pool until there is one.
DATABASE_POOL_TIMEOUT = 3.0
# A read by the event loop (infra/database_threads.py), with all that it waits for.
DATABASE_READ_TIMEOUT = 10.0
# A Redis that hangs must not hold the worker and the admin: what it is not told, the database tells.
REDIS_CONNECT_TIMEOUT = 2.0
REDIS_ANSWER_TIMEOUT = 2.0
# All of one publication: to connect and to log in are several answers.
REDIS_PUBLISH_TIMEOUT = 4.0
# Celery's connections are tried this often, and tried again after this long.
BROKER_HEALTH_CHECK_INTERVAL = 4
BROKER_LONGEST_PAUSE = 2

# --- database and Redis --------------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": (env.database_url("DATABASE_URL") if env.str("DATABASE_URL", "") else None)
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE_DIR / "swarna.sqlite3"}
}
# Web, worker and beat all write: WAL lets readers go on meanwhile, IMMEDIATE takes the write lock at BEGIN, where the
# busy time-out still applies, rather than in the middle of a transaction, where it cannot.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 10,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
# A machine that is gone without a word is given up within seconds: by the kernel's own habits, one that we have told
# something takes a quarter of an hour, and one that we wait for two hours.
POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": DATABASE_CONNECT_TIMEOUT,
    "tcp_user_timeout": round(DATABASE_ANSWER_TIMEOUT * 1000),
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
if DATABASES["default"]["ENGINE"] == "infra.postgresql":
    DATABASES["default"].setdefault("OPTIONS", {}).update(POSTGRESQL_OPTIONS)
else:
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS.copy()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The embedded Valkey announces itself in the state folder while it runs, so that any command finds it. One that was
# killed leaves its announcement behind: whether it is to be started is for the environment alone to say.
REDIS_IS_EMBEDDED: bool = not env.str("REDIS_URL", "")
REDIS_URL: str | None = env.redis_url("REDIS_URL", "") or announced_redis_url(STATE_DIR)
REDIS_PREFIX = read(env.str, "REDIS_PREFIX", "swarna")
REDIS_OPTIONS = {"socket_timeout": REDIS_ANSWER_TIMEOUT, "socket_connect_timeout": REDIS_CONNECT_TIMEOUT}
CHANNEL_LAYERS: dict[str, Any] = (
    {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {
                "hosts": [{"address": REDIS_URL, **REDIS_OPTIONS}],
                "prefix": REDIS_PREFIX,
            },
        }
    }
    if REDIS_URL
    else {}
)

# --- Celery --------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_PREFIX}:",
    **REDIS_OPTIONS,
    # For the answer that a worker waits for without reading, a task; and for the subscription to remote control.
    "health_check_interval": BROKER_HEALTH_CHECK_INTERVAL,
    # A task that a worker took is its own, as Redis has it: what a lost worker does not do, the next slot's does. Each
    # acknowledgement that a broken connection lost would leave the worker room for one task less, for good.
    "ack_emulation": False,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A Redis that answers with an error, since it is full or for the moment a replica, would end the worker.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# Beat, the only one that publishes tasks, tries until Redis is there again: given up, a task would be sent an interval
# later.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": None, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a Redis that is away comes back; giving up would need a person
# Concerns tasks that are acknowledged late, which ours are not; set, as Celery warns at each reconnect where it is not.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# A worker that hangs is replaced: everything a refresh does ends long before, though it be begun anew once.
CELERY_TASK_TIME_LIMIT = 2 * PROVIDER_BUDGET.total_seconds() + 30
CELERY_BEAT_SCHEDULER = "swarna.scheduler:Scheduler"
# Beat writes down each run at once, so that one that was killed goes on in its own rhythm and not an interval late.
CELERY_BEAT_SYNC_EVERY = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- Django --------------------------------------------------------------------------------------------------------
TIME_ZONE = read(env.time_zone, "TIME_ZONE", "Asia/Kolkata")
LANGUAGE_CODE = "en"
ROOT_URLCONF = "swarna.urls"
ASGI_APPLICATION = "swarna.asgi.application"  # for `runserver`
STATIC_URL = "static/"
# Files are served where they lie, so that a checkout runs without `collectstatic`.
WHITENOISE_USE_FINDERS = True

INSTALLED_APPS = [
    "swarna.apps.DeskConfig",
    "swarna",  # before staticfiles, whose `runserver` has no stream
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "simple_history",
    "corsheaders",
    "csp",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "prices",
    "streaming",
]
MIDDLEWARE = [
    "infra.hosts.health_by_any_host",
    "infra.cookies.SecureCookiesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "swarna.pages.PagePoliciesMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "infra.rest.caching.ApiGZipMiddleware",
    "infra.rest.caching.ApiConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]
# Files of our own, and nothing else: nothing that somebody got into a page is run or sent anywhere. The board adds its
# stream to it (swarna/urls.py).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# A board on a wall may keep its screen on and fill it.
PERMISSIONS_POLICY = (
    "screen-wake-lock=(self), fullscreen=(self), "
    "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=()"
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
AUTHENTICATION_BACKENDS = ["accounts.backends.CountedPasswords", "django.contrib.auth.backends.ModelBackend"]
SESSION_COOKIE_AGE = round(SESSION_TTL.total_seconds())
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # where it is not said whither, or not believed
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_RENDERER_CLASSES": ["infra.rest.renderers.NumberRenderer"],
    "DEFAULT_PARSER_CLASSES": ["infra.rest.parsers.BoundedJSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["infra.rest.throttles.ClientThrottle"],
    "DEFAULT_SCHEMA_CLASS": "infra.rest.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "infra.rest.problems.of_exception",
    # `?format=csv` is a parameter like others: an unknown one is told what there is, where DRF's own is not found.
    "URL_FORMAT_OVERRIDE": None,
}
REST_KNOX = {"TOKEN_TTL": TOKEN_TTL, "TOKEN_PREFIX": TOKEN_PREFIX}
SPECTACULAR_SETTINGS = {
    "TITLE": "Swarna",
    "DESCRIPTION": "Live precious-metal prices. The live stream itself is a WebSocket: see docs/protocol.md.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    # The page's own files, so that it works without a network.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "infra.redaction.TokenlessFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        }
    },
    "handlers": {
        "console": {
            "class": "infra.repeated_logs.RepeatedLogsHandler",
            "ours": ("accounts", "infra", "prices", "streaming", "swarna"),
            "formatter": "line",
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        name: {"handlers": ["console"], "level": level, "propagate": False}
        for name, level in {
            "infra": LOG_LEVEL,
            "swarna": LOG_LEVEL,
            "prices": LOG_LEVEL,
            "streaming": LOG_LEVEL,
            "django": "WARNING",
            "django.channels.server": LOG_LEVEL,  # a line for each request, by `runserver` alone
            "django.request": "ERROR",  # 403 and 404 are the client's, and no reason for a traceback
            "celery": "WARNING",
            # Its receive loop logs a traceback each second while Redis is away; the hub says it once, in a line.
            "channels_redis.pubsub": "CRITICAL",
        }.items()
    },
}

try:
    env.seal()
    ENVIRONMENT_ERRORS: dict[str, list[str]] = {}
except EnvValidationError as error:
    ENVIRONMENT_ERRORS = dict(error.error_messages)  # type: ignore[arg-type]  # environs: by variable, a list of texts
