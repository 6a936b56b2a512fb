"""The prices in force, read whole: what the stream's snapshot, the API and a hub that missed something start from."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from django.db import transaction

from prices import schedule
from prices.domain.positions import Position
from prices.domain.quotes import Change, Metal, Publication, PublishedQuote
from prices.history import candle_store
from prices.models import Head, LatestPrice, ListedMetal, Price, SignificantChange

# As many ticks as a process holds for clients that come back (streaming/publication_log.py): four minutes at one a
# second.
TICKS_KEPT = 256
# And as many significant moves: those of so many ticks, if all metals moved in each. Mostly they reach back for days.
MOVES_KEPT = len(Metal) * TICKS_KEPT
# Readings that may be overtaken by a tick before the last one is taken as it is.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every listed metal's published quote, in staff's order, and the ticks and moves after the `since` that was given.

    `position` is the newest tick's. `ticks` are oldest first and at most `TICKS_KEPT`, the newest; `moves`, each with
    its tick's number, are all that came after `moves_since`. Where `since` was of another epoch, both begin with the
    oldest that the database has. `known_stale` are the metals that a web process has judged stale by its steady clock
    too, whatever the wall clock says now.
    """

    position: Position
    quotes: Mapping[Metal, PublishedQuote]
    ticks: tuple[Publication, ...]
    moves: tuple[tuple[int, Change], ...]
    moves_since: int
    freshness_limit: dt.timedelta
    known_stale: frozenset[Metal] = frozenset()

    def is_stale(self, published: PublishedQuote, now: dt.datetime) -> bool:
        """Whether a quote is older than the freshness limit that is in force."""
        quote = published.quote
        return quote.metal in self.known_stale or schedule.is_stale(quote, now=now, limit=self.freshness_limit)


def read(since: Position | None = None, *, seen: Position | None = None) -> Snapshot:
    """Read the prices in force as of one moment, and with `since` the ticks after it.

    A database that cannot be the one where `since`, or else `seen`, was the position gets a new epoch. Where ticks come
    faster than they can be read, a quote may be newer than the position: the tick that brought it is still to come, and
    says the same.
    """
    for _ in range(_ATTEMPTS):
        position = _position(seen or since)
        after = position.seq
        if since is not None:
            after = since.seq if since.epoch == position.epoch else 0
        moves, moves_since = _moves_after(after, position.seq)
        ticks = _ticks_after(after, position, moves)
        quotes = _quotes_in_force()
        if Head.current().position == position:
            break
    return Snapshot(
        position=position,
        quotes=quotes,
        ticks=ticks,
        moves=tuple((move.seq, move.value()) for move in moves),
        moves_since=moves_since,
        freshness_limit=schedule.freshness_limit(),
    )


def _position(seen: Position | None) -> Position:
    """The newest tick's position; in a new epoch, where this database cannot be the one in which `seen` was."""
    head = Head.current()
    if seen is not None and _was_put_back(head, seen):
        with transaction.atomic():
            head = Head.locked()
            if _was_put_back(head, seen):
                head.draw_epoch(f"the database is not that of tick {seen.seq} of {seen.epoch}", seen=seen.epoch)
    return head.position


def _was_put_back(head: Head, seen: Position) -> bool:
    """Whether the database is an older copy of the one where this was the position, though it may have grown since."""
    if not seen.epoch or seen.epoch != head.epoch:
        # An epoch that was superseded here draws no other one: or processes that know different ones would never agree.
        return seen.epoch not in ("", *head.superseded.split())
    if seen.seq > head.seq:
        return True
    at = head.published_at
    if seen.seq < head.seq:
        at = Price.objects.filter(seq=seen.seq).values_list("published_at", flat=True).first()
    # Of a tick that is kept no longer, nothing is known.
    return None not in (at, seen.published_at) and at != seen.published_at


def _quotes_in_force() -> dict[Metal, PublishedQuote]:
    shown: dict[str, LatestPrice] = {}
    for latest in LatestPrice.shown():
        shown.setdefault(latest.metal_id, latest)
    return {metal: shown[metal].published() for metal in ListedMetal.metals() if metal in shown}


def _moves_after(since: int, until: int) -> tuple[list[SignificantChange], int]:
    """The newest `MOVES_KEPT` moves after `since`, oldest first, and the tick after which none is missing."""
    if since >= until:
        return [], since
    newest = list(SignificantChange.shown().filter(seq__gt=since, seq__lte=until)[: MOVES_KEPT + 1])
    moves_since = newest.pop().seq if len(newest) > MOVES_KEPT else since
    return newest[::-1], moves_since


def _ticks_after(since: int, until: Position, moves: Iterable[SignificantChange]) -> tuple[Publication, ...]:
    """The ticks that are kept of those after `since`, at most `TICKS_KEPT`, oldest first."""
    if since >= until.seq:
        return ()
    after = max(since, until.seq - TICKS_KEPT)
    prices = list(Price.objects.filter(seq__gt=after, seq__lte=until.seq).order_by("seq", "id"))
    by_tick: dict[int, list[SignificantChange]] = {}
    for move in moves:
        by_tick.setdefault(move.seq, []).append(move)
    ticks = [
        _published(until.epoch, list(of_tick), by_tick.get(seq or 0, []))
        for seq, of_tick in groupby(prices, key=lambda price: price.seq)
    ]
    if ticks:
        rows = candle_store.changed_since(after, min(price.at for price in prices))
        ticks[-1] = replace(ticks[-1], candles=candle_store.by_metal(rows))
    return tuple(ticks)


def _published(epoch: str, prices: list[Price], changes: list[SignificantChange]) -> Publication:
    """A tick of these prices. Where none of them is shown here it is empty, and leaves no gap in the numbers."""
    first = prices[0]
    assert first.seq is not None
    assert first.published_at is not None
    shown = [price for price in prices if price.is_shown]
    return Publication(
        epoch=epoch,
        seq=first.seq,
        published_at=first.published_at,
        quotes=tuple(price.published() for price in shown),
        changes=tuple(change.value() for change in changes),
    )
