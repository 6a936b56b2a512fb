"""`manage.py serve`: one web process, HTTP and WebSocket on one port."""

import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

# Connections that wait to be taken, as many as the kernel allows (net.core.somaxconn): all clients come back at once.
_BACKLOG = 65535


class Command(BaseCommand):
    help = "Serve the board, the API and the stream on one port. `manage.py up` runs this beside everything else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.BIND_ADDRESS, help="address to listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=settings.WEBSOCKET_PORT, help="port (%(default)s)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        # Importing Daphne installs Twisted's reactor, which no other command wants.
        from streaming.server import Limits, PriceServer
        from swarna.asgi import application

        with listening(host, port) as listener:
            PriceServer(
                application,
                listener=listener,
                limits=Limits(
                    max_message_bytes=settings.WS_MAX_MESSAGE_BYTES,
                    compression_threshold=settings.WS_COMPRESSION_THRESHOLD,
                    timeout=settings.WS_TIMEOUT.total_seconds(),
                    drain=settings.WS_DRAIN_TIMEOUT.total_seconds(),
                ),
                ready=lambda: self.stdout.write(f"listening on http://{host}:{port}/"),
            ).run()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises CommandError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror}. Set WEBSOCKET_PORT to a free port."
        ) from error
    return listener
