"""The price on which several sources agree, and the moment when it is decided. Pure."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import median, median_low
from typing import Final

from prices.domain.quotes import Members, Quote, percent
from prices.domain.source_quotes import Exclusion, SourceQuote

# The source of an agreed price.
CONSENSUS: Final = "consensus"
# Of a deviation as receipts have it.
_DEVIATION_STEP: Final = Decimal("0.0001")
# Of the members' largest deviation from the price.
_DISPERSION_STEP: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Agreement:
    """One metal's price by several sources.

    `quote` is their median, None where too few agree. `contributors` are the sources in it, each with the time of its
    quote. `deviations` are in percent of the median, by source. `excluded` are the other sources, each with the rule
    that excluded it: its price stands still where others moved away, or is further from the median of the rest than is
    tolerated. `is_final`: all sources have answered.
    """

    quote: Quote | None
    deviations: Mapping[str, Decimal]
    excluded: Mapping[str, Exclusion]
    contributors: Mapping[str, dt.datetime] = field(default_factory=dict)
    is_final: bool = True


def decision(
    quotes: Sequence[Quote],
    *,
    missing: int,
    minimum: int,
    tolerance_percent: Callable[[str], Decimal],
    standing: Collection[str] = (),
) -> Agreement | None:
    """The agreement on one metal's quotes, at least one; None while the `missing` answers could overturn it.

    They could if, for any prices in them, fewer than `minimum` sources would agree, or the agreed price would be
    further from this one than the strictest of the agreeing sources tolerates. `standing` are the sources whose prices
    stand still.
    """
    found = agreement(quotes, minimum=minimum, tolerance_percent=tolerance_percent, standing=standing)
    if not missing:
        return found
    if found.quote is None:
        return None
    price, tolerated = found.quote.price, min(map(tolerance_percent, found.contributors))
    # Those that stand still may yet be excluded, for the sake of an answer that is missing: count them as missing too.
    moving = [quote for quote in quotes if quote.source not in standing]
    reach = _reach(moving, missing + len(quotes) - len(moving), minimum, tolerance_percent)
    if reach is None or any(abs(percent(each - price, price)) > tolerated for each in reach):
        return None
    return replace(found, is_final=False)


def agreement(
    quotes: Sequence[Quote],
    *,
    minimum: int,
    tolerance_percent: Callable[[str], Decimal],
    standing: Collection[str] = (),
) -> Agreement:
    """The median of one metal's quotes, at least one, without the outliers: sources beyond their tolerance of it.

    First, the sources whose prices stand still (`standing`) are excluded where the others, however few, have moved
    beyond their tolerance: what looks like a majority may be as many sources that died.

    Its time is the median of the agreeing sources' times, the earlier of two: at least half of them quoted at that time
    or later. Its bid and ask are the medians of those that gave both, as far as bid ≤ price ≤ ask allows: the sources
    without them may have moved the price beyond, and nobody is to sell below it or to buy above it. The day's figures
    are left out: those of different sources are of different days.
    """
    left_behind = _left_behind(quotes, standing, tolerance_percent)
    rest = [quote for quote in quotes if quote.source not in left_behind]
    middle = median(quote.price for quote in rest)
    deviations = {quote.source: percent(quote.price - middle, middle) for quote in quotes}
    agreeing = [quote for quote in rest if abs(deviations[quote.source]) <= tolerance_percent(quote.source)]
    excluded = {
        quote.source: Exclusion.STANDING if quote.source in left_behind else Exclusion.TOLERANCE
        for quote in quotes
        if quote not in agreeing
    }
    if len(agreeing) < minimum:
        return Agreement(None, deviations, excluded)
    quote = replace(_agreed(agreeing), sources=_parts(quotes, deviations, excluded))
    return Agreement(quote, deviations, excluded, {quote.source: quote.quoted_at for quote in agreeing})


def _left_behind(
    quotes: Sequence[Quote], standing: Collection[str], tolerance_percent: Callable[[str], Decimal]
) -> set[str]:
    """The sources whose prices stand still, further from the median of the others than is tolerated of them."""
    moving = [quote.price for quote in quotes if quote.source not in standing]
    if not moving:
        return set()
    level = median(moving)
    return {
        quote.source
        for quote in quotes
        if quote.source in standing and abs(percent(quote.price - level, level)) > tolerance_percent(quote.source)
    }


def _agreed(agreeing: Sequence[Quote]) -> Quote:
    """The price on which these quotes agree."""
    price = median(quote.price for quote in agreeing)
    markets = [(quote.bid, quote.ask) for quote in agreeing if quote.bid is not None and quote.ask is not None]
    bid, ask = map(median, zip(*markets, strict=True)) if markets else (None, None)
    quote = Quote(
        metal=agreeing[0].metal,
        price=price,
        currency=agreeing[0].currency,
        source=CONSENSUS,
        quoted_at=median_low(quote.quoted_at for quote in agreeing),
        bid=None if bid is None else min(bid, price),
        ask=None if ask is None else max(ask, price),
    )
    farthest = max(abs(percent(each.price - quote.price, quote.price)) for each in agreeing)
    return replace(quote, members=Members(len(agreeing), farthest.quantize(_DISPERSION_STEP)))


def _parts(
    quotes: Sequence[Quote], deviations: Mapping[str, Decimal], excluded: Mapping[str, Exclusion]
) -> tuple[SourceQuote, ...]:
    """The parts of an agreed price: those of all quotes, some of them excluded."""
    return tuple(
        part
        for quote in quotes
        for part in quote.with_parts(
            deviation_percent=deviations[quote.source].quantize(_DEVIATION_STEP),
            excluded_by=excluded.get(quote.source),
        ).sources
    )


def _reach(
    quotes: Sequence[Quote], missing: int, minimum: int, tolerance_percent: Callable[[str], Decimal]
) -> tuple[Decimal, Decimal] | None:
    """The lowest and the highest price on which sources can still agree, whatever the missing answers are.

    None where they may not agree at all, or on any price. A source near the edge of its tolerance counts as unknown,
    like a missing one: the range may be too wide, but is never too narrow.
    """
    if missing >= len(quotes):
        return None
    least, most = _medians([quote.price for quote in quotes], missing)

    def share(quote: Quote) -> Decimal:
        return tolerance_percent(quote.source) / 100

    # A source agrees with a median m where m * (1 - share) <= price <= m * (1 + share): with all of them, or with some.
    firm = [each for each in quotes if most * (1 - share(each)) <= each.price <= least * (1 + share(each))]
    some = [each for each in quotes if least * (1 - share(each)) <= each.price <= most * (1 + share(each))]
    unknown = missing + len(some) - len(firm)
    if len(firm) < minimum or unknown >= len(firm):
        return None
    return _medians([quote.price for quote in firm], unknown)


def _medians(prices: Sequence[Decimal], unknown: int) -> tuple[Decimal, Decimal]:
    """The lowest and the highest median of these prices with up to `unknown` more, which are fewer than these."""
    ordered = sorted(prices)
    return median(ordered[: len(ordered) - unknown]), median(ordered[unknown:])
