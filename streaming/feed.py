"""The tasks that keep this process's publication log abreast of Redis and of the database."""

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Container, Iterator
from typing import Any, Protocol

import msgspec

from prices.domain.positions import Position
from prices.domain.quotes import Metal, PriceKind, kind_of
from prices.domain.wire import ChangeData
from prices.publishing.snapshot import MOVES_KEPT, PUBLICATIONS_KEPT, Snapshot
from streaming import publish, subscription
from streaming.metrics import Fault, Metrics
from streaming.protocol import EVERY_METAL
from streaming.publication_log import PublicationLog, PublicationMessage, Quoted

logger = logging.getLogger(__name__)

# Seconds between two readings of the database for what Redis did not bring: when it restarts, it loses that silently.
_CATCH_UP_EVERY = 5.0
_RETRY_AFTER = 1.0
# A reading that takes longer is given up, whatever the database is doing: others wait for the next one.
_READ_TIMEOUT = 10.0
# Seconds after which `follow_database` should have read again, however its last reading ended.
_LATE = 2 * (_READ_TIMEOUT + _CATCH_UP_EVERY)
# If the machine fails, positions that clients were sent within the last second may be lost.
_REMEMBER_EVERY = 1.0
# The two sources of publications, as log lines name them.
_REDIS = "the subscription to Redis"
_DATABASE = "the database"


class Broadcaster(Protocol):
    """Brings the log's changes to clients."""

    def begin_epoch(self, epoch: str) -> None:
        """The log is about to begin this epoch: positions of any other are void."""

    def log_changed(self, renewed: frozenset[str]) -> None:
        """The log may have changed. Clients need the state of `renewed` metals though these have no new quote."""


