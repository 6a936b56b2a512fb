"""The prices in force, read whole: what the stream's snapshot, the API and a hub that missed something start from."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from django.conf import settings

from prices import history, schedule
from prices.models import Configuration, Head, LatestPrice, ListedMetal, Price, SignificantChange
from prices.quotes import Metal, PublishedQuote, PublishedTick, Quote

# As many ticks as a process holds for clients that come back (streaming/ticks.py): four minutes at one a second.
TICKS_KEPT = 256
# Readings that may be overtaken by a tick before the last one is taken as it is.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """Every listed metal's published quote, in staff's order, and the ticks after the one that was asked for.

    `seq` is the newest tick, counted since `began_at`; `ticks` are oldest first and at most `TICKS_KEPT`, the newest.
    """

    seq: int
    began_at: dt.datetime | None
    quotes: Mapping[Metal, PublishedQuote]
    ticks: tuple[PublishedTick, ...]
    freshness_limit: dt.timedelta

    def is_stale(self, published: PublishedQuote, now: dt.datetime) -> bool:
        """Whether a quote is older than the freshness limit that is in force."""
        return is_stale(published.quote, now=now, limit=self.freshness_limit)


def standing(since: int | None = None) -> Standing:
    """Read the prices in force as of one moment, and with `since` the ticks after it.

    Where ticks come faster than they can be read, a quote may be newer than `seq`: the tick that brought it is still to
    come, and says the same.
    """
    for _ in range(_ATTEMPTS):
        seq, began_at = Head.standing()
        ticks = () if since is None else _ticks_after(since, seq)
        quotes = _quotes_in_force()
        if Head.standing() == (seq, began_at):
            break
    return Standing(seq=seq, began_at=began_at, quotes=quotes, ticks=ticks, freshness_limit=freshness_limit())


def is_stale(quote: Quote, *, now: dt.datetime, limit: dt.timedelta) -> bool:
    """Whether a quote is older than the limit, by its source's own time and the market's hours."""
    return settings.MARKET_CALENDAR.age(quote.source, quote.quoted_at, now) > limit


def freshness_limit() -> dt.timedelta:
    """How old a quote may be before it is stale, as staff or the deployment set it."""
    return Configuration.load().freshness_limit(schedule.interval())


def _quotes_in_force() -> dict[Metal, PublishedQuote]:
    shown: dict[str, LatestPrice] = {}
    for latest in LatestPrice.shown():
        shown.setdefault(latest.metal_id, latest)
    return {metal: shown[metal].published() for metal in ListedMetal.metals() if metal in shown}


def _ticks_after(since: int, until: int) -> tuple[PublishedTick, ...]:
    """The ticks that are kept of those after `since`, at most `TICKS_KEPT`, oldest first."""
    after = max(since, until - TICKS_KEPT)
    span = {"seq__gt": after, "seq__lte": until}
    prices = list(Price.objects.filter(**span).order_by("seq", "id"))
    changes: dict[int, list[SignificantChange]] = {}
    for change in SignificantChange.shown().filter(**span).order_by("id"):
        changes.setdefault(change.seq, []).append(change)
    ticks = [
        _published(list(of_tick), changes.get(seq or 0, []))
        for seq, of_tick in groupby(prices, key=lambda price: price.seq)
    ]
    if ticks:
        rows = history.changed_since(after, min(price.at for price in prices))
        ticks[-1] = replace(ticks[-1], candles=history.by_metal(rows))
    return tuple(ticks)


def _published(prices: list[Price], changes: list[SignificantChange]) -> PublishedTick:
    """A tick of these prices. Where none of them is shown here it is empty, and leaves no gap in the numbers."""
    first = prices[0]
    assert first.seq is not None
    assert first.published_at is not None
    shown = [price for price in prices if price.is_shown]
    return PublishedTick(
        seq=first.seq,
        published_at=first.published_at,
        quotes=tuple(price.published() for price in shown),
        changes=tuple(change.value() for change in changes),
    )
