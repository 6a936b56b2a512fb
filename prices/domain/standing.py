"""The time for which a source's price has stood still while the source's time moved on. Pure.

A source that died quietly may go on stamping its last price with the time of each call, and look fresh. The time that
counts is that of an open market, by the source's own clock, whatever ours says: in a closed market prices honestly
stand still.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from infra import clock
from prices.domain.calendar import Calendar
from prices.domain.quotes import Metal, Quote


class UnmovedPrice(msgspec.Struct, frozen=True):
    """A source's newest price of one metal, as the source gave it: quoted first at `since`, and last at `until`."""

    price: Decimal
    since: dt.datetime
    until: dt.datetime

    @classmethod
    def of(cls, quote: Quote) -> "UnmovedPrice":
        """The record of a first quote."""
        return cls(_given(quote), quote.quoted_at, quote.quoted_at)

    def after(self, quote: Quote, now: dt.datetime) -> "UnmovedPrice":
        """The record after one more quote, which came at `now`. An older one, as from a cache, changes nothing."""
        is_older = quote.quoted_at < self.until and clock.is_plausible(self.until, now)
        if is_older or self.price == _given(quote):
            return msgspec.structs.replace(self, until=max(self.until, quote.quoted_at))
        return UnmovedPrice.of(quote)

    def span(self, calendar: Calendar) -> dt.timedelta:
        """The open-market time for which the price has stood still."""
        return calendar.open_time(self.since, self.until)


def following(
    before: Mapping[Metal, UnmovedPrice], quotes: Iterable[Quote], now: dt.datetime
) -> dict[Metal, UnmovedPrice]:
    """A source's records, by metal, after its quotes that came at `now`."""
    records = dict(before)
    for quote in quotes:
        record = records.get(quote.metal)
        records[quote.metal] = record.after(quote, now) if record else UnmovedPrice.of(quote)
    return records


def read(stored: Any) -> dict[Metal, UnmovedPrice]:
    """The records that `to_store` returned as values; none for None."""
    return msgspec.convert(stored or {}, dict[Metal, UnmovedPrice])


def to_store(records: Mapping[Metal, UnmovedPrice]) -> Any:
    """Records as values for JSON."""
    return msgspec.to_builtins(records)


def _given(quote: Quote) -> Decimal:
    """The source's own number: a price made of it moves with an exchange rate, even if the source died."""
    return next((part.raw_price for part in quote.sources if part.raw_price is not None), quote.price)
