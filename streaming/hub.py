"""The connections of this process, and the broadcast of updates to them."""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import Awaitable, Callable

from infra import formats
from infra.clock import Reading
from prices.domain.calendar import Calendar
from prices.domain.positions import Position
from streaming import protocol
from streaming.cohorts import Cohorts
from streaming.connection import Connection
from streaming.engine.frames import Frame
from streaming.engine.reasons import CloseReason, RejectReason
from streaming.engine.sinks import Sink
from streaming.engine.timers import TimerWheel
from streaming.feed import PriceFeed, outlived
from streaming.freshness import Freshness
from streaming.metrics import Traffic, Transport

logger = logging.getLogger(__name__)

# Seconds by which a heartbeat may be late, twice: in its slot of the wheel, and until the wheel is looked at.
_BEAT_EVERY = 0.25
# Seconds after which a slow client's heartbeat is tried again.
_BEAT_AGAIN_AFTER = 1.0
# Seconds between two checks of freshness: quotes grow stale and markets close without a message to say so.
_CHECK_EVERY = 1.0
# Seconds between two reports of the number of clients; the audience counts one for three times as long.
_REPORT_EVERY = 5.0


class Hub:
    """The connections of one process and their price feed. Made outside any event loop; its first connection starts it.

    A broadcast begins at once if the last one began at least `batch_interval` ago, else at the interval's end, with all
    that is new by then. The interval after it is shorter by as long as it had to wait, but by a tenth at most.
    `report` is awaited every few seconds with the number of clients.
    """

    def __init__(
        self,
        feed: PriceFeed,
        *,
        clock: Callable[[], Reading],
        calendar: Calendar,
        max_connections: int,
        batch_interval: dt.timedelta,
        restart_spread: dt.timedelta,
        report: Callable[[int], Awaitable[object]],
    ) -> None:
        feed.broadcaster = self
        self.feed = feed
        self.log = feed.log
        self.metrics = feed.metrics
        self._traffic = Traffic(feed.metrics)
        self.connections = Cohorts[Connection](self.log, self._traffic)
        self._on_restart = self._restart  # one bound method for all connections
        self._freshness = Freshness(calendar)
        self._heartbeats = TimerWheel[Connection](_BEAT_EVERY)
        self._clock = clock
        self._max_connections = max_connections
        self._batch_interval = batch_interval.total_seconds()
        self._restart_spread = restart_spread
        self._report = report
        # When the last broadcast with news began (by the loop's clock), and the newest publication in it.
        self._broadcast_at = 0.0
        self._broadcast_seq = 0
        self._next_broadcast: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._tasks: list[asyncio.Task[None]] = []

    def connection(
        self,
        sink: Sink,
        transport: Transport = Transport.WEBSOCKET,
        on_restart: Callable[[Connection], object] | None = None,
    ) -> Connection:
        """A connection that writes to this sink, and has yet to join.

        `on_restart` ends it when this process does; by default it is sent `restart`.
        """
        return Connection(self.log, self._traffic, sink, on_restart or self._on_restart, transport)

    def join(self, connection: Connection) -> bool:
        """Admit a connection, which gets current prices, the status, and then all changes.

        False if the hub is full, or about to end.
        """
        if self._is_draining:
            self.metrics.refused(RejectReason.RESTART)
            return False
        if len(self.connections) >= self._max_connections:
            self.metrics.refused(RejectReason.AT_CAPACITY)
            # The log shows it once, and counts repetitions.
            logger.warning(
                "clients are turned away: WS_MAX_CONNECTIONS is %d. Raise it, or let more processes serve",
                self._max_connections,
            )
            return False
        self.connections.apart[connection] = None
        self.metrics.accepted(connection.transport)
        if self._tasks:
            connection.flush()
        else:
            self.start()
        return True

    def leave(self, connection: Connection, reason: CloseReason) -> None:
        """Forget a connection. Harmless for one that never joined, or has left."""
        connection.step_out()
        if connection in self.connections.apart:
            del self.connections.apart[connection]
            self._heartbeats.discard(connection)
            self.metrics.closed(reason, connection.transport)
        connection.close()

    def set_heartbeat(self, connection: Connection, ms: int) -> None:
        """Send a client a heartbeat whenever it was sent nothing for so many milliseconds; 0 ends that."""
        connection.step_out()
        if connection in self.connections.apart:
            connection.heartbeat_ms = ms
            connection.sent_at = now = time.monotonic()
            if ms:
                self._heartbeats.set(connection, now + ms / 1000)
            else:
                self._heartbeats.discard(connection)

    def now(self) -> dt.datetime:
        """The time by the wall clock."""
        return self._clock().wall

    def start(self) -> None:
        """Start the feed, its watch, the reports and the metrics' log in the running event loop, unless they run."""
        if not self._tasks:
            feed = self.feed
            from_feed = (feed.follow_redis, feed.follow_database, feed.remember_positions)
            tasks = (*from_feed, self._watch_the_clock, self._send_heartbeats, self._report_clients)
            self._tasks = [asyncio.create_task(task()) for task in (*tasks, self.metrics.log_regularly)]

    async def first_reading(self, within: float) -> None:
        """Wait until the database has been read, with prices or without, but `within` seconds at most."""
        self.start()
        try:
            async with asyncio.timeout(within):
                await self.feed.has_read.wait()
        except TimeoutError:
            logger.error(
                "the database was not read within %d s: clients are accepted all the same, and see stale prices",
                within,
            )

    def drain(self) -> None:
        """Send all clients away, each to come back after a time of its own, and admit no more: this process ends."""
        self._is_draining = True
        for connection in self.connections:
            connection.restart()

    async def stop(self) -> None:
        """Cancel all tasks, for a process that goes on without the hub."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def spread_ms(self) -> int:
        """A random delay in milliseconds, so that clients that are sent away together do not come back together."""
        return random.randint(0, formats.milliseconds(self._restart_spread))  # noqa: S311  (no secret)

    # --- changes by the feed and by the clock -------------------------------------------------------------------------

    def begin_epoch(self, epoch: str) -> None:
        for connection in self.connections:
            connection.begin_epoch(epoch)

    def log_changed(self, renewed: frozenset[str]) -> None:
        self._renew(renewed)
        self._check_freshness()
        self._broadcast()

    async def _watch_the_clock(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_EVERY)
            with outlived(self.metrics, "the clock's watch"):
                self._traffic.report()
                if self._check_freshness():
                    self._broadcast()

    async def _report_clients(self) -> None:
        while True:
            with outlived(self.metrics, "the report of clients"):
                await self._report(len(self.connections))
            await asyncio.sleep(_REPORT_EVERY)

    def _check_freshness(self) -> bool:
        """Bring stale prices and the status up to date; return True if either changed."""
        version = self.log.version
        self._renew(self._freshness.update(self.log, self._clock(), self.feed.freshness_limit))
        return self.log.version != version

    def _renew(self, metals: frozenset[str]) -> None:
        """Have connections that show one of these metals sent the state, even without a new quote."""
        if metals:
            self.connections.renew(metals)
            for connection in self.connections.apart:
                if connection.metals & metals:
                    connection.renew()

    # --- heartbeats ---------------------------------------------------------------------------------------------------

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_EVERY)
            with outlived(self.metrics, "heartbeats"):
                self._beat(time.monotonic())

    def _beat(self, now: float) -> None:
        """Send the heartbeats that are due at `now`, each encoded once for all clients with the same last update.

        A client that is sent prices costs one look in the time of its heartbeat: its timeout is set anew only then.
        """
        silent: list[Connection] = []
        for connection in self._heartbeats.due(now):
            seconds = connection.heartbeat_ms / 1000
            due_at = connection.last_sent_at + seconds
            if due_at <= now:
                is_writable = connection.is_writable
                due_at = now + (seconds if is_writable else _BEAT_AGAIN_AFTER)
                if is_writable:
                    silent.append(connection)
            self._heartbeats.set(connection, due_at)
        frames: dict[Position | None, Frame] = {}
        for connection in silent:
            connection.step_out()
            position = connection.sent_position
            if position not in frames:
                timestamp = formats.time(self.now())
                frames[position] = Frame(protocol.heartbeat(position, self._freshness.feed, timestamp))
            connection.beat(frames[position])

    # --- broadcasts ---------------------------------------------------------------------------------------------------

    def _broadcast(self) -> None:
        """Push to every connection: now, or if that was done within the batch interval, at its end."""
        if self._next_broadcast is None:
            loop = asyncio.get_running_loop()
            wait = max(self._broadcast_at + self._batch_interval - loop.time(), 0.0)
            # Else, were publications as far apart as the interval, a late one would make all later ones as late.
            catches_up = min(wait, self._batch_interval / 10)
            self._next_broadcast = loop.call_later(wait, self._push_all, catches_up)

    def _push_all(self, catches_up: float) -> None:
        self._traffic.report()
        self._next_broadcast = None
        began = time.monotonic()
        skipped = 0
        with outlived(self.metrics, "a broadcast"):
            apart = self.connections.gather()
            self.connections.push()
            for connection in apart:
                skipped += not connection.push()
        if not self._traffic.messages and not skipped:
            return
        self._broadcast_at = asyncio.get_running_loop().time() - catches_up
        seconds = time.monotonic() - began
        sent, shared, size = self._traffic.take()
        self.metrics.fanned_out(
            sent=sent, skipped=skipped, shared=shared, bytes=size, seconds=seconds, age_seconds=self._age_of_news()
        )

    def _age_of_news(self) -> float | None:
        """Seconds since the newest publication; None if the last broadcast had it already."""
        if self.log.seq == self._broadcast_seq or self.log.published_at is None:
            return None
        self._broadcast_seq = self.log.seq
        return (self.now() - self.log.published_at).total_seconds()

    def _restart(self, connection: Connection) -> None:
        """Send a client `restart`, with a random delay after which to come back, and then nothing more."""
        connection.write(protocol.restart(self.spread_ms()))
        self.leave(connection, CloseReason.RESTART)
