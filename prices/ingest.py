"""The only writer of ticks: quotes in, one transaction, one publication after its commit.

Ticks are written one at a time (a row lock; SQLite's write lock), so that their ids rise in the order in which they
become visible and "the price before" means the same to everyone.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from prices.changes import significant_change
from prices.models import (
    Configuration,
    FallbackPrice,
    LatestPrice,
    ListedMetal,
    Price,
    SignificantChange,
    Tick,
)
from prices.quotes import (
    FALLBACK,
    Change,
    Lane,
    Metal,
    PublishedTick,
    Quote,
    day_figures,
    lane_of,
)
from streaming import publish


def record(quotes: Iterable[Quote], *, now: dt.datetime) -> PublishedTick | None:
    """Write the quotes that are new as one tick, publish it when committed, and return it; None when nothing is new.

    A repeated quote only confirms that its source is alive. One older than the lane's latest is not news.
    """
    with _one_at_a_time() as ledger:
        return ledger.write(quotes, now)


def fall_back_where_due(*, now: dt.datetime, unpriced_only: bool = False) -> PublishedTick | None:
    """Publish staff's price of each metal that no source has confirmed for `FALLBACK_AFTER`, or ever.

    With `unpriced_only`, of those alone that no source has ever confirmed: after a night switched off, the last live
    price is shown until the sources were asked.

    Idempotent: what is already shown is not published again, so it may be called at any time by any process, and
    after each edit of a fallback price.
    """
    with _one_at_a_time() as ledger:
        return ledger.write(ledger.fallbacks_due(now, unpriced_only), now)


@contextmanager
def _one_at_a_time() -> Iterator["_Ledger"]:
    Configuration.load()
    with transaction.atomic():
        yield _Ledger(Configuration.objects.select_for_update().get())


class _Ledger:
    """Where every metal stands, for the length of one transaction that holds the lock."""

    def __init__(self, configuration: Configuration) -> None:
        self.threshold = configuration.threshold_percent
        self.listed = set(ListedMetal.objects.filter(enabled=True).values_list("name", flat=True))
        self.latest: dict[tuple[str, str], LatestPrice] = {
            (latest.metal_id, latest.lane): latest
            for latest in LatestPrice.objects.filter(currency=settings.BASE_CURRENCY).select_related("price")
        }

    def in_force(self, metal: Metal) -> Price | None:
        """The price that was published last, whatever its lane."""
        prices = [latest.price for (name, _), latest in self.latest.items() if name == metal]
        return max(prices, key=lambda price: price.tick_id, default=None)

    def fallbacks_due(self, now: dt.datetime, unpriced_only: bool) -> list[Quote]:
        confirmed = {
            name: max(
                (
                    entry.confirmed_at
                    for (metal, lane), entry in self.latest.items()
                    if metal == name and lane != FALLBACK
                ),
                default=None,
            )
            for name in self.listed
        }
        return [
            Quote(
                metal=Metal(fallback.metal_id),
                price=fallback.price,
                currency=fallback.currency,
                source=FALLBACK,
                quoted_at=fallback.as_of,
            )
            for fallback in FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY, metal__in=self.listed)
            if (at := confirmed[fallback.metal_id]) is None
            or (not unpriced_only and now - at >= settings.FALLBACK_AFTER)
        ]

    def write(self, quotes: Iterable[Quote], now: dt.datetime) -> PublishedTick | None:
        news = [quote for quote in quotes if quote.metal in self.listed and self._is_news(quote, now)]
        if not news:
            return None
        previous = Tick.objects.order_by("-id").values_list("id", flat=True).first() or 0
        tick = Tick.objects.create(previous_seq=previous, published_at=now)
        changes = [change for quote in news if (change := self._change(quote))]
        rows = Price.objects.bulk_create(self._row(tick, quote) for quote in news)
        SignificantChange.objects.bulk_create(
            SignificantChange(
                tick=tick,
                metal_id=change.metal,
                old_price=change.old_price,
                new_price=change.new_price,
                change_percent=change.change_percent,
            )
            for change in changes
        )
        LatestPrice.objects.bulk_create(
            (
                LatestPrice(
                    metal_id=row.metal_id,
                    lane=lane_of(row.source),
                    currency=row.currency,
                    price=row,
                    confirmed_at=now,
                )
                for row in rows
            ),
            update_conflicts=True,
            unique_fields=["metal", "lane", "currency"],
            update_fields=["price", "confirmed_at"],
        )
        result = PublishedTick(
            seq=tick.pk,
            previous_seq=previous,
            published_at=now,
            quotes=tuple(row.published() for row in rows),
            changes=tuple(changes),
        )
        transaction.on_commit(partial(publish.tick, result))
        return result

    def _is_news(self, quote: Quote, now: dt.datetime) -> bool:
        latest = self.latest.get((quote.metal, quote.lane))
        if latest is None:
            return True
        known = latest.price
        if quote.lane is Lane.LIVE and quote.quoted_at < known.quoted_at:
            return False
        shown = self.in_force(quote.metal)
        if shown == known and known.quote() == _as_stored(quote):
            LatestPrice.objects.filter(pk=latest.pk).update(confirmed_at=now)
            return False
        return True

    def _change(self, quote: Quote) -> Change | None:
        shown = self.in_force(quote.metal)
        if shown is None:
            return None
        return significant_change(quote.metal, shown.price, quote.price, threshold=self.threshold)

    def _row(self, tick: Tick, quote: Quote) -> Price:
        latest = self.latest.get((quote.metal, quote.lane))
        last = latest.price if latest else None
        day = day_figures(
            quote,
            last.quote() if last else None,
            last.day() if last else None,
            same_day=last is not None and _trading_day(last.quoted_at) == _trading_day(quote.quoted_at),
        )
        return Price(
            tick=tick,
            metal_id=quote.metal,
            currency=quote.currency,
            price=quote.price,
            bid=quote.bid,
            ask=quote.ask,
            open=day.open,
            high=day.high,
            low=day.low,
            previous_close=day.previous_close,
            source=quote.source,
            quoted_at=quote.quoted_at,
        )


def _as_stored(quote: Quote) -> Quote:
    """A quote without the day's figures, which rows keep apart: to compare with one that was read back."""
    return Quote(
        metal=quote.metal,
        price=quote.price,
        currency=quote.currency,
        source=quote.source,
        quoted_at=quote.quoted_at,
        bid=quote.bid,
        ask=quote.ask,
    )


def _trading_day(at: dt.datetime) -> dt.date:
    return at.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
