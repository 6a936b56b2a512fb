"""The price on which several sources agree, and the moment when it is decided. Pure."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
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
    quote. `deviations` are in percent of the median of all, by source; `outliers` are the sources further from that
    median than is tolerated, which are excluded. `is_final`: all sources have answered.
    """

    quote: Quote | None
    deviations: Mapping[str, Decimal]
    outliers: tuple[str, ...]
    contributors: Mapping[str, dt.datetime] = field(default_factory=dict)
    is_final: bool = True


def decision(
    quotes: Sequence[Quote],
    *,
    missing: int,
    minimum: int,
    tolerance_percent: Callable[[str], Decimal],
) -> Agreement | None:
    """The agreement on one metal's quotes, at least one; None while the `missing` answers could overturn it.

    They could if, for any prices in them, fewer than `minimum` sources would agree, or the agreed price would be
    further from this one than the strictest of the agreeing sources tolerates.
    """
    found = agreement(quotes, minimum=minimum, tolerance_percent=tolerance_percent)
    if not missing:
        return found
    if found.quote is None:
        return None
    price, tolerated = found.quote.price, min(map(tolerance_percent, found.contributors))
    reach = _reach(quotes, missing, minimum, tolerance_percent)
    if reach is None or any(abs(percent(each - price, price)) > tolerated for each in reach):
        return None
    return replace(found, is_final=False)


def agreement(
    quotes: Sequence[Quote],
    *,
    minimum: int,
    tolerance_percent: Callable[[str], Decimal],
) -> Agreement:
    """The median of one metal's quotes, at least one, without the outliers: sources beyond their tolerance of it.

    Its time is the median of the agreeing sources' times, the earlier of two: at least half of them quoted at that time
    or later. Its bid and ask are the medians of those that gave both, as far as bid ≤ price ≤ ask allows: the sources
    without them may have moved the price beyond, and nobody is to sell below it or to buy above it. The day's figures
    are left out: those of different sources are of different days.
    """
    middle = median(quote.price for quote in quotes)
    deviations = {quote.source: percent(quote.price - middle, middle) for quote in quotes}
    agreeing = [quote for quote in quotes if abs(deviations[quote.source]) <= tolerance_percent(quote.source)]
    outliers = tuple(quote.source for quote in quotes if quote not in agreeing)
    if len(agreeing) < minimum:
        return Agreement(None, deviations, outliers)
    quote = replace(_agreed(agreeing), sources=_parts(quotes, deviations, outliers))
    return Agreement(quote, deviations, outliers, {quote.source: quote.quoted_at for quote in agreeing})


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
    quotes: Sequence[Quote], deviations: Mapping[str, Decimal], outliers: Sequence[str]
) -> tuple[SourceQuote, ...]:
    """What an agreed price was made of: the parts of all quotes, those of the outliers as excluded."""
    return tuple(
        part
        for quote in quotes
        for part in quote.with_parts(
            deviation_percent=deviations[quote.source].quantize(_DEVIATION_STEP),
            excluded_by=Exclusion.TOLERANCE if quote.source in outliers else None,
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
