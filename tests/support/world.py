"""Price sources whose answers a test sets, and their clock."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal

from infra.clock import Clock
from prices import providers
from prices.domain.quotes import Metal, Quote
from prices.models import Candle, FallbackPrice, Head, LatestPrice, Price, Receipt, ReceiptMonth, SignificantChange
from prices.providers.errors import ProviderError
from prices.providers.http import Client
from prices.refresh import refresh

MINUTE = dt.timedelta(minutes=1)
PRICES = {Metal.GOLD: "13200", Metal.SILVER: "165", Metal.PLATINUM: "4900", Metal.PALLADIUM: "4300"}
Said = Mapping[Metal, str] | ProviderError


def forget_prices() -> None:
    """Delete all publications, so that the database is as before the first."""
    for table in (Candle, Head, LatestPrice, Price, Receipt, ReceiptMonth, SignificantChange):
        table.objects.all().delete()


def enter_fallbacks() -> None:
    """Make the examples fallback prices of staff's, as if they had confirmed each: only those stand in for a source."""
    FallbackPrice.objects.update(example=False, note="")


class World:
    """Sources a, b and c, which answer as `says` has it, and the time. A source in `froze_at` quotes as of then."""

    def __init__(self, now: dt.datetime) -> None:
        self.says: dict[str, Said] = dict.fromkeys("abc", PRICES)
        self.fetched: list[str] = []
        self.froze_at: dict[str, dt.datetime] = {}
        self.now = now

    def source(self, name: str) -> providers.Provider:
        def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
            self.fetched.append(name)
            client.calls += 1
            said = self.says[name]
            if isinstance(said, ProviderError):
                raise said
            at = self.froze_at.get(name, self.now)
            return {
                metal: Quote(metal=metal, price=Decimal(said[metal]), currency="INR", source=name, quoted_at=at)
                for metal in metals
                if metal in said
            }

        return providers.Provider(name=name, fetch=fetch, brings_all=True)

    def refresh(self, minutes: float = 1) -> list[str]:
        """Let so many minutes go by, and refresh; returns the sources that were fetched."""
        self.now += minutes * MINUTE
        self.fetched.clear()
        refresh(lambda: self.now)
        return list(self.fetched)

    def gold(self) -> str:
        """The shown price of gold and its source."""
        shown = LatestPrice.shown().filter(metal="gold")[0]
        return f"{shown.price:.0f} from {shown.source}"
