"""All of Swarna's settings. This file alone reads the environment; `.env.example` explains each variable.

A variable that cannot be read gets its default here, and an entry in `ENVIRONMENT_ERRORS`: `manage.py check` reports it
with a hint, and no server process starts (swarna/checks.py).
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
from marshmallow.validate import NoneOf, OneOf, Range
from whitenoise.compress import Compressor

from infra.addresses import Network
from infra.redaction import TOKEN_PREFIX
from prices.domain.calendar import Calendar
from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.sanity import Release
from swarna import __version__, environment
from swarna.environment import read
from swarna.state_dir import announced_redis_url, kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
_env_file = os.environ.get("SWARNA_ENV_FILE", str(BASE_DIR / ".env"))
# An empty list is a value: no address may read the metrics.
env = environment.reader(Path(_env_file) if _env_file else None, may_be_empty={"METRICS_ALLOWED_FROM"})

# --- where it runs -------------------------------------------------------------------------------------------------
# Relative to the checkout, so that every process finds the same folder, wherever it was started.
STATE_DIR = (BASE_DIR / (env.str("SWARNA_STATE_DIR", "") or "var")).resolve()
BIND_ADDRESS = read(env.str, "BIND_ADDRESS", "127.0.0.1")
_port = Range(1, 65535)
WEBSOCKET_PORT = read(env.int, "WEBSOCKET_PORT", 0, validate=_port) or read(env.int, "WS_PORT", 3001, validate=_port)
WEB_PROCESSES = read(env.int, "WEB_PROCESSES", 1, validate=Range(1, 256))
DEBUG = read(env.bool, "DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", [], subcast=str.strip) or ["localhost", "127.0.0.1", "[::1]"]
URL_PREFIX = read(env.url_prefix, "URL_PREFIX", "")
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
# Of each provider, by its name: METALS_DEV_URL and METALS_DEV_QUOTA if it makes calls, METALS_DEV_KEY if it needs one.
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
# Staff may set another interval, freshness limit, threshold and jump in the admin. The schedule can keep intervals
# between these bounds: prices/schedule.py.
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
# Candles are kept for good; with None, ticks are too.
TICKS_KEPT_FOR: dt.timedelta | None = env.retention("TICKS_KEPT_FOR", "400d")
# Spot metals' trading hours: only then do quotes age, and are prices fetched at each update interval.
MARKET_CALENDAR = read(env.market_calendar, "MARKET_HOLIDAYS", Calendar.built_in())
CLOSED_UPDATE_INTERVAL = read(env.duration, "CLOSED_UPDATE_INTERVAL", dt.timedelta(minutes=15))
FALLBACK_AFTER = read(env.duration, "FALLBACK_AFTER", dt.timedelta(hours=1), shortest=_A_SECOND)
# For all sources together in one refresh, so that one that hangs costs no more.
PROVIDER_BUDGET = read(env.duration, "PROVIDER_BUDGET", dt.timedelta(seconds=10), shortest=_A_SECOND)
# A price further than this from the last one is quarantined.
MAX_JUMP_PERCENT = read(
    env.decimal, "MAX_JUMP_PERCENT", Decimal(5), validate=Range(min=0, max=1000, min_inclusive=False)
)
# Its way out, beside staff's approval; and when its own source may let it out, by saying the same again.
QUARANTINE_RELEASE = Release(read(env.str, "QUARANTINE_RELEASE", "same_source", validate=OneOf(list(Release))))
QUARANTINE_WAIT = read(env.duration, "QUARANTINE_WAIT", dt.timedelta(minutes=10), shortest=_A_SECOND)
# Two people for large edits of prices: one beyond so many percent of the last live price waits for another person, for
# so long. Roles may have limits of their own (model ApprovalLimit). None: everybody edits alone.
APPROVAL_ABOVE_PERCENT: Decimal | None = (
    env.decimal("APPROVAL_ABOVE_PERCENT", validate=Range(min=0, max=1000))
    if env.str("APPROVAL_ABOVE_PERCENT", "")
    else None
)
APPROVAL_EXPIRES_AFTER = read(
    env.duration, "APPROVAL_EXPIRES_AFTER", dt.timedelta(hours=1), shortest=dt.timedelta(minutes=1)
)
# The sources that have to agree on a price; 0: the first that answers is believed.
CONSENSUS_SOURCES = read(
    env.int,
    "CONSENSUS_SOURCES",
    0,
    validate=[Range(min=0, max=20), NoneOf([1], error="Nobody agrees with one alone: write 0, or 2 and more.")],
)
CONSENSUS_TOLERANCE_PERCENT = read(
    env.decimal, "CONSENSUS_TOLERANCE_PERCENT", Decimal(1), validate=Range(min=0, max=100, min_inclusive=False)
)
# A source's price that has not moved for so long of an open market, while its time moved, stands still.
STANDING_AFTER = read(env.duration, "STANDING_AFTER", dt.timedelta(minutes=30), shortest=_A_SECOND)

# --- the stream ----------------------------------------------------------------------------------------------------
WS_MAX_CONNECTIONS = read(env.int, "WS_MAX_CONNECTIONS", 100, validate=Range(min=1))
WS_MAX_CONNECTIONS_PER_IP = read(env.int, "WS_MAX_CONNECTIONS_PER_IP", 0, validate=Range(min=0))
WS_AUTH_REQUIRED = read(env.bool, "WS_AUTH_REQUIRED", False)
# Half a minute at most, so that a revoked token's connections end within a minute.
WS_AUTH_RECHECK = read(env.duration, "WS_AUTH_RECHECK", dt.timedelta(seconds=20), longest=dt.timedelta(seconds=30))
WS_RATE_LIMIT = read(env.int, "WS_RATE_LIMIT", 10, validate=Range(min=1))
WS_USER_RATE_LIMIT = read(env.int, "WS_USER_RATE_LIMIT", 300, validate=Range(min=1))
WS_RATE_WINDOW = read(env.duration, "WS_RATE_WINDOW", dt.timedelta(minutes=1))
WS_MAX_MESSAGE_BYTES = read(env.int, "WS_MAX_MESSAGE_BYTES", 16 * 1024, validate=Range(min=256))
# Less is a slip: 30 would be milliseconds, and drop every client.
WS_TIMEOUT = read(env.duration, "WS_TIMEOUT", dt.timedelta(seconds=30), shortest=_A_SECOND)
WS_BATCH_INTERVAL = read(env.duration, "WS_BATCH_INTERVAL", dt.timedelta(seconds=1), shortest=dt.timedelta(0))
WS_COMPRESSION_THRESHOLD = read(env.int, "WS_COMPRESSION_THRESHOLD", 1024, validate=Range(min=0))
WS_DRAIN_TIMEOUT = read(env.duration, "WS_DRAIN_TIMEOUT", dt.timedelta(milliseconds=2500))
WS_RESTART_SPREAD = read(env.duration, "WS_RESTART_SPREAD", dt.timedelta(seconds=5))

# --- the API -------------------------------------------------------------------------------------------------------
# Requests in API_RATE_WINDOW of one address, or of one user; 0: any number.
API_RATE_LIMIT = read(env.int, "API_RATE_LIMIT", 600, validate=Range(min=0))
API_USER_RATE_LIMIT = read(env.int, "API_USER_RATE_LIMIT", 1200, validate=Range(min=0))
API_RATE_WINDOW = read(env.duration, "API_RATE_WINDOW", dt.timedelta(minutes=1))
# Pages of these origins may read the API; `*`: any. They may not use a login: a token identifies their user.
_origins: list[str] = read(env.origins, "CORS_ALLOWED_ORIGINS", [])
CORS_ALLOW_ALL_ORIGINS: bool = "*" in _origins
CORS_ALLOWED_ORIGINS: list[str] = [origin for origin in _origins if origin != "*"]
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "if-none-match", "last-event-id"]
CORS_EXPOSE_HEADERS = ["Date", "ETag", "Link", "Retry-After"]
# Pages of these origins, beside our own, may show `/embed/` in a frame; `*`: any.
EMBED_ALLOWED_ORIGINS: list[str] = read(env.origins, "EMBED_ALLOWED_ORIGINS", [])

# --- price locks ---------------------------------------------------------------------------------------------------
# Those that were never redeemed; redeemed ones are kept for good.
LOCKS_KEPT_FOR = read(env.duration, "LOCKS_KEPT_FOR", dt.timedelta(days=30), shortest=dt.timedelta(days=1))

# --- signing -------------------------------------------------------------------------------------------------------
# `iss` of receipts and price locks. A request's Host would be whatever a client calls this server.
SIGNING_ISSUER = read(env.str, "SIGNING_ISSUER", "swarna")
# Their keys, in a file instead of the database; checked by swarna/checks.py, and read whenever they are needed.
_keys_file = env.str("SIGNING_KEYS_FILE", "")
SIGNING_KEYS_FILE: Path | None = (BASE_DIR / _keys_file).resolve() if _keys_file else None

# --- metrics -------------------------------------------------------------------------------------------------------
# The web processes of one host share the folder; its files do not outlive their run.
METRICS_DIR = (BASE_DIR / (env.str("METRICS_DIR", "") or STATE_DIR / "metrics")).resolve()
# By default this machine and private networks.
METRICS_ALLOWED_FROM = read(
    env.networks,
    "METRICS_ALLOWED_FROM",
    environment.networks("127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"),
)

# --- e-mail --------------------------------------------------------------------------------------------------------
# To staff, of edits that wait for them and of emergencies. Without a host none is sent.
EMAIL_HOST = read(env.str, "EMAIL_HOST", "")
EMAIL_PORT = read(env.int, "EMAIL_PORT", 587, validate=_port)
EMAIL_HOST_USER = read(env.str, "EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = read(env.api_key, "EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = read(env.bool, "EMAIL_USE_TLS", True)
DEFAULT_FROM_EMAIL = read(env.str, "DEFAULT_FROM_EMAIL", "swarna@localhost")
SECRET_SETTINGS += ["EMAIL_HOST_PASSWORD"]

# --- timeouts ------------------------------------------------------------------------------------------------------
# Seconds, in every process; at most ten, so that prices reach all clients within half a minute after a peer falls
# silent. docs/operations.md has the table of all connections; tests/process/test_waits.py sees each timeout work.
# (Sources and exchange rates: PROVIDER_BUDGET. Counts: infra/fixed_window.py.)
DATABASE_CONNECT_TIMEOUT = 4  # for each address of a host
DATABASE_ANSWER_TIMEOUT = 8.0
# For work on much data in the background: retention, migrations, backfill, export, rebuilding candles.
DATABASE_LONG_ANSWER_TIMEOUT = 3600.0
# An idle transaction, as of a machine that lost its network, loses its locks.
DATABASE_IDLE_TIMEOUT = 6.0
# For a connection of a web process's pool.
DATABASE_POOL_TIMEOUT = 3.0
# For a read by the event loop (infra/database_threads.py) in all, and for a client's credentials; so long a web process
# waits at its start for the first read, too, before it accepts clients that it has no prices for.
DATABASE_READ_TIMEOUT = 10.0
# A Redis that hangs must not block the worker and the admin: web processes read the database too.
REDIS_CONNECT_TIMEOUT = 2.0
REDIS_ANSWER_TIMEOUT = 2.0
# For a whole publication: to connect and to log in are several answers.
REDIS_PUBLISH_TIMEOUT = 4.0
# For each answer of the mail server: whoever saves an edit waits for it.
EMAIL_TIMEOUT = 4.0
# Seconds between Celery's checks of its connections, and the longest pause before it tries a lost one again.
BROKER_HEALTH_CHECK_INTERVAL = 4
BROKER_LONGEST_PAUSE = 2

# --- database and Redis --------------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": (env.database_url("DATABASE_URL") if env.str("DATABASE_URL", "") else None)
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE_DIR / "swarna.sqlite3"}
}
# Web, worker and beat all write. WAL lets readers go on meanwhile. IMMEDIATE takes the write lock at BEGIN, where the
# busy timeout applies; in the middle of a transaction it does not.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 10,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
# A machine that vanished is given up within seconds. The kernel's defaults are a quarter of an hour for one that was
# sent something, and two hours for one that is waited for.
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

# The embedded Valkey announces itself in the state folder while it runs, so that any command finds it. A killed one
# leaves its announcement behind: the environment alone decides whether to start one.
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
    # For a worker's two silent connections: the wait for a task, and the subscription to remote control.
    "health_check_interval": BROKER_HEALTH_CHECK_INTERVAL,
    # A task belongs to the worker that took it: the next slot's task does the work of a lost worker. With emulation,
    # each acknowledgement that a broken connection lost would leave the worker room for one task less, for good.
    "ack_emulation": False,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# By default a Redis that answers with an error, as it is full or a replica for now, would end the worker.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# Beat, the only sender of tasks, tries until Redis is back: a task that is given up would be sent an interval later.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": None, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: after giving up, a person would have to act
# For tasks that are acknowledged late, which ours are not; unset, it makes Celery warn at each reconnect.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# A process of the worker that hangs is replaced. A refresh ends long before, even if it is begun a second time.
CELERY_TASK_TIME_LIMIT = 2 * PROVIDER_BUDGET.total_seconds() + 30
CELERY_BEAT_SCHEDULER = "swarna.scheduler:Scheduler"
# Beat saves each run at once, so that a killed one goes on in its rhythm instead of an interval late.
CELERY_BEAT_SYNC_EVERY = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- Django --------------------------------------------------------------------------------------------------------
TIME_ZONE = read(env.time_zone, "TIME_ZONE", "Asia/Kolkata")
LANGUAGE_CODE = "en"
# Of the visitors' pages, each by its own name; staff's pages are English. clients/js/client/words.js has the same.
LANGUAGES = [
    ("en", "English"),
    ("hi", "हिन्दी"),
    ("gu", "ગુજરાતી"),
    ("mr", "मराठी"),
    ("ta", "தமிழ்"),
    ("te", "తెలుగు"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
ROOT_URLCONF = "swarna.urls"
ASGI_APPLICATION = "swarna.asgi.application"  # for `runserver`
FORCE_SCRIPT_NAME = URL_PREFIX or None
STATIC_URL = f"{URL_PREFIX}/static/"
# The package that browsers and developers get: what it holds is what is served.
STATICFILES_DIRS = [("client", BASE_DIR / "clients/js/client")]
# Each web process collects them here before it serves, if they have changed: infra/static_files.py.
STATIC_ROOT = (BASE_DIR / (env.str("STATIC_ROOT", "") or STATE_DIR / "static")).resolve()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "infra.static_files.HashedStorage"},
}
# Of source maps, which only developers' tools ask for, compression would take as long as of all other files.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")

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
    "signing",
    "prices",
    "streaming",
    "locks",
    "pages",
]
MIDDLEWARE = [
    "infra.hosts.health_by_any_host",
    "infra.cookies.SecureCookiesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "infra.static_files.StaticFilesMiddleware",
    "swarna.page_policies.PagePoliciesMiddleware",
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
# Our own files alone, so that nothing injected into a page runs or sends data. The board and the desk add their stream
# (swarna/page_policies.py).
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
# A host may have other sites beside one with a prefix.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{URL_PREFIX}/"
SESSION_COOKIE_AGE = round(SESSION_TTL.total_seconds())
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # for a login without a target, or with one that is not believed
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
    # `?format=csv` is a parameter like others: an unknown value gets an error that names the known ones; with DRF's own
    # it would be 404.
    "URL_FORMAT_OVERRIDE": None,
}
REST_KNOX = {"TOKEN_TTL": TOKEN_TTL, "TOKEN_PREFIX": TOKEN_PREFIX}
SPECTACULAR_SETTINGS = {
    "TITLE": "Swarna",
    "DESCRIPTION": "Live precious-metal prices. They are public: most endpoints need no token. Amounts are per gram of "
    "fine metal unless `unit` and `purity` say otherwise. The stream is a WebSocket, and Server-Sent Events.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": URL_PREFIX}] if URL_PREFIX else [],
    "SERVE_INCLUDE_SCHEMA": False,
    # Served by us, so that the page works without the internet.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # A link to each operation would stand inside of the button that opens it, which screen readers cannot tell apart.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
    "TAGS": [
        {"name": "Prices", "description": "The metals, their current prices and the market's hours."},
        {"name": "Stream", "description": "The same, as they change."},
        {"name": "History", "description": "Ticks, candles and significant moves; as tables too."},
        {"name": "Receipts", "description": "All that a price was made of, for whoever asks why."},
        {"name": "Price locks", "description": "A price that holds while a customer pays. They need a token."},
        {"name": "Tokens", "description": "Tokens, for a username and password."},
        {
            "name": "Configuration",
            "description": "Current limits, intervals and sources; staff may change some.",
        },
        {"name": "Staff", "description": "Fallback prices, proposed edits and sources, for staff with the permission."},
    ],
    # prices/api/urls.py: any text is a path, and most are answered 404.
    "PATH_CONVERTER_OVERRIDES": {
        "metal": {
            "type": "string",
            "description": "A metal's name in lower case, or its ISO code in upper case. Answers have the name.",
            "examples": ["gold", "XAU"],
        }
    },
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
            "ours": ("accounts", "infra", "locks", "pages", "prices", "signing", "streaming", "swarna"),
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
            "signing": LOG_LEVEL,
            "streaming": LOG_LEVEL,
            "locks": LOG_LEVEL,
            "pages": LOG_LEVEL,
            "django": "WARNING",
            "django.channels.server": LOG_LEVEL,  # a line for each request; `runserver` alone uses it
            "django.request": "ERROR",  # 403 and 404 are the client's, and no reason for a traceback
            "celery": "WARNING",
            # Its receive loop logs a traceback each second while Redis is away; the feed logs that once, in a line.
            "channels_redis.pubsub": "CRITICAL",
        }.items()
    },
}

try:
    env.seal()
    ENVIRONMENT_ERRORS: dict[str, list[str]] = {}
except EnvValidationError as error:
    ENVIRONMENT_ERRORS = dict(error.error_messages)  # type: ignore[arg-type]  # environs: by variable, a list of texts
