"""This process's connections, and the ticks for them. One channel-layer subscription serves them all."""

import asyncio
import contextlib
import datetime as dt
import logging
import random
import time
from collections.abc import Awaitable, Callable, Container, Iterator
from typing import Any

import msgspec

from infra import formats
from infra.clock import Reading
from prices.domain.calendar import Calendar
from prices.domain.positions import Position
from prices.domain.quotes import Metal, PriceKind, kind_of
from prices.publishing.snapshot import MOVES_KEPT, PUBLICATIONS_KEPT, Snapshot
from streaming import protocol, publish, subscription
from streaming.connection import Connection
from streaming.engine.frames import Frame
from streaming.freshness import Freshness
from streaming.metrics import CloseReason, Fault, Metrics, RejectReason
from streaming.protocol import Feed
from streaming.publication_log import PublicationLog, PublicationMessage, Quoted, change_data, overall

logger = logging.getLogger(__name__)

# How often time itself is looked at: quotes grow stale and markets close without anybody telling us.
_JUDGE_EVERY = 1.0
# How often the database is asked for ticks that Redis did not bring: after a restart it loses them without a word.
_CATCH_UP_EVERY = 5.0
_RETRY_AFTER = 1.0
# Whatever the database is at then, nobody waits for it any longer: others have to read, and it may be gone.
_READ_TIMEOUT = 10.0
# Seconds after which the watch of the database should have read it again, however the last time ended.
_LATE = 2 * (_READ_TIMEOUT + _CATCH_UP_EVERY)
# A position that clients were sent in the last second before the machine fails may be remembered by nobody.
_REMEMBER_EVERY = 1.0
# What may be lost and come back, in the words of the log.
_REDIS = "the subscription to Redis"
_DATABASE = "the database"


