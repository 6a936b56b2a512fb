"""`manage.py serve`: HTTP and WebSocket on one port, by one process or several."""

import logging
import signal
import socket
from argparse import SUPPRESS, ArgumentParser
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from infra import addresses
from infra.process.supervisor import Supervisor
from swarna import refresh_watch, web

logger = logging.getLogger(__name__)

_STANDSTILL = 30.0  # seconds


class Command(BaseCommand):
    help = "Serve the board, the API and the stream on one port. `manage.py up` runs this beside everything else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.BIND_ADDRESS, help="address to listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=settings.WEBSOCKET_PORT, help="port (%(default)s)")
        parser.add_argument(
            "--processes",
            type=int,
            default=settings.WEB_PROCESSES,
            help="web processes (%(default)s), each with WS_MAX_CONNECTIONS; SIGUSR1 replaces several one by one",
        )
        # The listening socket that was inherited, and the memory by which processes share in its connections.
        parser.add_argument("--socket", type=int, help=SUPPRESS)
        parser.add_argument("--balance", type=int, help=SUPPRESS)

    def handle(self, *args: Any, host: str, port: int, processes: int, **options: Any) -> None:
        if processes < 1:
            raise CommandError("--processes must be 1 or more.")
        if not 0 <= port <= 65535:  # the resolver takes it modulo 65536
            raise CommandError("--port must be from 1 to 65535, or 0 for any that is free.")
        if options["socket"] is not None:
            serve(socket.socket(fileno=options["socket"]), options["balance"])
        elif processes == 1:
            serve(web.listening(host, port))
        else:
            supervise(web.listening(host, port), processes)


def serve(listener: socket.socket, shared_memory: int | None = None) -> None:
    """Run this web process until SIGTERM or SIGINT."""
    # No other command needs Daphne's HTTP, whose import takes a while.
    from streaming.engine import balance, server
    from streaming.engine.tcp import Limits
    from swarna.asgi import application, hub, metrics

    # By default the signal would end the process, without a word to its clients.
    signal.signal(
        signal.SIGUSR1,
        lambda *_: logger.warning("SIGUSR1 is for manage.py up, or serve --processes 2 or more: this process stays"),
    )
    if too_few := web.open_files(settings.WS_MAX_CONNECTIONS):
        logger.warning(too_few)
    refresh_watch.watch.start()
    host, port = listener.getsockname()[:2]
    server.serve(
        application,
        listener=listener,
        limits=Limits(
            max_message_bytes=settings.WS_MAX_MESSAGE_BYTES,
            max_body_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            compression_threshold=settings.WS_COMPRESSION_THRESHOLD,
            timeout=settings.WS_TIMEOUT.total_seconds(),
            drain=settings.WS_DRAIN_TIMEOUT.total_seconds(),
            standstill=_STANDSTILL,
        ),
        prepare=partial(hub.first_reading, within=settings.DATABASE_READ_TIMEOUT),
        ready=lambda: print(f"{web.READY}http://{addresses.authority(host, port)}/", flush=True),
        refused=metrics.refused,
        draining=hub.drain,
        balance=None if shared_memory is None else balance.join(shared_memory, settings.WS_MAX_CONNECTIONS),
    )


def supervise(listener: socket.socket, processes: int) -> None:
    """Run so many web processes until SIGTERM or SIGINT."""
    supervisor = Supervisor("serve")
    try:
        for program in web.programs(listener, processes, {"PYTHONUNBUFFERED": "1"}):
            supervisor.start(program)
        supervisor.run()
    finally:
        supervisor.kill()
