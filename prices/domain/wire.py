"""A price, a candle and a significant move as JSON, on the stream and by REST. Pure; imports no Django.

The encoder writes Decimals as JSON numbers; amounts have no trailing zeros.
"""

from decimal import Decimal

import msgspec

from infra import formats
from prices.domain.candles import ZonedCandle
from prices.domain.quotes import Change, Members, PublishedQuote


class PriceData(msgspec.Struct, frozen=True, kw_only=True):
    """A metal's entry in `data`; amounts per gram. `stale` depends on the time, and is set on sending."""

    price: Decimal
    change: Decimal
    changePercent: Decimal
    high: Decimal
    low: Decimal
    open: Decimal
    previousClose: Decimal | None
    timestamp: str
    source: str
    stale: bool
    bid: Decimal | msgspec.UnsetType = msgspec.UNSET
    ask: Decimal | msgspec.UnsetType = msgspec.UNSET
    # True for a fallback that staff have neither entered nor confirmed; else absent.
    example: bool | msgspec.UnsetType = msgspec.UNSET
    # Where several sources agreed: how many, and their largest deviation from the price.
    contributors: int | msgspec.UnsetType = msgspec.UNSET
    dispersionPercent: Decimal | msgspec.UnsetType = msgspec.UNSET

    @property
    def members(self) -> Members | None:
        """The sources that agreed on the price; None where one gave it."""
        if self.contributors is msgspec.UNSET or self.dispersionPercent is msgspec.UNSET:
            return None
        return Members(self.contributors, self.dispersionPercent)

    @classmethod
    def of(cls, published: PublishedQuote, *, stale: bool = False) -> "PriceData":
        quote, day, number = published.quote, published.day, formats.number
        members = quote.members
        return cls(
            price=number(quote.price),
            change=number(published.change),
            changePercent=number(published.change_percent),
            high=number(day.high),
            low=number(day.low),
            open=number(day.open),
            previousClose=None if day.previous_close is None else number(day.previous_close),
            timestamp=formats.time(quote.quoted_at),
            source=quote.source,
            stale=stale,
            bid=msgspec.UNSET if quote.bid is None else number(quote.bid),
            ask=msgspec.UNSET if quote.ask is None else number(quote.ask),
            example=quote.example or msgspec.UNSET,
            contributors=msgspec.UNSET if members is None else members.count,
            dispersionPercent=msgspec.UNSET if members is None else number(members.dispersion_percent),
        )


class ChangeData(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in `changes`."""

    metal: str
    oldPrice: Decimal
    newPrice: Decimal
    changePercent: Decimal
    direction: str

    @classmethod
    def of(cls, change: Change) -> "ChangeData":
        return cls(
            metal=change.metal.value,
            oldPrice=formats.number(change.old_price),
            newPrice=formats.number(change.new_price),
            changePercent=formats.number(change.change_percent),
            direction=change.direction,
        )


class CandleData(msgspec.Struct, frozen=True, kw_only=True):
    """A candle in `candles`; amounts per gram. One that is not `closed` is live.

    `seq` is that of the newest publication with a tick in it, None where none was streamed. `date` is a day candle's,
    in the deployment's time zone.
    """

    start: str
    end: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: int
    closed: bool
    seq: int | None
    date: str | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, zoned: ZonedCandle, *, closed: bool = False) -> "CandleData":
        (candle, end, date), number = zoned, formats.number
        return cls(
            start=formats.time(candle.start),
            end=formats.time(end),
            open=number(candle.open),
            high=number(candle.high),
            low=number(candle.low),
            close=number(candle.close),
            ticks=candle.ticks,
            closed=closed,
            seq=candle.seq or None,
            date=msgspec.UNSET if date is None else date.isoformat(),
        )
