"""`manage.py serve`: one web process, HTTP and WebSocket on one port."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Serve the board, the API and the stream on one port. `manage.py up` runs this beside everything else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.BIND_ADDRESS, help="address to listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=settings.WEBSOCKET_PORT, help="port (%(default)s)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        # Importing Daphne installs Twisted's reactor, which no other command wants.
        from streaming.server import PriceServer
        from swarna.asgi import application

        server = PriceServer(
            application,
            host=host,
            port=port,
            max_message_bytes=settings.WS_MAX_MESSAGE_BYTES,
            timeout=settings.WS_TIMEOUT.total_seconds(),
            ready=lambda: self.stdout.write(f"listening on http://{host}:{port}/"),
        )
        server.run()
        if server.failed:
            raise CommandError(f"cannot listen on {host}:{port}: {server.failed}. Set WEBSOCKET_PORT to a free port.")
