"""Metals, quotes and publications, before any database or wire. Pure; imports no Django.

A `Quote` is a source's answer in the base currency per gram of fine metal. A `PublishedQuote` is a quote as it went
out: with the day's figures, from our own history where the source gives none.
"""

import datetime as dt
import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any, Final

from msgspec import structs

from infra.formats import to_ms
from prices.domain.candles import ZonedCandle
from prices.domain.source_quotes import Exclusion, RawUnit, SourceQuote
from prices.domain.units import converted, rounded

PERCENT_STEP: Final = Decimal("0.01")
# Per gram: far above any price in any currency (rhodium in rials is below 10^10), and the largest that SQLite keeps
# exactly: it stores a decimal as a float of fifteen digits, and may not read back one that it rounded up.
LARGEST_PRICE: Final = Decimal("99999999999.9999")
# Of the time of a price, as people and programs may write one.
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2999

_QUOTED_AMOUNTS: Final = ("price", "bid", "ask", "open", "high", "low", "previous_close", "spot")

FALLBACK: Final = "fallback"
SIMULATED: Final = "simulated"


class Metal(enum.StrEnum):
    """The metals that Swarna knows; the value is the name on the wire, `symbol` the ISO 4217 code."""

    GOLD = "gold"
    SILVER = "silver"
    PLATINUM = "platinum"
    PALLADIUM = "palladium"

    @property
    def symbol(self) -> str:
        return _SYMBOLS[self]


_SYMBOLS: Final[Mapping[Metal, str]] = {
    Metal.GOLD: "XAU",
    Metal.SILVER: "XAG",
    Metal.PLATINUM: "XPT",
    Metal.PALLADIUM: "XPD",
}
# The texts by which a client may call a metal, each in the case in which it is written: its name or its ISO code.
METAL_NAMES: Final[Mapping[str, Metal]] = {
    **{metal.value: metal for metal in Metal},
    **{metal.symbol: metal for metal in Metal},
}


def names_and_codes(metals: Iterable[Metal]) -> str:
    """These metals by their names and their ISO codes, for an error message; empty without any."""
    listed = list(metals)
    return f"{', '.join(listed)}, or by ISO code {', '.join(metal.symbol for metal in listed)}" if listed else ""


class PriceKind(enum.StrEnum):
    """The history to which a quote belongs: a fallback must not become the low of the live market's day."""

    LIVE = "live"
    FALLBACK = FALLBACK
    SIMULATED = SIMULATED


def shown_kinds(providers: Collection[str]) -> frozenset[PriceKind]:
    """The price kinds that a deployment with these providers shows: simulated only where one of them is simulated."""
    return frozenset(PriceKind) if SIMULATED in providers else frozenset({PriceKind.LIVE, PriceKind.FALLBACK})


def usual_kind(providers: Collection[str]) -> PriceKind:
    """The price kind of a chart or file that names none: live, unless the only provider is the simulated one."""
    return PriceKind.SIMULATED if set(providers) == {SIMULATED} else PriceKind.LIVE


def kind_of(source: str) -> PriceKind:
    """The price kind of a source, by its name: itself for `fallback` and `simulated`, live for every provider."""
    return PriceKind(source) if source in (FALLBACK, SIMULATED) else PriceKind.LIVE


