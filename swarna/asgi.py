"""The ASGI application of a web process: HTTP and WebSocket. Any ASGI server runs it; `manage.py serve` runs ours."""

import os
import warnings
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

import django

django.setup()  # the imports below need it

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils import timezone

from infra import addresses, static_files
from infra.database_threads import in_a_thread
from infra.django_handler import InOneThread
from infra.metrics.page import with_metrics
from infra.rest import throttles
from infra.url_prefix import below
from locks.metrics import counts as lock_counts
from locks.metrics import metrics as of_locks
from pages.memory import Memory
from prices.sources.metrics import metrics as of_sources
from streaming.event_stream import EventStream
from streaming.http_rules import Rules
from streaming.metrics import Metrics
from streaming.poll import WaitingPoll
from streaming.rest import CurrentPrices
from streaming.routing import gate_of_this_process, hub_of_this_process, websocket_application
from swarna.descriptors import unless_out_of_descriptors

if settings.ENVIRONMENT_ERRORS:
    # A server that was not started by `manage.py` has not run the checks.
    raise ImproperlyConfigured(f"Run `manage.py check`: {settings.ENVIRONMENT_ERRORS}")

if connection.vendor == "postgresql":
    from infra.postgresql.base import use_a_pool

    # Django answers each request in a thread of its own, which would open a connection: a crowd of clients would use up
    # the server's. (A worker has no pool: Celery would open and close it with each task.)
    use_a_pool(connection.settings_dict)

if not settings.DEBUG:
    static_files.collect()
# Of static files, the only answers that are streamed by Django: a thread reads each, which is small, as a whole.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
http = InOneThread()


async def behind_proxies(scope: Any, receive: Any, send: Any) -> None:
    """Django, with the scheme and the whole path of the client's request.

    A proxy in front passes a request by https on by http, and may leave `URL_PREFIX` out.
    """
    scheme = addresses.scheme_of_scope(scope, settings.TRUSTED_PROXIES)
    await http({**scope, "scheme": scheme, "path": settings.URL_PREFIX + scope["path"]}, receive, send)


metrics = Metrics(settings.METRICS_DIR)
lock_counts.count_in(metrics.store)
gate = gate_of_this_process(metrics)
hub = hub_of_this_process(metrics, gate)
rules = Rules(
    hosts=settings.ALLOWED_HOSTS,
    proxies=settings.TRUSTED_PROXIES,
    rate_limit=settings.API_RATE_LIMIT,
    user_rate_limit=settings.API_USER_RATE_LIMIT,
    rate_window=settings.API_RATE_WINDOW,
    users=throttles.counter(),
    spread_ms=hub.spread_ms,
    any_origin=settings.CORS_ALLOW_ALL_ORIGINS,
    origins=settings.CORS_ALLOWED_ORIGINS,
    exposed=settings.CORS_EXPOSE_HEADERS,
)

django_app = Memory(behind_proxies, hub)

router = ProtocolTypeRouter(
    {
        "http": unless_out_of_descriptors(
            with_metrics(
                EventStream(WaitingPoll(CurrentPrices(django_app, hub, rules), hub, gate, rules), hub, gate, rules),
                metrics.registry,
                settings.METRICS_ALLOWED_FROM,
                settings.TRUSTED_PROXIES,
                hosts=settings.ALLOWED_HOSTS,
                more=in_a_thread(lambda: [*of_sources(timezone.now()), *of_locks()]),
            ),
            metrics.refused,
        ),
        "websocket": websocket_application(hub, gate),
    }
)
application = below(settings.URL_PREFIX, router)
