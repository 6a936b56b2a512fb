"""The publication log: all changes since a client's last update, sans-I/O.

An update is a function of (metals, since, candles). The log keeps the latest quote of each metal, the newest
significant moves and the newest candles; `update` makes the update for clients of these metals that have seen
everything up to `since`: encoded once, and shared by all of them, a cohort. A new client, one that comes back, one that
was too slow for some publications, and a price that turns stale without a new quote are all served by this function.
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import msgspec

from infra import formats
from prices.domain.positions import Position
from prices.domain.quotes import DayFigures, Metal, Publication, PublishedQuote, Quote
from prices.domain.wire import ChangeData, PriceData
from streaming import protocol
from streaming.candles import CandleLog, CandlesByMetal, CandleUpdate
from streaming.conflation import Conflation
from streaming.engine.frames import Frame

# Updates cached between two publications. Cohorts need few; a stranger's `since` values must not fill memory.
_MOST_CACHED = 512


class Quoted(msgspec.Struct, frozen=True, kw_only=True):
    """A metal's price as clients receive it, its currency, the `seq` of its publication, and the time of its quote.

    `is_contested`: a newer quote waits in quarantine, so that this one is stale. The database alone knows that; no
    publication says so.
    """

    seq: int
    data: PriceData
    currency: str
    quoted_at: dt.datetime
    is_contested: bool = False

    @classmethod
    def of(cls, published: PublishedQuote) -> "Quoted":
        """Convert a published quote to the wire's fields."""
        quote = published.quote
        return cls(
            seq=published.seq,
            data=PriceData.of(published),
            currency=quote.currency,
            quoted_at=quote.quoted_at,
            is_contested=published.is_contested,
        )

    def published(self, metal: Metal) -> PublishedQuote:
        """The published quote that `of` converted, without its spot price, which does not travel."""
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
                members=data.members,
            ),
            day=DayFigures(open=data.open, high=data.high, low=data.low, previous_close=data.previousClose),
            is_contested=self.is_contested,
        )

    def after(self, before: "Quoted | None") -> "Quoted":
        """This quote in the place of another: contested like that one, if it is the same under another premium."""
        if before is None or not before.is_contested:
            return self
        is_the_same = (self.data.source, self.quoted_at) == (before.data.source, before.quoted_at)
        return msgspec.structs.replace(self, is_contested=True) if is_the_same else self


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
        """Convert a publication to the wire's fields."""
        return cls(
            epoch=published.epoch,
            seq=published.seq,
            published_at=published.published_at,
            quotes={quoted.quote.metal.value: Quoted.of(quoted) for quoted in published.quotes},
            changes=[ChangeData.of(change) for change in published.changes],
            candles={
                metal.value: list(map(CandleUpdate.of, of_metal)) for metal, of_metal in published.candles.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Update:
    """A `priceUpdate` ready to send. A client that receives it has seen everything up to `seq`, its `position`'s."""

    frame: Frame
    seq: int
    position: Position


class PublicationLog:
    """The latest quote of each metal, and the newest moves and candles, in the currency of this deployment.

    Candles are kept for so many `publications`. Moves are rare, so the newest `moves` are kept however long ago they
    were: clients that are slow, or want a long interval, lose none.
    """

    def __init__(self, *, currency: str, publications: int, moves: int) -> None:
        self.epoch = ""  # none, until the database has been read
        self.seq = 0
        self.latest: dict[str, Quoted] = {}
        self.stale: frozenset[str] = frozenset()
        self.status: Frame | None = None
        self._currency = currency
        self._publications_kept = publications
        self._moves_kept = moves
        # Each with the `seq` of its publication, oldest first: all moves after `_moves_since`.
        self._moves: deque[tuple[int, ChangeData]] = deque()
        self._moves_since = 0
        self.published_at: dt.datetime | None = None
        self._newest_at: dt.datetime | None = None  # the same; None where `published_at` is an estimate
        self.version = 0  # rises with each change of prices, stale marks or status
        self._candles = CandleLog()
        self._conflation = Conflation()
        self._cache: dict[tuple[frozenset[str], int | None, frozenset[str], bool], Update | None] = {}

    @property
    def position(self) -> Position:
        """The position of the newest publication."""
        return Position(self.epoch, self.seq, self._newest_at)

    @property
    def newest_move(self) -> int:
        """The `seq` of the newest significant move; 0 without any."""
        return self._moves[-1][0] if self._moves else 0

    def has(self, publication: PublicationMessage) -> bool:
        """Return True for a publication of the past. A known `seq` with a later time is of another history."""
        is_old = self._newest_at is None or publication.published_at <= self._newest_at
        return publication.epoch == self.epoch and publication.seq <= self.seq and is_old

    def append(self, publication: PublicationMessage) -> bool:
        """Take the next publication. Returns False and takes nothing if one before it is missing."""
        if publication.seq != self.seq + 1 or publication.epoch != self.epoch:
            return False
        self.seq = publication.seq
        self.latest.update(
            {metal: quoted.after(self.latest.get(metal)) for metal, quoted in publication.quotes.items()}
        )
        self.stale -= publication.quotes.keys()
        self._take_moves((publication.seq, change) for change in publication.changes)
        self._take_candles(publication)
        self._conflation.append(publication.quotes)
        self.published_at = self._newest_at = publication.published_at
        self._changed()
        return True

    def replace(
        self,
        position: Position,
        latest: Mapping[str, Quoted],
        publications: Sequence[PublicationMessage],
        moves: Iterable[tuple[int, ChangeData]],
        moves_since: int,
    ) -> None:
        """Take the state from the database: current quotes, and the newest publications and moves, oldest first.

        `moves` are all moves after `moves_since`, each with its `seq`. The log keeps its own moves before them, unless
        moves in between are missing or the epoch is another. Without any publication left in the database, quotes count
        as published when they were quoted.
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
        # Only publications without a gap up to the newest: the candles and the number of others would look complete.
        newest_first = enumerate(reversed(publications))
        unbroken = [each for distance, each in newest_first if each.seq == self.seq - distance][::-1]
        self._candles.clear(unbroken[0].seq - 1 if unbroken else self.seq)
        self._conflation.clear()
        for publication in unbroken:
            self._take_candles(publication)
            self._conflation.append(publication.quotes)
        times = [each.published_at for each in publications] or [each.quoted_at for each in self.latest.values()]
        self.published_at = max(times, default=None)
        self._changed()

    def relist(self, latest: Mapping[str, Quoted]) -> None:
        """Show these quotes and no others, in this order: staff switched a metal on or off, or settings changed."""
        self.latest = dict(latest)
        self._changed()

    def mark_stale(self, metals: frozenset[str]) -> frozenset[str]:
        """Mark these metals stale, and no others. Returns the metals that turned stale or fresh by that."""
        turned = self.stale ^ metals
        if turned:
            self.stale = metals
            self._changed()
        return turned

    def show(self, status: Frame) -> None:
        """Replace the status."""
        self.status = status
        self.version += 1

    def update(
        self, metals: frozenset[str], since: int | None, candles: frozenset[str] = frozenset(), *, renew: bool = False
    ) -> Update | None:
        """The update for clients of `metals`, and their `candles`, that have seen everything up to `since`.

        It has the latest quotes, every significant move after `since`, and the number of publications that it merges,
        as far back as they are known; None if there is no new quote. It is a snapshot, without moves or number, if
        `since` is None, older than the log reaches, or newer than the log; and if there is no new quote, but `renew`
        calls for the state.
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
        while len(self._moves) > self._moves_kept:
            self._moves_since, _ = self._moves.popleft()

    def _take_candles(self, publication: PublicationMessage) -> None:
        for metal, updates in publication.candles.items():
            self._candles.take(metal, updates)
        self._candles.forget_before(publication.seq - self._publications_kept)

    def _changed(self) -> None:
        self.version += 1
        self._cache.clear()

    def _build(self, metals: frozenset[str], since: int | None, candles: frozenset[str], renew: bool) -> Update | None:
        if since is None or not self._reaches_back_to(since, candles):
            return self._encode(metals, [], self._chosen(metals, candles, None), snapshot=True)
        missed = takewhile(lambda move: move[0] > since, reversed(self._moves))
        changes = [change for _, change in missed if change.metal in metals][::-1]
        # A metal that was switched off since has no quote here, though it may have moved before.
        has_news = changes or any(self.latest[metal].seq > since for metal in metals & self.latest.keys())
        if not has_news and not renew:
            return None
        merged = self._conflation.count(metals, self.seq - since) if has_news and self.seq - since > 1 else 0
        chosen = self._chosen(metals, candles, since)
        return self._encode(metals, changes, chosen, snapshot=not has_news, conflated=max(merged - 1, 0))

    def _reaches_back_to(self, since: int, candles: frozenset[str]) -> bool:
        """Return True if the log has every move after `since`, and every candle, if a client wants `candles`."""
        return self._moves_since <= since <= self.seq and (not candles or since >= self._candles.since)

    def _chosen(self, metals: frozenset[str], candles: frozenset[str], since: int | None) -> CandlesByMetal | None:
        """The candles to send; None for a client that wants none."""
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
        conflated: int = 0,
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
            conflated=conflated,
            currency=self._currency,
            candles=candles,
        )
        return Update(Frame(payload), self.seq, self.position)
