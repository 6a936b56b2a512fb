"""The price that several sources agree on: pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final

from prices.quotes import Quote, percent

# The name under which an agreed price goes out.
CONSENSUS: Final = "consensus"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What sources say of one metal together.

    `quote` is their median, None where fewer than were asked for agree. `deviations` are in percent of the median, by
    source; `set_aside` are the sources that are further from it than is tolerated.
    """

    quote: Quote | None
    deviations: dict[str, Decimal]
    set_aside: tuple[str, ...]


def agreement(
    quotes: Sequence[Quote],
    *,
    minimum: int,
    tolerance_percent: Callable[[str], Decimal],
) -> Agreement:
    """The median of one metal's quotes, at least one, of those sources that are within their tolerance of it.

    Its time is that of the newest quote that agrees: were it an older one's, a slow source that joins in would put the
    price back before the one that is out already. Bid and ask and the day's figures are left out: of different sources
    they are no market.
    """
    middle = median(quote.price for quote in quotes)
    deviations = {quote.source: percent(quote.price - middle, middle) for quote in quotes}
    agreeing = [quote for quote in quotes if abs(deviations[quote.source]) <= tolerance_percent(quote.source)]
    set_aside = tuple(quote.source for quote in quotes if quote not in agreeing)
    if len(agreeing) < minimum:
        return Agreement(None, deviations, set_aside)
    return Agreement(
        Quote(
            metal=agreeing[0].metal,
            price=median(quote.price for quote in agreeing),
            currency=agreeing[0].currency,
            source=CONSENSUS,
            quoted_at=max(quote.quoted_at for quote in agreeing),
        ),
        deviations,
        set_aside,
    )
