"""The prices in force, read whole: what the stream's snapshot, the API and a hub that missed something start from."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from prices import schedule
from prices.models import Configuration, LatestPrice, ListedMetal, Tick
from prices.quotes import Change, Metal, PublishedQuote, PublishedTick

# As many ticks as a process holds for clients that come back (streaming/ticks.py): four minutes at one a second.
TICKS_KEPT = 256
# Readings that may be overtaken by a tick before the last one is taken as it is.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """Every listed metal's published quote, in staff's order, and the ticks after the one that was asked for.

    `seq` is the newest tick; `ticks` are oldest first and at most `TICKS_KEPT`, the newest.
    """

    seq: int
    quotes: Mapping[Metal, PublishedQuote]
    ticks: tuple[PublishedTick, ...]
    freshness_limit: dt.timedelta

    def is_stale(self, published: PublishedQuote, now: dt.datetime) -> bool:
        """Whether a quote is older than the freshness limit, by its source's own time and the market's hours."""
        quote = published.quote
        return settings.MARKET_CALENDAR.age(quote.source, quote.quoted_at, now) > self.freshness_limit


def standing(since: int | None = None) -> Standing:
    """Read the prices in force as of one moment, and with `since` the ticks after it.

    Where ticks come faster than they can be read, a quote may be newer than `seq`: the tick that brought it is still to
    come, and says the same.
    """
    for _ in range(_ATTEMPTS):
        seq = _newest()
        ticks = () if since is None else _ticks_after(since, seq)
        quotes = _quotes_in_force()
        if _newest() == seq:
            break
    return Standing(seq=seq, quotes=quotes, ticks=ticks, freshness_limit=freshness_limit())


def freshness_limit() -> dt.timedelta:
    """How old a quote may be before it is stale, as staff or the deployment set it."""
    return Configuration.load().freshness_limit(schedule.interval())


def _newest() -> int:
    return Tick.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _quotes_in_force() -> dict[Metal, PublishedQuote]:
    shown: dict[str, LatestPrice] = {}
    for latest in LatestPrice.shown():
        shown.setdefault(latest.metal_id, latest)
    listed = ListedMetal.objects.filter(enabled=True).values_list("name", flat=True)
    return {Metal(name): shown[name].price.published() for name in listed if name in shown}


def _ticks_after(since: int, until: int) -> tuple[PublishedTick, ...]:
    newest = Tick.objects.filter(id__gt=since, id__lte=until).prefetch_related("prices", "changes")[:TICKS_KEPT]
    return tuple(_published(tick) for tick in reversed(newest))


def _published(tick: Tick) -> PublishedTick:
    prices = [price for price in tick.prices.all() if price.is_shown]
    return PublishedTick(
        seq=tick.pk,
        previous_seq=tick.previous_seq,
        published_at=tick.published_at,
        quotes=tuple(price.published() for price in prices),
        changes=tuple(
            Change(
                metal=Metal(change.metal_id),
                old_price=change.old_price,
                new_price=change.new_price,
                change_percent=change.change_percent,
            )
            for change in tick.changes.all()
            if any(price.metal_id == change.metal_id for price in prices)
        ),
    )