class PriceFeed:
    """The publication log of one process, and the tasks that keep it abreast. Made outside any event loop.

    `load` reads the current prices and the publications after a position; `remember` saves a position beyond the end of
    the process; `layer` returns the channel layer, or None if there is none. Quotes in another `currency` or of other
    `kinds` are not shown. `recheck` takes the id of a user when credentials of theirs may have ended. Set
    `broadcaster` before the tasks run.
    """

    broadcaster: Broadcaster

    def __init__(
        self,
        *,
        load: Callable[[Position], Awaitable[Snapshot]],
        remember: Callable[[Position], Awaitable[object]],
        layer: Callable[[], Any],
        currency: str,
        kinds: Container[PriceKind],
        metrics: Metrics,
        recheck: Callable[[int], object] = lambda user: None,
    ) -> None:
        self.log = PublicationLog(currency=currency, publications=PUBLICATIONS_KEPT, moves=MOVES_KEPT)
        self.has_read = asyncio.Event()
        self.freshness_limit: dt.timedelta | None = None  # until the database has been read
        self._load = load
        self._remember = remember
        self._layer = layer
        self._currency = currency
        self._kinds = kinds
        self.metrics = metrics
        self._recheck = recheck
        self._moved_on = asyncio.Event()
        self._read_at: float | None = None  # until `follow_database` runs
        self._reading = asyncio.Lock()
        self._next_reading: asyncio.Task[None] | None = None
        self._lost: set[str] = set()
        # The log's `seq` when Redis last brought a message: later publications in it came from the database.
        self._received_seq = 0
        self._is_subscribed = False
        self._stalled = asyncio.Event()

    async def wait_for_seq(self, since: int, epoch: str | None) -> None:
        """Wait for a publication that a client has seen in another process, and this one has yet to receive.

        Returns also when the database has no such publication; then the client's `since` is void.
        """
        if since > self.log.seq or epoch not in (None, self.log.epoch):
            # A reading that begins from now on finds that publication; one reading serves all waiting clients.
            if self._next_reading is None:
                self._next_reading = asyncio.create_task(self.catch_up())
            await asyncio.shield(self._next_reading)

    def snapshot(self) -> Snapshot | None:
        """The current prices, from memory; None until the database has been read."""
        if self.freshness_limit is None:
            return None
        return Snapshot(
            position=self.log.position,
            quotes={Metal(metal): quoted.published(Metal(metal)) for metal, quoted in self.log.latest.items()},
            publications=(),
            moves=(),
            moves_since=self.log.seq,
            freshness_limit=self.freshness_limit,
            known_stale=frozenset(map(Metal, self.log.stale)),
        )

    def problem(self) -> str | None:
        """The faults that keep prices from this process, for people; None if there is none."""
        if self._read_at is not None and (seconds := time.monotonic() - self._read_at) > _LATE:
            return f"has not read the database for {seconds:.0f} s"
        return ", ".join(f"{source} is lost" for source in sorted(self._lost)) or None

    # --- tasks, each of which runs until it is cancelled --------------------------------------------------------------

    async def follow_redis(self) -> None:
        """Take publications from the channel layer; while it is away, they come from the database."""
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
                self._lose(_REDIS, error)
                await asyncio.sleep(_RETRY_AFTER)

    async def follow_database(self) -> None:
        """Read publications that Redis did not bring, every few seconds; end a subscription that should have."""
        self._read_at = time.monotonic()
        known = self.log.position
        while True:
            with outlived(self.metrics, "the regular reading of the database"):
                await self.catch_up()
                self._read_at = time.monotonic()
                # Redis should have brought the log's content of the last reading here by now.
                was_missed = known.epoch == self.log.epoch and known.seq > self._received_seq
                if was_missed and self._is_subscribed:
                    self._stalled.set()
                known = self.log.position
            is_well = self.has_read.is_set() and _DATABASE not in self._lost
            await asyncio.sleep(_CATCH_UP_EVERY if is_well else _RETRY_AFTER)

    async def remember_positions(self) -> None:
        """Save the log's position when it has moved on, once a second at most."""
        while True:
            await self._moved_on.wait()
            self._moved_on.clear()
            with outlived(self.metrics, "saving the stream's position"):
                await self._remember(self.log.position)
            await asyncio.sleep(_REMEMBER_EVERY)

    # --- publications -------------------------------------------------------------------------------------------------

    async def _subscribed(self) -> None:
        # What was published before the subscription began is in the database.
        await self.catch_up()
        self._received_seq = self.log.seq
        self._is_subscribed = True
        if self._stalled.is_set():
            self._stalled.clear()  # this one has yet to bring something
        else:
            self._recover(_REDIS)

    async def _take(self, message: dict[str, Any]) -> None:
        await self.receive(message)
        self._received_seq = self.log.seq
        self._recover(_REDIS)

    async def receive(self, message: dict[str, Any]) -> None:
        """Take a message of streaming/publish.py: append its publication, or read the database."""
        if message["type"] == publish.RECHECK:
            self._recheck(message["user"])
            return
        if message["type"] != publish.PUBLICATION:
            await self.catch_up()
            return
        try:
            publication = msgspec.msgpack.decode(message["tick"], type=PublicationMessage)
        except msgspec.DecodeError:
            # Another version's, during a deploy: its content is in the database too.
            await self.catch_up()
            return
        if self.log.has(publication):
            return
        if self._shows(publication) and self.log.append(publication):
            self._moved_on.set()
            self.broadcaster.log_changed(frozenset())
        else:
            await self.catch_up()

    def _shows(self, publication: PublicationMessage) -> bool:
        """Return True if all its quotes are shown here. If a worker is configured otherwise, the database decides."""
        return all(
            quoted.currency == self._currency and kind_of(quoted.data.source) in self._kinds
            for quoted in publication.quotes.values()
        )

    async def catch_up(self) -> None:
        """Catch up with the database: read the missing publications if all are there, else the whole state.

        Never raises: while the database is away, clients keep their prices, and see them turn stale.
        """
        renewed = frozenset[str]()
        async with self._reading:
            self._next_reading = None
            try:
                async with asyncio.timeout(_READ_TIMEOUT):
                    snapshot = await self._read()
            except Exception as error:
                self._lose(_DATABASE, error)
                return
            self._recover(_DATABASE)
            if snapshot is None:
                return
            self.freshness_limit = snapshot.freshness_limit
            position = snapshot.position
            latest = {metal.value: Quoted.of(published) for metal, published in snapshot.quotes.items()}
            publications = [PublicationMessage.of(each) for each in snapshot.publications]
            is_another_epoch = position.epoch != self.log.epoch
            if is_another_epoch:
                self.broadcaster.begin_epoch(position.epoch)
                self._received_seq = position.seq  # its own numbers were of the other epoch
            if is_another_epoch or not all(map(self.log.append, publications)) or position.seq > self.log.seq:
                moves = [(seq, ChangeData.of(change)) for seq, change in snapshot.moves]
                self.log.replace(position, latest, publications, moves, snapshot.moves_since)
            elif list(latest.items()) != list(self.log.latest.items()):
                self.log.relist(latest)
                renewed = EVERY_METAL
        self.has_read.set()
        self._moved_on.set()
        self.broadcaster.log_changed(renewed)

    async def _read(self) -> Snapshot | None:
        """Read the database's publications after the log's; everything, if it is of another epoch.

        None if publications arrived from Redis during each of three attempts: the next reading finds the rest.
        """
        for _ in range(3):
            position = self.log.position
            snapshot = await self._load(position)
            if self.log.position == position:
                return snapshot
        return None

    def _lose(self, source: str, error: Exception) -> None:
        """Count and log the loss of a source, once."""
        if source not in self._lost:
            self.metrics.failed(Fault.DATABASE if source == _DATABASE else Fault.REDIS)
            self._lost.add(source)
            reason = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
            logger.error("%s is lost, trying again: %s", source, reason)

    def _recover(self, source: str) -> None:
        """Log that a lost source is back."""
        if source in self._lost:
            self._lost.discard(source)
            logger.warning("%s is back", source)


@contextlib.contextmanager
def outlived(metrics: Metrics, task: str) -> Iterator[None]:
    """Log and count a defect in the block, and go on: the outermost boundary of a task that must not end."""
    try:
        yield
    except Exception:
        metrics.failed(Fault.TASK)
        logger.exception("a defect of ours in %s", task)