class Hub:
    """The connections of one process. Made outside any event loop; its first connection starts it.

    `load` reads what is in force and the ticks after a position, and `remember` keeps one for after the process's end;
    `layer` gives the channel layer, None where there is none.
    What is in another `currency` or of other `kinds` is not shown.
    An update goes out at once where none did in the last `batch_interval`, else merged at its end. By as long as it had
    to wait, the next interval is shorter, but by a tenth at most.
    """

    def __init__(
        self,
        *,
        load: Callable[[Position], Awaitable[Snapshot]],
        remember: Callable[[Position], Awaitable[object]],
        layer: Callable[[], Any],
        clock: Callable[[], Reading],
        calendar: Calendar,
        currency: str,
        kinds: Container[PriceKind],
        max_connections: int,
        batch_interval: dt.timedelta,
        restart_spread: dt.timedelta,
        metrics: Metrics,
    ) -> None:
        self.log = PublicationLog(currency=currency, ticks=PUBLICATIONS_KEPT, moves=MOVES_KEPT)
        # An ordered set. In the order in which they came they also lie in memory, which makes a round quicker.
        self.connections: dict[Connection, None] = {}
        self.status: Frame | None = None
        self.metrics = metrics
        # What was sent and not yet told to the metrics: they are told in sums.
        self.messages_out = self.bytes_out = 0
        self._made, self._compressions = Frame.made, Frame.compressions
        self._unsent = 0  # frames that were made and not sent to anybody yet
        self._load = load
        self._remember = remember
        self._moved_on = asyncio.Event()
        self._layer = layer
        self._clock = clock
        self._calendar = calendar
        self._freshness = Freshness(calendar)
        self._max_connections = max_connections
        self._batch_interval = batch_interval.total_seconds()
        self._restart_spread = restart_spread
        # When the last round with news in it began (by the loop's clock), and the newest tick in it.
        self._told_at = 0.0
        self._told_seq = 0
        self._round: asyncio.TimerHandle | None = None  # the one that is to come
        self._freshness_limit: dt.timedelta | None = None  # until the database has been read
        self._currency = currency
        self._kinds = kinds
        # What the status says: feed, feeds, whether the market is open, its next change, source, epoch.
        self._shown: tuple[Feed, dict[str, Feed], bool, dt.datetime, str | None, str] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._checked_at = 0.0
        self._reading = asyncio.Lock()
        self._has_read = asyncio.Event()
        self._next_reading: asyncio.Task[None] | None = None
        self._troubles: set[str] = set()
        # The log's newest tick when Redis last brought something: what is newer in the log came by the database.
        self._received_seq = 0
        self._is_subscribed = False
        self._stalled = asyncio.Event()

    def join(self, connection: Connection) -> bool:
        """Take a connection in: it is sent the prices in force, the status, and then what changes. False when full."""
        if len(self.connections) >= self._max_connections:
            self.metrics.refused(RejectReason.AT_CAPACITY)
            return False
        self.connections[connection] = None
        self.metrics.accepted()
        if self._tasks:
            connection.flush()
        else:
            self.start()
        return True

    def leave(self, connection: Connection, why: CloseReason) -> None:
        """Forget a connection. Harmless for one that never joined, or has left."""
        if connection in self.connections:
            del self.connections[connection]
            self.metrics.closed(why)
        connection.close()

    async def wait_for_seq(self, since: int, epoch: str | None) -> None:
        """Wait for a tick that a client has seen and this process has not: another process was quicker.

        Returns also when there is no such tick in the database; then the client's `since` is of no use.
        """
        if since > self.log.seq or epoch not in (None, self.log.epoch):
            # A reading that begins from now on sees that tick; one serves all who wait for it.
            if self._next_reading is None:
                self._next_reading = asyncio.create_task(self._catch_up())
            await asyncio.shield(self._next_reading)

    def now(self) -> dt.datetime:
        """The time by the wall clock."""
        return self._clock().wall

    def restart_delay(self) -> int:
        """Milliseconds after which a client is to come back when this process ends: not all at once."""
        return random.randint(0, formats.milliseconds(self._restart_spread))  # noqa: S311  (no secret)

    def start(self) -> None:
        """Begin to keep the prices, in the event loop that runs; nothing where that has begun."""
        if self._tasks:
            return
        loop = asyncio.get_running_loop()
        self._checked_at = time.monotonic()
        self._tasks = [
            loop.create_task(self._listen()),
            loop.create_task(self._watch_the_database()),
            loop.create_task(self._watch_the_clock()),
            loop.create_task(self._remember_positions()),
            loop.create_task(self.metrics.log_regularly()),
        ]

    async def first_reading(self, within: float) -> None:
        """Wait until the database has been read, whether there are prices or none, but `within` seconds at most."""
        self.start()
        try:
            async with asyncio.timeout(within):
                await self._has_read.wait()
        except TimeoutError:
            logger.error(
                "the database was not read within %d s: clients are taken all the same, and told that prices are stale",
                within,
            )

    def snapshot(self) -> Snapshot | None:
        """The prices in force, from memory; None until the database has been read."""
        if self._freshness_limit is None:
            return None
        quotes = {Metal(metal): quoted.published(Metal(metal)) for metal, quoted in self.log.latest.items()}
        return Snapshot(
            position=self.log.position,
            quotes=quotes,
            publications=(),
            moves=(),
            moves_since=self.log.seq,
            freshness_limit=self._freshness_limit,
            known_stale=frozenset(map(Metal, self.log.stale)),
        )

    def trouble(self) -> str | None:
        """The faults that keep prices from this process, for people; None where there is none."""
        if self._tasks and (seconds := time.monotonic() - self._checked_at) > _LATE:
            return f"has not read the database for {seconds:.0f} s"
        return ", ".join(f"{what} is lost" for what in sorted(self._troubles)) or None

    async def stop(self) -> None:
        """End the hub's own tasks, for whoever does not end the process with it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    # --- what the hub does by itself ---------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Take ticks from the channel layer for ever; while it is away, the database is the way."""
        while True:
            try:
                if (layer := self._layer()) is None:
                    raise ConnectionError("REDIS_URL is not set")
                await subscription.follow(
                    layer, publish.GROUP, begin=self._subscribed, take=self._take, stalled=self._stalled
                )
            except Exception as error:
                # The outermost boundary of this task: whatever a channel layer raises, the stream goes on.
                self._is_subscribed = False
                self._troubled(_REDIS, error)
                await asyncio.sleep(_RETRY_AFTER)

    async def _subscribed(self) -> None:
        # What was published before the subscription stood is in the database.
        await self._catch_up()
        self._received_seq = self.log.seq
        self._is_subscribed = True
        if self._stalled.is_set():
            self._stalled.clear()  # whether this one brings more is to be seen
        else:
            self._mended(_REDIS)

    async def _take(self, message: dict[str, Any]) -> None:
        await self._receive(message)
        self._received_seq = self.log.seq
        self._mended(_REDIS)

    async def _watch_the_database(self) -> None:
        known = self.log.position
        while True:
            with self._going_on("the database's watch"):
                await self._catch_up()
                self._checked_at = time.monotonic()
                # What the log had at the last look here should have come by Redis since.
                was_missed = known.epoch == self.log.epoch and known.seq > self._received_seq
                if was_missed and self._is_subscribed:
                    self._stalled.set()
                known = self.log.position
            is_well = self._has_read.is_set() and _DATABASE not in self._troubles
            await asyncio.sleep(_CATCH_UP_EVERY if is_well else _RETRY_AFTER)

    async def _watch_the_clock(self) -> None:
        while True:
            await asyncio.sleep(_JUDGE_EVERY)
            with self._going_on("the clock's watch"):
                self._report()
                if self._judge():
                    self._tell_all()

    async def _remember_positions(self) -> None:
        while True:
            await self._moved_on.wait()
            self._moved_on.clear()
            with self._going_on("what is remembered of the position"):
                await self._remember(self.log.position)
            await asyncio.sleep(_REMEMBER_EVERY)

    async def _receive(self, message: dict[str, Any]) -> None:
        if message["type"] != publish.TICK:
            await self._catch_up()
            return
        try:
            tick = msgspec.msgpack.decode(message["tick"], type=PublicationMessage)
        except msgspec.DecodeError:
            # Another version's, during a deploy: what it says is in the database too.
            await self._catch_up()
            return
        if self.log.has(tick):
            return
        if self._shows(tick) and self.log.append(tick):
            self._moved_on.set()
            self._judge()
            self._tell_all()
        else:
            await self._catch_up()

    def _shows(self, tick: PublicationMessage) -> bool:
        """Whether all of a tick is shown here. Where a worker was set up otherwise, the database says what of it is."""
        return all(
            quoted.currency == self._currency and kind_of(quoted.data.source) in self._kinds
            for quoted in tick.quotes.values()
        )

    async def _catch_up(self) -> None:
        """Take from the database what the log lacks: the missing ticks if they are all there, else everything anew."""
        async with self._reading:
            self._next_reading = None
            try:
                async with asyncio.timeout(_READ_TIMEOUT):
                    snapshot = await self._read()
            except Exception as error:
                # Whatever a database raises: clients keep what they have, and are told when it grows stale.
                self._troubled(_DATABASE, error)
                return
            self._mended(_DATABASE)
            if snapshot is None:
                return
            self._freshness_limit = snapshot.freshness_limit
            ticks = [PublicationMessage.of(tick) for tick in snapshot.publications]
            latest = {metal.value: Quoted.of(published) for metal, published in snapshot.quotes.items()}
            position = snapshot.position
            moves = [(seq, change_data(change)) for seq, change in snapshot.moves]
            if position.epoch != self.log.epoch:
                for connection in self.connections:
                    connection.begin(position.epoch)
                self.log.replace(position, latest, ticks, moves, snapshot.moves_since)
                self._received_seq = position.seq  # its own numbers were of the other history
            elif not all(self.log.append(tick) for tick in ticks) or position.seq > self.log.seq:
                self.log.replace(position, latest, ticks, moves, snapshot.moves_since)
            elif list(latest.items()) != list(self.log.latest.items()):
                self.log.relist(latest)
                self._renew(protocol.EVERY_METAL)
        self._has_read.set()
        self._moved_on.set()
        self._judge()
        self._tell_all()

    async def _read(self) -> Snapshot | None:
        """Read what the database holds beyond the log; all of it where that is of another epoch.

        None where ticks overtook the reading: then they came by Redis, and the next look will see the rest.
        """
        for _ in range(3):
            position = self.log.position
            snapshot = await self._load(position)
            if self.log.position == position:
                return snapshot
        return None

    def _judge(self) -> bool:
        """Judge what is shown by the clocks. Whether that alone is news: a quote turned stale, or another status."""
        reading, market = self._clock(), self._calendar
        now = reading.wall
        limit = self._freshness_limit or dt.timedelta.max
        judged = self._freshness.judge(self.log.latest, reading, limit)
        turned = self.log.mark_stale(judged.stale)
        self._renew(turned)
        feeds = self.log.feeds(judged.past)
        # Before the first reading nobody knows that there is no price.
        feed = overall(feeds.values()) if feeds or self._has_read.is_set() else Feed.STALE
        source = next((self.log.latest[metal].data.source for metal in feeds if feeds[metal] == feed), None)
        is_open, next_change = market.is_open(now), market.next_change(now)
        shown = (feed, feeds, is_open, next_change, source, self.log.epoch)
        if shown == self._shown:
            return bool(turned)
        self._shown = shown
        self.status = Frame(
            protocol.status(
                feed,
                feeds,
                market_open=is_open,
                next_change=formats.time(next_change),
                source=source,
                epoch=self.log.epoch,
                timestamp=formats.time(now),
            )
        )
        return True

    def _tell_all(self) -> None:
        """Send everybody what is new: now, or where that has just been done, at the end of the batch interval."""
        if self._round is None:
            loop = asyncio.get_running_loop()
            wait = max(self._told_at + self._batch_interval - loop.time(), 0.0)
            # Else, were ticks as far apart as the interval, one that is late would make all later ones as late.
            catches_up = min(wait, self._batch_interval / 10)
            self._round = loop.call_later(wait, self._tell_each, catches_up)

    def _tell_each(self, catches_up: float) -> None:
        self._report()
        self._round = None
        began = time.monotonic()
        skipped = 0
        with self._going_on("the round to all clients"):
            for connection in tuple(self.connections):
                skipped += not connection.push()
        if not self.messages_out and not skipped:
            return
        self._told_at = asyncio.get_running_loop().time() - catches_up
        seconds = time.monotonic() - began
        sent, shared, size = self._take_sums()
        self.metrics.fanned_out(
            sent=sent, skipped=skipped, shared=shared, bytes=size, seconds=seconds, age_seconds=self._age_of_news()
        )

    def _age_of_news(self) -> float | None:
        """Seconds since the newest tick was published; None where the last round had it already."""
        if self.log.seq == self._told_seq or self.log.published_at is None:
            return None
        self._told_seq = self.log.seq
        return (self.now() - self.log.published_at).total_seconds()

    def _report(self) -> None:
        """Tell the metrics what was sent beside the rounds."""
        if self.messages_out:
            sent, shared, size = self._take_sums()
            self.metrics.sent(sent, shared=shared, bytes=size)

    def _take_sums(self) -> tuple[int, int, int]:
        """What was sent since the last time: messages, those of them that shared another's frame, and bytes."""
        made, compressions = Frame.made - self._made, Frame.compressions - self._compressions
        self._made, self._compressions = Frame.made, Frame.compressions
        self.metrics.framed(plain=made, deflate=compressions)
        sent, size = self.messages_out, self.bytes_out
        self.messages_out = self.bytes_out = 0
        first = min(sent, self._unsent + made)
        self._unsent += made - first
        return sent, sent - first, size

    def _renew(self, metals: frozenset[str]) -> None:
        """Let connections that show one of these metals be sent the state, whether there is a new quote or not."""
        for connection in self.connections if metals else ():
            if connection.metals & metals:
                connection.renew()

    def _troubled(self, what: str, error: Exception) -> None:
        """Log a trouble when it begins."""
        if what not in self._troubles:
            self.metrics.failed(Fault.DATABASE if what == _DATABASE else Fault.REDIS)
            self._troubles.add(what)
            reason = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
            logger.error("%s is lost, trying again: %s", what, reason)

    def _mended(self, what: str) -> None:
        """Log a trouble's end."""
        if what in self._troubles:
            self._troubles.discard(what)
            logger.warning("%s is back", what)

    @contextlib.contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """The outermost boundary of a task that must not end: without it no price would ever turn stale again."""
        try:
            yield
        except Exception:
            self.metrics.failed(Fault.TASK)
            logger.exception("a defect of ours in %s", what)