@dataclass(frozen=True, slots=True)
class Members:
    """The sources that agree on a price: how many, and their largest deviation from it, in percent."""

    count: int
    dispersion_percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One metal's price as a source gave it, in `currency` per gram of fine metal.

    `quoted_at` is the source's own time. `bid`, `ask` and the day's figures are None where the source does not give
    them. `spot` is the source's own price where the others have a premium on them; else None. `example`: a fallback
    that came with the installation, which no member of staff has entered or confirmed. `members` are those of an
    agreement of several sources, and `sources` are what it was made of, for its receipt; neither makes a difference
    between quotes. Raises ValueError where the amounts cannot be a price.
    """

    metal: Metal
    price: Decimal
    currency: str
    source: str
    quoted_at: dt.datetime
    bid: Decimal | None = None
    ask: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    spot: Decimal | None = None
    example: bool = False
    members: Members | None = field(default=None, compare=False)
    sources: tuple[SourceQuote, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in _QUOTED_AMOUNTS:
            amount = getattr(self, name)
            if amount is None:
                continue
            if not amount.is_finite() or not 0 < amount <= LARGEST_PRICE:
                raise ValueError(f"{name} {amount} is not a positive number that a price can be")
            # To the published decimals: rounding once, here, keeps every later difference exact.
            object.__setattr__(self, name, rounded(amount))
        if self.price == 0:
            raise ValueError("price is below 0.0001 per gram")
        if self.bid is not None and self.ask is not None and self.bid > self.ask:
            raise ValueError(f"bid {self.bid} is above ask {self.ask}")
        if self.quoted_at.tzinfo is None:
            raise ValueError("quoted_at has no time zone")

    @property
    def kind(self) -> PriceKind:
        return kind_of(self.source)

    def parts(self) -> tuple[SourceQuote, ...]:
        """The parts of the quote; itself as the only one where it names none. Prices of our own are raw as they are."""
        if self.sources:
            return self.sources
        is_ours = self.kind is not PriceKind.LIVE
        return (
            SourceQuote(
                source=self.source,
                spot=self.price,
                quoted_ms=to_ms(self.quoted_at),
                raw_price=self.price if is_ours else None,
                raw_currency=self.currency if is_ours else None,
                raw_unit=RawUnit.GRAM if is_ours else None,
                bid=self.bid,
                ask=self.ask,
            ),
        )

    def with_parts(self, **changes: Any) -> "Quote":
        """The same quote with these fields of each of its parts changed."""
        return replace(self, sources=tuple(structs.replace(part, **changes) for part in self.parts()))

    def excluded(self, by: Exclusion) -> tuple[SourceQuote, ...]:
        """The parts of the quote as they stand in the receipt of a price from which it was excluded."""
        return self.with_parts(excluded_by=by).sources

    def beside(self, others: Iterable[SourceQuote]) -> "Quote":
        """The same quote with the parts of other sources, which were excluded from it."""
        own = self.parts()
        names = {part.source for part in own}
        return replace(self, sources=(*own, *(other for other in others if other.source not in names)))

    def without_figures(self) -> "Quote":
        """The same quote without the day's figures, to compare with one from a row, which keeps them apart."""
        return replace(self, open=None, high=None, low=None, previous_close=None)

    def with_premium(self, multiplier: Decimal) -> "Quote":
        """The same quote with duty, tax and the like on it. Raises ValueError where the result cannot be a price."""
        if multiplier == 1:
            return self
        given = ((name, getattr(self, name)) for name in _QUOTED_AMOUNTS)
        amounts: dict[str, Any] = {name: amount * multiplier for name, amount in given if amount is not None}
        return replace(self, **amounts | {"spot": self.price})

    def at_spot(self) -> "Quote":
        """The quote as its source gave it; where a premium was put on it, without the day's figures."""
        if self.spot is None:
            return self
        bid, ask = (None if each is None else each * self.spot / self.price for each in (self.bid, self.ask))
        return replace(self.without_figures(), price=self.spot, spot=None, bid=bid, ask=ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """A trading day so far, in the quote's currency per gram; `previous_close` is None while no day came before.

    prices/domain/days.py makes them, and sees to low ≤ open, price ≤ high.
    """

    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal | None

    def with_premium(self, multiplier: Decimal) -> "DayFigures":
        """The figures of a day at spot, as they are published under a premium."""
        return self.each(lambda amount: rounded(amount * multiplier))

    def each(self, change: Callable[[Decimal], Decimal]) -> "DayFigures":
        """The same day with each of its amounts changed."""
        close = self.previous_close
        return DayFigures(
            open=change(self.open),
            high=change(self.high),
            low=change(self.low),
            previous_close=None if close is None else change(close),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedQuote:
    """A quote as it was published, with its publication's `seq`; amounts in the base currency per gram.

    `change` and `change_percent` are against the previous close, and 0 while there is none. `percent_per_gram` is None
    except in a quote that `in_units` made. `is_contested`: a newer quote of its metal has outlasted a refresh in
    quarantine, so that this one is stale however young it is.
    """

    seq: int
    quote: Quote
    day: DayFigures
    is_contested: bool = False
    percent_per_gram: Decimal | None = None

    def in_units(self, *, unit: str, purity: str) -> "PublishedQuote":
        """A quote per gram as one per `unit` of metal of `purity`. Raises KeyError for an unknown unit or purity.

        Each amount is converted by itself, so bid ≤ ask and low ≤ price ≤ high stay true. `change` is the difference of
        the two figures shown; converted by itself it could be a step (0.0001) off. `change_percent` stays as per gram:
        a metal rises by the same share in any unit.
        """

        per_unit = partial(converted, unit=unit, purity=purity)
        quote = copy(self.quote)  # not replace(): a kilogram may cost more than a Quote lets a gram cost
        for name in _QUOTED_AMOUNTS:
            if (amount := getattr(quote, name)) is not None:
                object.__setattr__(quote, name, per_unit(amount))
        return replace(self, quote=quote, day=self.day.each(per_unit), percent_per_gram=self.change_percent)

    @property
    def change(self) -> Decimal:
        return Decimal(0) if self.day.previous_close is None else self.quote.price - self.day.previous_close

    @property
    def change_percent(self) -> Decimal:
        if self.percent_per_gram is not None:
            return self.percent_per_gram
        return percent(self.change, self.day.previous_close).quantize(PERCENT_STEP, ROUND_HALF_EVEN) + 0  # never -0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A significant move between two consecutive published prices. `change_percent` is signed."""

    metal: Metal
    old_price: Decimal
    new_price: Decimal
    change_percent: Decimal

    @property
    def direction(self) -> str:
        return "up" if self.new_price > self.old_price else "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The quotes that go out at once. Within an epoch `seq` rises by one, so that a missing publication is noticed.

    `candles` are the candles that it changed, as they are now, by metal. Of several read together the last has them
    all.
    """

    epoch: str
    seq: int
    published_at: dt.datetime
    quotes: tuple[PublishedQuote, ...]
    changes: tuple[Change, ...]
    candles: Mapping[Metal, Sequence[ZonedCandle]] = field(default_factory=dict, compare=False)


def percent(part: Decimal, whole: Decimal | None) -> Decimal:
    """`part` as a percentage of `whole`; 0 where there is no whole."""
    return part / whole * 100 if whole else Decimal(0)
