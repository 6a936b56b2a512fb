"""All that pages show of now, from this process's memory: prices, status, the sparklines and moves of before.

`Memory` puts itself into the scope of each request for Django; `current` reads it for a page. What the stream does not
keep (the sparklines, the moves with their times, the listed metals) is read from the database at the first request, and
once a minute while there are readers of pages, after each significant move, and when other metals are listed. A page
waits for that, for a second at most, where what was read before is too old to show. One that comes without it, or by a
server without this memory, reads the database itself.
"""

import asyncio
import datetime as dt
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest

from infra import clock
from infra.asgi import Application
from infra.database_threads import in_a_thread
from infra.formats import to_ms
from prices.domain.candles import Interval
from prices.domain.marks import marks_of
from prices.domain.positions import Position
from prices.domain.quotes import Change, Metal, PriceKind, PublishedQuote, usual_kind
from prices.history.candle_store import Series
from prices.models import Configuration, ListedMetal, SignificantChange
from prices.publishing import snapshot
from streaming.freshness import Freshness
from streaming.hub import Hub
from streaming.protocol import Feed, Status
from streaming.publication_log import PublicationLog, Quoted

logger = logging.getLogger(__name__)

# The key in the ASGI scope of a `Memory`.
MEMORY: Final = "swarna.memory"
MOVES_SHOWN: Final = 5
# Quarters of an hour with a price, of which a sparkline is made: the last 24 hours of trading, over a weekend Friday's.
_SPARKLINE_POINTS: Final = 96
_SPARKLINE_WITHIN: Final = dt.timedelta(days=5)
_READ_EVERY: Final = 60.0
# After so many seconds, as of a night without readers, moves and sparklines are too old to stand beside new prices.
_TOO_OLD: Final = 120.0
# So many seconds a page waits for a reading. All wait for the same one: otherwise a crowd would read for itself.
_LONGEST_WAIT: Final = 1.0


class Sparkline(NamedTuple):
    """The closes of quarters of an hour, per gram, oldest first, and the beginning of each in Unix milliseconds."""

    starts: tuple[int, ...]
    closes: tuple[Decimal, ...]


class Move(NamedTuple):
    """A significant move, and when it was published."""

    change: Change
    at: dt.datetime


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """All that pages show and the stream does not keep: the listed metals in staff's order, each metal's sparkline of
    the last 24 hours of trading, the newest moves, newest first, and the percentage from which a move is significant.

    Each reading is another one, whatever it brought.
    """

    listed: tuple[Metal, ...]
    sparklines: Mapping[Metal, Sparkline]
    moves: tuple[Move, ...]
    threshold_percent: Decimal


@dataclass(frozen=True, slots=True)
class Current:
    """All that pages show, as of one moment. Amounts are per gram of fine metal in the base currency.

    `version` differs whenever anything else here does; None for one that was read for a single request. Without
    any publication, `published_at` is None.
    """

    version: object | None
    position: Position
    published_at: dt.datetime | None
    quotes: Mapping[Metal, PublishedQuote]
    stale: frozenset[Metal]
    status: Status
    stored: Stored

    def version_of(self, metal: Metal) -> object | None:
        """A value that differs whenever the metal's candles may: after a price of it, and a reading; None as `version`.

        A reading, since candles may be filled in without a price.
        """
        if self.version is None:
            return None
        published = self.quotes.get(metal)
        return self.position.epoch, published and published.seq, self.stored

    @property
    def is_market_open(self) -> bool:
        return self.status.market == "open"

    @property
    def next_change(self) -> dt.datetime:
        """The time at which the market closes or opens next."""
        return dt.datetime.fromisoformat(self.status.nextChange)

    def marks(self, metal: Metal) -> tuple[str, ...]:
        """The marks of a metal's price, the most serious first; empty without a price."""
        published = self.quotes.get(metal)
        if published is None:
            return ()
        return marks_of(
            published.quote.source,
            is_example=published.quote.example,
            is_stale=metal in self.stale,
            is_of_now=self.is_market_open and self.status.metals.get(metal.value) is Feed.LIVE,
        )


def current(request: HttpRequest) -> Current:
    """All that pages show now. It may wait, so it is called in a thread."""
    memory: Memory | None = getattr(request, "scope", {}).get(MEMORY)
    found = memory and (memory.known() or async_to_sync(memory.now)())
    return found or _read_for_one_request()


