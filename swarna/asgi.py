"""HTTP and WebSocket of one web process, for any ASGI server; `manage.py serve` runs it on ours."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets Django up, which the imports below need

from channels.db import database_sync_to_async
from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from prices.metrics import metrics as of_sources
from streaming.metrics import Metrics
from streaming.quick import Manners, Quick
from streaming.routing import hub_of_this_process, websocket_application
from swarna.metrics_page import with_metrics

if settings.ENVIRONMENT_ERRORS:
    # A server that was started without `manage.py` has not run the checks.
    raise ImproperlyConfigured(f"Run `manage.py check`: {settings.ENVIRONMENT_ERRORS}")

metrics = Metrics(settings.METRICS_DIR)
hub = hub_of_this_process(metrics)
manners = Manners(
    hosts=settings.ALLOWED_HOSTS,
    proxies=settings.TRUSTED_PROXIES,
    rate_limit=settings.API_RATE_LIMIT,
    rate_window=settings.API_RATE_WINDOW,
    any_origin=settings.CORS_ALLOW_ALL_ORIGINS,
    origins=settings.CORS_ALLOWED_ORIGINS,
    exposed=settings.CORS_EXPOSE_HEADERS,
)

application = ProtocolTypeRouter(
    {
        "http": with_metrics(
            Quick(http, hub, manners),
            metrics.registry,
            settings.METRICS_ALLOWED_FROM,
            settings.TRUSTED_PROXIES,
            more=database_sync_to_async(lambda: of_sources(timezone.now()), thread_sensitive=False),
        ),
        "websocket": websocket_application(hub),
    }
)
