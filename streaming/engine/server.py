"""A web process: one listening socket, one event loop, and an ASGI application for all that comes in.

WebSockets and event streams are served by this package itself, all other HTTP by Daphne. Any ASGI application can
run on it; one that knows of sinks (sinks.py) writes frames that all connections share.
"""

import asyncio
import faulthandler
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from uvloop import new_event_loop

from infra.asgi import Application
from streaming.engine.asgi import Runs
from streaming.engine.balance import Balance
from streaming.engine.door import Door
from streaming.engine.polling import Polling, polling
from streaming.engine.reasons import RejectReason
from streaming.engine.tcp import Limits, Sockets

logger = logging.getLogger(__name__)

# A full collection takes half a second at 10,000 connections, and Python would run one each time that their number has
# grown by a quarter: in a storm of connects. Connections leave nothing to the collector
# (tests/process/test_server.py); for all else a full collection now and then is enough.
_COLLECTOR = (5_000, 10, 1_000_000)
_COLLECT_EVERY = 600.0  # seconds


def serve(
    application: Application,
    *,
    listener: socket.socket,
    limits: Limits,
    prepare: Callable[[], Awaitable[object]],
    ready: Callable[[], object],
    refused: Callable[[RejectReason], object],
    draining: Callable[[], object] = lambda: None,
    balance: Balance | None = None,
    polling: Callable[[asyncio.AbstractEventLoop, int], Polling] = polling,
) -> None:
    """Serve the application on a socket that listens already, until SIGTERM or SIGINT; then drain.

    `balance` is the place among several processes that accept from this socket.
    `prepare` is awaited in the event loop before the first connection is accepted, and `ready` is called then.
    `refused` is called for each handshake that is refused before the application has accepted it, and for each silent
    connection that is dropped for want of file descriptors. `draining` is called once when the server begins to drain:
    the application ends the answers that it would else keep waiting. `polling` makes the sets of sockets.
    """
    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    sockets = Sockets(loop, limits, refused, polling)
    runs = Runs(loop, application)
    door = Door(listener, sockets, runs, balance)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def run() -> None:
        """Open the door once the application is prepared, and drain when it is time to stop."""
        stopping, preparing = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(prepare())
        await asyncio.wait((stopping, preparing), return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            if error := preparing.exception():
                logger.error("a defect of ours before the first connection", exc_info=error)
            door.open()
            ready()
            await stopping
            door.shut()
        # Shut down gracefully: send `restart` and close 1012 to every client, and wait for the ends of all.
        sockets.draining = True
        draining()
        for connection in sockets.timers:
            connection.restart()
        await runs.end(within=limits.drain)

    # Objects that exist by now stay for good: spare the collector from visiting them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)
    _watch(loop, sockets, door)
    _collect(loop)
    loop.run_until_complete(run())


def _watch(loop: asyncio.AbstractEventLoop, sockets: Sockets, door: Door) -> None:
    # While the loop stands still no client is served, and no code of ours runs. So a thread of the interpreter ends the
    # process then, with a traceback of where it stands, and its supervisor starts it again.
    faulthandler.dump_traceback_later(sockets.limits.standstill, exit=True)
    sockets.check()
    door.show()
    loop.call_later(sockets.timers.resolution, partial(_watch, loop, sockets, door))


def _collect(loop: asyncio.AbstractEventLoop) -> None:
    gc.collect()
    loop.call_later(_COLLECT_EVERY, partial(_collect, loop))
