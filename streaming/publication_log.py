"""The tick log: what changed since a client's last update, sans-I/O.

An update is a function of (metals, since-seq). The log holds the latest quote of each metal and the newest significant
moves; `update` gives what a client with these metals that last saw `since` is to be sent, encoded once and shared by
all clients in step. The connect snapshot, a client that comes back, one that was too slow for some ticks, and a price
that turned stale without a new one are all this one question.
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import msgspec

from infra import formats
from prices.domain.positions import Position
from prices.domain.quotes import Change, DayFigures, Metal, Publication, PublishedQuote, Quote
from streaming import protocol
from streaming.candles import CandleLog, CandlesByMetal, CandleUpdate
from streaming.engine.frames import Frame
from streaming.protocol import ChangeData, PriceData

# Updates cached between two ticks. Clients in step share a few; a stranger's `since` values must not fill memory.
_MOST_CACHED = 512


class Quoted(msgspec.Struct, frozen=True, kw_only=True):
    """A metal's price as it goes out and its currency, the tick it came with, and when its source quoted it."""

    seq: int
    data: PriceData
    currency: str
    quoted_at: dt.datetime

    @classmethod
    def of(cls, published: PublishedQuote) -> "Quoted":
        """A published quote in the words of the wire."""
        quote, day = published.quote, published.day
        number = formats.number
        return cls(
            seq=published.seq,
            currency=quote.currency,
            quoted_at=quote.quoted_at,
            data=PriceData(
                price=number(quote.price),
                change=number(published.change),
                changePercent=number(published.change_percent),
                high=number(day.high),
                low=number(day.low),
                open=number(day.open),
                previousClose=None if day.previous_close is None else number(day.previous_close),
                timestamp=formats.time(quote.quoted_at),
                source=quote.source,
                stale=False,
                bid=msgspec.UNSET if quote.bid is None else number(quote.bid),
                ask=msgspec.UNSET if quote.ask is None else number(quote.ask),
                example=quote.example or msgspec.UNSET,
            ),
        )

    def published(self, metal: Metal) -> PublishedQuote:
        """What `of` was given, but for the spot price, which does not travel."""
        data = self.data
        return PublishedQuote(
            seq=self.seq,
            quote=Quote(
                metal=metal,
                price=data.price,
                currency=self.currency,
                source=data.source,
                quoted_at=self.quoted_at,
                bid=None if data.bid is msgspec.UNSET else data.bid,
                ask=None if data.ask is msgspec.UNSET else data.ask,
                example=data.example is True,
            ),
            day=DayFigures(open=data.open, high=data.high, low=data.low, previous_close=data.previousClose),
        )


def change_data(change: Change) -> ChangeData:
    """A significant move in the words of the wire."""
    return ChangeData(
        metal=change.metal.value,
        oldPrice=formats.number(change.old_price),
        newPrice=formats.number(change.new_price),
        changePercent=formats.number(change.change_percent),
        direction=change.direction,
    )


class PublicationMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One publication, as it travels between processes: the metals whose quotes were new, and significant moves."""

    epoch: str
    seq: int
    published_at: dt.datetime
    quotes: dict[str, Quoted]
    changes: list[ChangeData]
    candles: dict[str, list[CandleUpdate]] = {}

    @classmethod
    def of(cls, published: Publication) -> "PublicationMessage":
        """A published tick in the words of the wire."""
        return cls(
            epoch=published.epoch,
            seq=published.seq,
            published_at=published.published_at,
            quotes={quoted.quote.metal.value: Quoted.of(quoted) for quoted in published.quotes},
            changes=[change_data(change) for change in published.changes],
            candles={
                metal.value: [CandleUpdate.of(candle, end) for candle, end in of_metal]
                for metal, of_metal in published.candles.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Update:
    """A `priceUpdate` ready to send; whoever received it has seen everything up to `seq`."""

    frame: Frame
    seq: int


class PublicationLog:
    """The latest quote of each metal and the newest moves and candles, in the currency of this deployment.

    Candles are held for `ticks` ticks, and of moves the newest `moves`: they are rare, and no client that asked for a
    long interval, or is slow, is to lose one because many ticks went by.
    """

    def __init__(self, *, currency: str, publications: int, moves: int) -> None:
        self.epoch = ""  # none, until the database has been read
        self.seq = 0
        self.latest: dict[str, Quoted] = {}
        self.stale: frozenset[str] = frozenset()
        self.status: Frame | None = None
        self._currency = currency
        self._publications_held = publications
        self._moves_held = moves
        # Each with the tick that brought it, oldest first; all that came after `_moves_since` are here.
        self._moves: deque[tuple[int, ChangeData]] = deque()
        self._moves_since = 0
        self.published_at: dt.datetime | None = None
        self._newest_at: dt.datetime | None = None  # the same, where it is known
        self.version = 0  # rises whenever what is shown changes
        self._candles = CandleLog()
        self._cache: dict[tuple[frozenset[str], int | None, frozenset[str], bool], Update | None] = {}

    @property
    def position(self) -> Position:
        """The position of the newest tick."""
        return Position(self.epoch, self.seq, self._newest_at)

    def has(self, tick: PublicationMessage) -> bool:
        """Whether a tick is in the log already. One of a known number but of a later time is of another history."""
        is_old = self._newest_at is None or tick.published_at <= self._newest_at
        return tick.epoch == self.epoch and tick.seq <= self.seq and is_old

    def append(self, tick: PublicationMessage) -> bool:
        """Take the next tick. False, and nothing taken, when it does not follow the newest: then a tick is missing."""
        if tick.seq != self.seq + 1 or tick.epoch != self.epoch:
            return False
        self.seq = tick.seq
        self.latest.update(tick.quotes)
        self.stale -= tick.quotes.keys()
        self._take_moves((tick.seq, change) for change in tick.changes)
        self._take_candles(tick)
        self.published_at = self._newest_at = tick.published_at
        self._changed()
        return True

    def replace(
        self,
        position: Position,
        latest: Mapping[str, Quoted],
        ticks: Sequence[PublicationMessage],
        moves: Iterable[tuple[int, ChangeData]],
        moves_since: int,
    ) -> None:
        """Take the state from the database: the quotes in force, the newest ticks and moves, oldest first.

        `moves` are all that came after `moves_since`; where that is not after what the log has, they follow its own. In
        another epoch nothing of its own is left.
        Where no tick is kept any more, quotes count as published when they were quoted.
        """
        if position.epoch != self.epoch:
            self.seq = 0
        if not self.seq or moves_since > self.seq:
            self._moves.clear()
            self._moves_since = moves_since
        known = self.seq
        self.epoch, self.seq, self._newest_at = position
        self.latest = dict(latest)
        self._take_moves((at, change) for at, change in moves if at > known)
        # Ticks without a gap, up to the newest: candles of others would look whole.
        held = [tick for place, tick in enumerate(reversed(ticks)) if tick.seq == self.seq - place][::-1]
        self._candles.clear(held[0].seq - 1 if held else self.seq)
        for tick in held:
            self._take_candles(tick)
        told_at = [tick.published_at for tick in ticks] or [quoted.quoted_at for quoted in self.latest.values()]
        self.published_at = max(told_at, default=None)
        self._changed()

    def relist(self, latest: Mapping[str, Quoted]) -> None:
        """Show these and no others, in this order: staff switched a metal on or off, or what is shown here changed."""
        self.latest = dict(latest)
        self._changed()

    def mark_stale(self, metals: frozenset[str]) -> frozenset[str]:
        """Say which metals' quotes are older than the freshness limit now; returns those for which that is news."""
        news = self.stale ^ metals
        if news:
            self.stale = metals
            self._changed()
        return news

    def show(self, status: Frame) -> None:
        """Take another status, for every client."""
        self.status = status
        self.version += 1

    def update(
        self, metals: frozenset[str], since: int | None, candles: frozenset[str] = frozenset(), *, renew: bool = False
    ) -> Update | None:
        """What to send to a client of `metals`, and their `candles`, that has seen everything up to `since`.

        None when none of its metals has a new quote, unless it is to be sent the state anew (`renew`): that is a
        snapshot. So it is when `since` is None, older than what is held, or newer than anything known; else the latest
        quotes with every significant move after `since`.
        """
        if since == self.seq and not renew:
            return None
        key = (metals, since, candles, renew)
        try:
            return self._cache[key]
        except KeyError:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            update = self._cache[key] = self._build(metals, since, candles, renew)
            return update

    def _take_moves(self, moves: Iterable[tuple[int, ChangeData]]) -> None:
        self._moves.extend(moves)
        while len(self._moves) > self._moves_held:
            self._moves_since, _ = self._moves.popleft()

    def _take_candles(self, tick: PublicationMessage) -> None:
        for metal, updates in tick.candles.items():
            self._candles.take(metal, updates)
        self._candles.forget_before(tick.seq - self._publications_held)

    def _changed(self) -> None:
        self.version += 1
        self._cache.clear()

    def _build(self, metals: frozenset[str], since: int | None, candles: frozenset[str], renew: bool) -> Update | None:
        if since is None or not self._holds_all_after(since, candles):
            return self._encode(metals, [], self._chosen(metals, candles, None), snapshot=True)
        missed = takewhile(lambda move: move[0] > since, reversed(self._moves))
        changes = [change for _, change in missed if change.metal in metals][::-1]
        # A metal that was switched off since has no quote here, though it may have moved before.
        has_news = changes or any(self.latest[metal].seq > since for metal in metals & self.latest.keys())
        if not has_news and not renew:
            return None
        return self._encode(metals, changes, self._chosen(metals, candles, since), snapshot=not has_news)

    def _holds_all_after(self, since: int, candles: frozenset[str]) -> bool:
        """Whether every move after `since` is held, and where a client asked for some, every candle."""
        return self._moves_since <= since <= self.seq and (not candles or since >= self._candles.since)

    def _chosen(self, metals: frozenset[str], candles: frozenset[str], since: int | None) -> CandlesByMetal | None:
        """What goes out of candles; None for a client that asked for none."""
        if not candles:
            return None
        return self._candles.changed([metal for metal in self.latest if metal in metals], candles, since)

    def _encode(
        self,
        metals: frozenset[str],
        changes: Iterable[ChangeData],
        candles: CandlesByMetal | None,
        *,
        snapshot: bool,
    ) -> Update | None:
        if self.published_at is None:
            return None
        payload = protocol.price_update(
            {metal: quoted.data for metal, quoted in self.latest.items() if metal in metals},
            self.stale,
            changes,
            epoch=self.epoch,
            seq=self.seq,
            published_at=formats.time(self.published_at),
            snapshot=snapshot,
            currency=self._currency,
            candles=candles,
        )
        return Update(Frame(payload), self.seq)
