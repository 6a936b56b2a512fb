"""HTTP and WebSocket of one web process, for any ASGI server; `manage.py serve` runs it on ours."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swarna.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets Django up, which the imports below need

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from streaming.routing import websocket_application

if settings.ENVIRONMENT_ERRORS:
    # A server that was started without `manage.py` has not run the checks.
    raise ImproperlyConfigured(f"Run `manage.py check`: {settings.ENVIRONMENT_ERRORS}")

application = ProtocolTypeRouter({"http": http, "websocket": websocket_application()})