class Memory:
    """The ASGI application `http`, whose pages find this in the scope of their requests. `read` reads `Stored`."""

    def __init__(self, http: Application, hub: Hub, read: Callable[[], Awaitable[Stored]] | None = None) -> None:
        self._http = http
        self._hub = hub
        self._read = read or in_a_thread(read_stored)
        self._stored: Stored | None = None
        self._readings = 0
        # Of the newest reading, and of the newest that brought something: when it began, and the news of then.
        self._begun: tuple[float, object] = (-math.inf, None)
        self._read_as_of: tuple[float, object] = (-math.inf, None)
        self._reading: asyncio.Task[None] | None = None
        # True from a reading that failed, or took too long, until one succeeds: no page waits for what does not come.
        self._has_failed = False
        self._current: Current | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._hub.start()
        if self._stored is None:
            # A database that goes away before the first page is requested leaves it something to show.
            self._begin_reading()
        await self._http({**scope, MEMORY: self}, receive, send)

    async def now(self) -> Current | None:
        """All that pages show now; None until the database has been read."""
        self._begin_reading()
        if self._reading and not self._has_failed and self._is_older(self._read_as_of, _TOO_OLD):
            _, still_running = await asyncio.wait([self._reading], timeout=_LONGEST_WAIT)
            self._has_failed = self._has_failed or bool(still_running)
        log, stored = self._hub.log, self._stored
        if stored is None or self._hub.feed.freshness_limit is None or log.status is None:
            return None
        if self._current is None or self._current.version != self._version:
            self._current = _of_log(log, stored, self._version)
        return self._current

    def known(self) -> Current | None:
        """The same as `now`, where nothing is to be read or made for it; else None. Any thread may call it."""
        current, (begun, _) = self._current, self._begun
        # News are another version of the log, too.
        is_newest = current is not None and current.version == self._version and not self._reading
        return current if is_newest and time.monotonic() - begun <= _READ_EVERY else None

    @property
    def _version(self) -> object:
        return self, self._hub.log.version, self._readings

    def _is_older(self, reading: tuple[float, object], seconds: float) -> bool:
        """Return True if a reading is older than `seconds`, or a metal has moved since, or staff have listed others."""
        at, news = reading
        return time.monotonic() - at > seconds or news != self._news()

    def _news(self) -> object:
        """A value that differs once a metal has moved or other metals are listed."""
        log = self._hub.log
        return log.newest_move, tuple(log.latest)

    def _begin_reading(self) -> None:
        """Begin to read from the database, where that is due."""
        if self._reading is None and self._is_older(self._begun, _READ_EVERY):
            self._reading = asyncio.create_task(self._read_again())

    async def _read_again(self) -> None:
        self._begun = (time.monotonic(), self._news())
        try:
            self._stored = await self._read()
            self._readings += 1
            self._read_as_of = self._begun
            self._has_failed = False
        except Exception as error:
            self._has_failed = True
            # The outermost boundary of this task: whatever a database raises, pages show what was read before.
            logger.warning("pages show the sparklines and moves as of before: %s", str(error) or type(error).__name__)
        finally:
            self._reading = None


def read_stored() -> Stored:
    """Read from the database all that the stream does not keep."""
    listed = tuple(ListedMetal.metals())
    configuration = Configuration.load()
    moves = SignificantChange.shown().filter(metal__in=listed)[:MOVES_SHOWN]
    return Stored(
        listed=listed,
        sparklines={metal: _sparkline(metal, usual_kind(settings.PRICE_PROVIDERS)) for metal in listed},
        moves=tuple(Move(move.value(), move.published_at) for move in moves),
        threshold_percent=configuration.threshold_percent,
    )


def _sparkline(metal: Metal, kind: PriceKind) -> Sparkline:
    now = clock.read().wall
    rows = Series(metal, settings.BASE_CURRENCY, kind).kept(Interval.QUARTER, now - _SPARKLINE_WITHIN, now)
    newest = list(rows.order_by("-start").values_list("start", "close")[:_SPARKLINE_POINTS])[::-1]
    return Sparkline(tuple(to_ms(start) for start, _ in newest), tuple(close for _, close in newest))


def _read_for_one_request() -> Current:
    found = snapshot.read()
    log = PublicationLog(currency=settings.BASE_CURRENCY, publications=0, moves=0)
    latest = {metal.value: Quoted.of(published) for metal, published in found.quotes.items()}
    log.replace(found.position, latest, (), (), found.moves_since)
    Freshness(settings.MARKET_CALENDAR).update(log, clock.read(), found.freshness_limit)
    return _of_log(log, read_stored(), None)


def _of_log(log: PublicationLog, stored: Stored, version: object | None) -> Current:
    assert log.status is not None  # the caller has seen to it
    return Current(
        version=version,
        position=log.position,
        published_at=log.position.published_at or log.published_at,
        quotes={Metal(metal): quoted.published(Metal(metal)) for metal, quoted in log.latest.items()},
        stale=frozenset(map(Metal, log.stale)),
        status=msgspec.json.decode(log.status.payload, type=Status),
        stored=stored,
    )
